from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from conformance import Running, SourceConformance, turns, until
from pydantic import ValidationError

from connectors.contracts import NotAccepted
from connectors.mllp import CONNECTOR
from connectors.mllp.codec import COMMIT_ACK, COMMIT_NAK, enframe
from connectors.mllp.connection import Connection
from connectors.mllp.settings import MllpSourceSettings
from connectors.mllp.simulator import Sender
from connectors.mllp.station import Station
from connectors.spool import SpoolFile
from connectors.testing import MemoryInbox, PlainServices
from mappings.hl7v2.ack import AckCode, AckReading, read_ack


def oru(
    number: int = 1, *, size: int = 0, kind: str = "ORU^R01^ORU_R01", more: str = "", version: str = "2.5"
) -> bytes:
    padding = "x" * max(0, size - 200)
    return (
        f"MSH|^~\\&|LAB|LABO|PASS|PASS|20260305081000||{kind}|CTRL{number:05d}|P|{version}{more}\r"
        f"PID|1||IPP-1||TESTROSE^MARIE\rOBR|1||L{number}|HB\rOBX|1|ST|HB||{padding}||||||F\r"
    ).encode()


def reading(answer: bytes | None) -> AckReading:
    assert answer is not None
    found = read_ack(answer)
    assert found is not None
    return found


class TestConformance(SourceConformance):
    connector = CONNECTOR

    def settings(self, folder: Path) -> dict[str, Any]:
        return {"listen": "127.0.0.1:0", "spool_threshold": 65_536}

    def content(self, number: int, size: int = 0) -> bytes:
        return oru(number, size=size)

    async def deliver(self, running: Running, content: bytes) -> bool:
        async with Sender(running.address) as sender:
            answer = reading(await sender.send(content))
        assert answer.code in (AckCode.AA, AckCode.AR)
        return answer.positive


class Bench(TestConformance):
    """Not collected by itself: runs a source with settings of its own."""

    __test__ = False

    def __init__(self, **settings: Any) -> None:
        self._more = settings

    def settings(self, folder: Path) -> dict[str, Any]:
        return {**super().settings(folder), **self._more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


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


# What is refused


async def refused(
    bench: Bench, folder: Path, inbox: MemoryInbox, services: PlainServices, content: bytes
) -> AckReading:
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as sender:
        answer = reading(await sender.send(content))
    assert inbox.contents == [content]
    assert inbox.messages[0].refusal is not None
    assert services.health.figures["rejected"] == 1
    return answer


async def test_a_message_without_control_id_is_kept_and_refused_for_good(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    answer = await refused(Bench(), folder, inbox, services, oru().replace(b"CTRL00001", b""))
    assert (answer.code, answer.error_codes) == (AckCode.AE, (101,))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (oru(kind="XYZ^Q99"), 200),
        (oru(kind="ORU^X77"), 201),
        (oru(version="9.9"), 203),
    ],
)
async def test_type_event_and_version_are_refused_for_good(
    folder: Path, inbox: MemoryInbox, services: PlainServices, content: bytes, error: int
) -> None:
    answer = await refused(Bench(), folder, inbox, services, content)
    assert (answer.code, answer.error_codes) == (AckCode.AE, (error,))


