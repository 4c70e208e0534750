"""Frames on a socket: split, joined, long, without an end; and peers that stall, leave or do not read."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from conformance import turns, until
from mllp_bench import Bench, left_without, oru, reading

from connectors.mllp.codec import enframe
from connectors.mllp.connection import Connection
from connectors.mllp.settings import MllpSourceSettings
from connectors.mllp.simulator import Sender
from connectors.mllp.station import Station
from connectors.spool import SpoolFile
from connectors.testing import MemoryInbox, PlainServices
from mappings.hl7v2.ack import AckCode

# Framing over a socket


async def test_a_frame_split_at_every_byte(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(folder, inbox, services) as running, Sender(running.address) as sender:
        for byte in enframe(oru(1)):
            await sender.write(bytes([byte]))
            await asyncio.sleep(0)
        assert reading(await sender.receive()).code is AckCode.AA
    assert inbox.contents == [oru(1)]


async def test_several_frames_in_one_read_are_answered_in_order(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with Bench().running(folder, inbox, services) as running, Sender(running.address) as sender:
        inbox.hold()
        await sender.write(b"".join(enframe(oru(number)) for number in range(10)))
        await inbox.wait_submitted(10)
        inbox.release()
        answers = [reading(await sender.receive()).control_id for _ in range(10)]
    assert answers == [f"CTRL{number:05d}" for number in range(10)]
    assert inbox.contents == [oru(number) for number in range(10)]


async def test_answers_wait_for_their_turn(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    """The second message is committed first; its answer still comes second."""
    gate = asyncio.Event()
    submit = inbox.submit

    async def slow_first(inbound: Any) -> Any:
        if inbound.control_id == "CTRL00001":
            await gate.wait()
        return await submit(inbound)

    inbox.submit = slow_first  # type: ignore[method-assign]  # the double of a slow store
    async with Bench().running(folder, inbox, services) as running, Sender(running.address) as sender:
        await sender.write(enframe(oru(1)) + enframe(oru(2)))
        await inbox.wait_committed(1)
        gate.set()
        assert reading(await sender.receive()).control_id == "CTRL00001"
        assert reading(await sender.receive()).control_id == "CTRL00002"
    assert inbox.contents == [oru(2), oru(1)]


@pytest.mark.parametrize("size", [70_000, 11 * 1024 * 1024])
async def test_large_frames_are_streamed(folder: Path, inbox: MemoryInbox, services: PlainServices, size: int) -> None:
    content = oru(1, size=size)
    async with Bench().running(folder, inbox, services) as running, Sender(running.address) as sender:
        assert reading(await sender.send(content)).code is AckCode.AA
        assert reading(await sender.send(oru(2))).code is AckCode.AA
    assert inbox.contents == [content, oru(2)]
    assert isinstance(inbox.messages[0].content, Path)
    assert inbox.messages[0].control_id == "CTRL00001"
    assert inbox.messages[0].message_type == "ORU^R01"


async def test_what_follows_a_long_message_is_committed_after_it(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    submit = inbox.submit

    async def slow_for_long_ones(inbound: Any) -> Any:
        if isinstance(inbound.content, Path) or len(inbound.content) > 65_536:
            await turns(10)
        return await submit(inbound)

    inbox.submit = slow_for_long_ones  # type: ignore[method-assign]  # the double of a store that keeps files apart
    sizes = [0, 400_000, 0, 0, 120_000, 0, 90_000, 120_000, 0, 0]
    contents = [oru(number, size=size) for number, size in enumerate(sizes)]
    bench = Bench(spool_threshold=100_000)
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as sender:
        await sender.write(b"".join(map(enframe, contents)))
        for number in range(len(sizes)):
            assert reading(await sender.receive()).control_id == f"CTRL{number:05d}"
    assert inbox.contents == contents


async def test_a_disk_full_while_spooling_is_not_now(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    inbox.folder.rmdir()
    async with Bench().running(folder, inbox, services) as running, Sender(running.address) as sender:
        answer = reading(await sender.send(oru(1, size=400_000)))
        assert answer.code is AckCode.AR
        assert answer.error_codes == (207,)
        assert reading(await sender.send(oru(2))).code is AckCode.AA
    assert inbox.contents == [oru(2)]


async def test_garbage_between_frames_is_counted_and_said_once(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with Bench().running(folder, inbox, services) as running, Sender(running.address) as sender:
        for number in range(3):
            await sender.write(b"\r\nnoise" + enframe(oru(number)))
            assert reading(await sender.receive()).code is AckCode.AA
    assert services.health.figures["garbage_bytes"] == 21
    assert services.codes() == ["mllp.garbage"]


async def test_endless_garbage_closes_the_connection(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(folder, inbox, services) as running:
        async with Sender(running.address) as sender:
            assert await left_without(sender, b"\x16\x03\x01" * 33_000_000, framed=False)
        assert "mllp.not_mllp" in services.codes()
        async with Sender(running.address) as sender:
            assert reading(await sender.send(oru(1))).code is AckCode.AA


async def test_a_frame_without_end_is_refused_at_the_limit(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    bench = Bench(max_frame=200_000, spool_threshold=65_536)
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as sender:
        await sender.write(b"\x0b" + oru(1, size=250_000))
        answer = reading(await sender.receive())
        assert answer.code is AckCode.AE
        assert answer.control_id == "CTRL00001"
        assert await sender.receive() is None
    assert services.health.figures["too_large"] == 1
    (kept,) = inbox.messages
    assert kept.refusal is not None
    assert kept.refusal.finding.code == "mllp.frame.too_large"
    assert kept.refusal.permanent
    assert len(inbox.contents[0]) == 65_536
    assert list(inbox.folder.iterdir()) == []


async def test_an_end_without_carriage_return_is_taken_after_a_grace(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    bench = Bench(end_grace=0.01)
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as sender:
        await sender.write(enframe(oru(1))[:-1])
        assert reading(await sender.receive()).code is AckCode.AA
        await sender.write(b"\r" + enframe(oru(2)))
        assert reading(await sender.receive()).code is AckCode.AA
    assert services.codes() == []


async def test_a_new_start_before_the_end_is_said(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(folder, inbox, services) as running, Sender(running.address) as sender:
        await sender.write(b"\x0b" + oru(1)[:50])
        assert reading(await sender.send(oru(1))).code is AckCode.AA
    assert inbox.contents == [oru(1)]
    assert services.codes() == ["mllp.frame.truncated"]
    assert services.health.figures["truncated"] == 1


# Peers that leave


async def test_a_client_that_leaves_before_its_answer_loses_nothing(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with Bench().running(folder, inbox, services) as running:
        inbox.hold()
        async with Sender(running.address) as sender:
            await sender.write(enframe(oru(1)))
            await inbox.wait_submitted(1)
            sender.vanish()
            await until(lambda: not services.health.figures["connections"])
        inbox.release()
        await inbox.wait_committed(1)
        async with Sender(running.address) as sender:
            assert reading(await sender.send(oru(1))).code is AckCode.AA
    assert inbox.contents == [oru(1)]
    assert services.health.figures["unanswered"] == 1
    assert services.health.figures["duplicates"] == 1


@pytest.mark.parametrize("size", [0, 400_000])
async def test_a_client_that_leaves_in_the_middle_is_said(
    folder: Path, inbox: MemoryInbox, services: PlainServices, size: int
) -> None:
    async with Bench().running(folder, inbox, services) as running:
        async with Sender(running.address) as sender:
            await sender.write(b"\x0b" + oru(1, size=size)[:-1])
        await until(lambda: services.findings and not services.health.figures["connections"])
    assert services.codes() == ["mllp.frame.truncated"]
    assert inbox.submitted == 0
    assert list(inbox.folder.iterdir()) == []


async def test_a_client_that_only_closes_its_side_gets_its_answer(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with Bench().running(folder, inbox, services) as running:
        host, port = running.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        inbox.hold()
        writer.write(enframe(oru(1))[:-1])
        writer.write_eof()
        await inbox.wait_submitted(1)
        inbox.release()
        assert reading(await reader.read()).code is AckCode.AA
        writer.close()
        await writer.wait_closed()


async def test_a_message_that_stalls_is_given_up(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    bench = Bench(frame_timeout=0.05)
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as sender:
        await sender.write(b"\x0b" + oru(1)[:60])
        assert await sender.receive() is None
    assert services.codes() == ["mllp.frame.truncated"]


async def test_an_idle_connection_is_closed_when_the_settings_say_so(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    bench = Bench(idle_timeout=0.05)
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as sender:
        assert reading(await sender.send(oru(1))).code is AckCode.AA
        assert await sender.receive() is None
    assert services.codes() == []


async def test_too_much_in_flight_is_not_read(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    bench = Bench(max_in_flight=3)
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as sender:
        inbox.hold()
        await sender.write(enframe(oru(0)) * 3)
        await inbox.wait_submitted(3)
        for number in range(1, 5):
            await sender.write(enframe(oru(number)))
        await turns()
        assert inbox.submitted == 3
        inbox.release()
        answers = [reading(await sender.receive()).control_id for _ in range(7)]
    assert answers[3:] == [f"CTRL{number:05d}" for number in range(1, 5)]


class RecordingTransport(asyncio.Transport):
    """Records whether it is read from."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 40_000)})
        self.calls: list[str] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def is_closing(self) -> bool:
        return False


async def test_a_peer_that_does_not_read_its_answers_is_not_read(inbox: MemoryInbox, services: PlainServices) -> None:
    connection = Connection(Station("labo", MllpSourceSettings(), services, inbox))
    transport = RecordingTransport()
    connection.connection_made(transport)
    connection.pause_writing()
    connection.pause_writing()
    connection.resume_writing()
    assert transport.calls == ["pause", "resume"]
    connection.connection_lost(None)
    connection.resume_writing()
    assert transport.calls == ["pause", "resume"]


async def test_a_disk_that_fills_up_half_way_is_not_now(
    folder: Path, inbox: MemoryInbox, services: PlainServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = SpoolFile._write

    def fills_up(self: SpoolFile, data: bytes) -> None:
        if self.size > 300_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(self, data)

    monkeypatch.setattr(SpoolFile, "_write", fills_up)
    async with Bench().running(folder, inbox, services) as running, Sender(running.address) as sender:
        assert reading(await sender.send(oru(1, size=3_000_000))).code is AckCode.AR
        assert list(inbox.folder.iterdir()) == []
        assert reading(await sender.send(oru(2))).code is AckCode.AA
    assert inbox.contents == [oru(2)]