async def test_test_messages_are_refused_in_production(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    bench = Bench(environment="production")
    answer = await refused(bench, folder, inbox, services, oru().replace(b"|P|2.5", b"|T|2.5"))
    assert (answer.code, answer.error_codes) == (AckCode.AE, (202,))


@pytest.mark.parametrize("content", [b"", b"\x00" * 50, b"GET / HTTP/1.1", b"H|~^\\&|F.HPR||LAB", b"MSH"])
async def test_what_is_no_hl7_is_kept_and_refused_for_good(
    folder: Path, inbox: MemoryInbox, services: PlainServices, content: bytes
) -> None:
    answer = await refused(Bench(), folder, inbox, services, content)
    assert answer.code is AckCode.AE


# Enhanced mode and MLLP release 2


@pytest.mark.parametrize(
    ("wishes", "codes"),
    [
        ("|||AL|AL", ["CA", "AA"]),
        ("|||AL|NE", ["CA"]),
        ("|||NE|AL", ["AA"]),
        ("|||SU|ER", ["CA"]),
        ("|||", ["AA"]),
    ],
)
async def test_answers_follow_msh_15_and_16(
    folder: Path, inbox: MemoryInbox, services: PlainServices, wishes: str, codes: list[str]
) -> None:
    async with Bench().running(folder, inbox, services) as running, Sender(running.address) as sender:
        await sender.write(enframe(oru(1, more=wishes)) + enframe(oru(2)))
        answers = [reading(await sender.receive()) for _ in range(len(codes) + 1)]
    assert [answer.code for answer in answers] == [*codes, "AA"]
    assert [answer.control_id for answer in answers] == ["CTRL00001"] * len(codes) + ["CTRL00002"]


async def test_enhanced_mode_refuses_at_commit_level(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    content = oru(1, kind="XYZ^Q99", more="|||AL|AL")
    assert (await refused(Bench(), folder, inbox, services, content)).code is AckCode.CR


async def test_release_2_commits_then_answers(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    bench = Bench(release_2=True)
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as sender:
        await sender.write(enframe(oru(1)))
        assert enframe(await sender.receive() or b"") == COMMIT_ACK
        assert reading(await sender.receive()).code is AckCode.AA
        await sender.write(COMMIT_ACK)
        inbox.refuse()
        await sender.write(enframe(oru(2)))
        assert enframe(await sender.receive() or b"") == COMMIT_NAK
    assert inbox.contents == [oru(1)]


# Who may connect


async def test_one_connection_too_many_is_closed(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    bench = Bench(max_connections=1)
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as first:
        assert reading(await first.send(oru(1))).code is AckCode.AA
        async with Sender(running.address) as second:
            assert await left_without(second, oru(2))
        assert reading(await first.send(oru(3))).code is AckCode.AA
    assert inbox.contents == [oru(1), oru(3)]
    assert services.codes() == ["mllp.connection.turned_away"]


async def test_addresses_outside_allowed_peers_are_turned_away(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    bench = Bench(allowed_peers=["192.0.2.0/24"])
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as sender:
        assert await left_without(sender, oru(1))
    assert inbox.submitted == 0
    assert services.health.figures["turned_away"] == 1


async def left_without(sender: Sender, content: bytes, *, framed: bool = True) -> bool:
    """Send to a listener that does not want us; True when it closed without an answer."""
    try:
        await sender.write(enframe(content) if framed else content)
        return await sender.receive() is None
    except (ConnectionError, ssl.SSLError):
        return True


class Authority:
    """A throw-away authority and what it signed."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.root = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(self.root))
        self.server = folder / "server.pem"
        self.ca.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(self.server))

    def client(self, name: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.root))
        if name is not None:
            self.ca.issue_cert(name).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


async def test_tls(folder: Path, inbox: MemoryInbox, services: PlainServices, authority: Authority) -> None:
    bench = Bench(tls={"cert": authority.server})
    async with bench.running(folder, inbox, services) as running:
        async with Sender(running.address, authority.client(), "localhost") as sender:
            assert reading(await sender.send(oru(1))).code is AckCode.AA
            assert reading(await sender.send(oru(2, size=200_000))).code is AckCode.AA
        async with Sender(running.address) as sender:
            assert await left_without(sender, oru(3))
    assert inbox.contents == [oru(1), oru(2, size=200_000)]


async def test_mutual_tls(folder: Path, inbox: MemoryInbox, services: PlainServices, authority: Authority) -> None:
    tls = {
        "cert": authority.server,
        "client_ca": authority.root,
        "require_client_certificate": True,
        "allowed_client_subjects": ["labo.example"],
    }
    async with Bench(tls=tls).running(folder, inbox, services) as running:
        async with Sender(running.address, authority.client("labo.example"), "localhost") as sender:
            assert reading(await sender.send(oru(1))).code is AckCode.AA
        for stranger in (authority.client("other.example"), authority.client()):
            async with Sender(running.address, stranger, "localhost") as sender:
                assert await left_without(sender, oru(2))
    assert inbox.contents == [oru(1)]
    assert "mllp.connection.turned_away" in services.codes()


def test_settings_of_mutual_tls_are_whole() -> None:
    with pytest.raises(ValidationError, match="needs client_ca"):
        MllpSourceSettings(tls={"cert": "c.pem", "require_client_certificate": True})
    with pytest.raises(ValidationError, match="require_client_certificate = true"):
        MllpSourceSettings(tls={"cert": "c.pem", "allowed_client_subjects": ["x"]})


# Start and stop


async def test_an_address_in_use_is_said(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(folder, inbox, services) as running:
        settings = MllpSourceSettings(listen=running.address)
        source = CONNECTOR.make_source
        assert source is not None
        with pytest.raises(OSError, match="in use"):
            await source("second", settings, services).run(inbox)
        assert services.health.state == "failed"


async def test_what_cannot_be_committed_at_stop_is_not_acknowledged(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    bench = Bench(stop_grace=0.05)
    async with bench.running(folder, inbox, services) as running, Sender(running.address) as sender:
        inbox.hold()
        await sender.write(enframe(oru(1)))
        await inbox.wait_submitted(1)
        services.stopping.set()
        assert await sender.receive() is None
        await running.task
    assert services.codes() == ["mllp.stop.unanswered"]


async def test_an_inbox_that_is_shutting_down_is_not_now(
    folder: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with Bench().running(folder, inbox, services) as running, Sender(running.address) as sender:
        inbox.fail(NotAccepted("shutting down"))
        answer = reading(await sender.send(oru(1)))
    assert (answer.code, answer.error_codes) == (AckCode.AR, (207,))
    assert services.health.figures["not_accepted"] == 1


async def test_many_connections(folder: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with Bench().running(folder, inbox, services) as running:

        async def one(number: int) -> None:
            async with Sender(running.address) as sender:
                for turn in range(5):
                    assert reading(await sender.send(oru(number * 10 + turn))).code is AckCode.AA

        await asyncio.gather(*(one(number) for number in range(40)))
    assert len(inbox.contents) == 200
    assert services.health.figures["messages"] == 200
    assert services.health.figures["connections"] == 0


async def test_a_connection_that_comes_as_the_source_closes_is_broken_off_at_once(
    inbox: MemoryInbox, services: PlainServices
) -> None:
    station = Station("labo", MllpSourceSettings(), services, inbox)
    await station.drain()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(station), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answer: bytes | None = None
    async with server, asyncio.timeout(10):  # without an answer and without an end, its sender would wait for ever
        with contextlib.suppress(ConnectionError):
            async with Sender(f"127.0.0.1:{port}") as sender:
                answer = await sender.send(b"MSH|^~\\&|A\r")
    assert answer is None
    assert station.connections == set()
