"""Rates, connections and patience of the sources that listen (`docs/operations/limits.md`)."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import aiohttp
import pytest
import test_http_source as http
import test_mllp_source as mllp
from conformance import until
from hypothesis import given, strategies as st

from connectors.address import parse_address
from connectors.mllp.codec import COMMIT_NAK, enframe
from connectors.mllp.simulator import Sender
from connectors.pace import TokenBucket
from connectors.testing import MemoryInbox, PlainServices
from mappings.hl7v2.ack import AckCode


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.floats(0.1, 100), st.integers(1, 20), st.lists(st.floats(0, 5), max_size=60))
def test_a_bucket_never_gives_more_than_its_rate(rate: float, burst: int, pauses: list[float]) -> None:
    clock = Ticks()
    bucket = TokenBucket(rate, burst, clock)
    taken = 0
    for pause in pauses:
        clock.now += pause
        wait = bucket.refusal()
        taken += not wait
        if wait:
            assert wait <= 1.0 / rate + 1e-6
    assert taken <= burst + clock.now * rate + 1e-6


def test_a_debt_is_paid_by_time() -> None:
    clock = Ticks()
    bucket = TokenBucket(2.0, 1, clock)
    assert [bucket.debt() for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]
    assert not bucket.is_full
    clock.now += 2.0
    assert bucket.is_full
    assert bucket.debt() == 0.0


async def test_mllp_over_its_rate_is_left_unread_and_loses_nothing(
    tmp_path: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with (
        mllp.Bench(max_rate=200.0, burst=2, max_in_flight=500).running(tmp_path, inbox, services) as running,
        Sender(running.address) as sender,
    ):
        for number in range(12):
            await sender.write(enframe(mllp.oru(number)))
            await until(lambda count=number: inbox.submitted > count)
        codes = [mllp.reading(await sender.receive()).code for _ in range(12)]
    assert codes == [AckCode.AA] * 12
    assert inbox.contents == [mllp.oru(number) for number in range(12)]
    assert services.health.figures["slowed"] >= 1
    assert services.health.figures["too_fast"] == 0
    assert "mllp.slowed" in services.codes()


async def test_mllp_that_is_left_unread_is_not_read_at_all(
    tmp_path: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with (
        mllp.Bench(max_rate=0.001, burst=1).running(tmp_path, inbox, services) as running,
        Sender(running.address) as sender,
        Sender(running.address) as other,
    ):
        await sender.write(enframe(mllp.oru(1)))
        await inbox.wait_committed(1)
        await sender.write(enframe(mllp.oru(2)))  # the one that goes into debt
        await inbox.wait_committed(2)
        await sender.write(enframe(mllp.oru(3)))
        await other.write(enframe(mllp.oru(4)))  # another connection of the same source pays as well, for its next
        await inbox.wait_committed(3)
        assert [reading.control_id for reading in [mllp.reading(await sender.receive()) for _ in range(2)]] == [
            "CTRL00001",
            "CTRL00002",
        ]
    assert mllp.oru(3) not in inbox.contents


@pytest.mark.parametrize(("release_2", "size"), [(False, 0), (False, 100_000), (True, 0)])
async def test_mllp_over_its_rate_answers_where_senders_send_again(
    tmp_path: Path, inbox: MemoryInbox, services: PlainServices, release_2: bool, size: int
) -> None:
    bench = mllp.Bench(max_rate=0.01, burst=1, over_rate="refuse", release_2=release_2)
    async with bench.running(tmp_path, inbox, services) as running, Sender(running.address) as sender:
        await sender.send(mllp.oru(1))
        if release_2:
            await sender.receive()
        refused = await sender.send(mllp.oru(2, size=size))
        assert refused is not None
        if release_2:
            assert enframe(refused) == COMMIT_NAK
        else:
            answer = mllp.reading(refused)
            assert (answer.code, answer.control_id) == (AckCode.AR, "CTRL00002")
            assert b"too many messages: send it again in 100 s" in refused
    assert inbox.contents == [mllp.oru(1)]
    assert services.health.figures["too_fast"] == 1
    assert spooled(tmp_path) == []


async def test_mllp_holds_so_many_connections_of_one_address(
    tmp_path: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with mllp.Bench(max_connections_per_peer=2).running(tmp_path, inbox, services) as running:
        async with Sender(running.address) as one, Sender(running.address) as two:
            await one.send(mllp.oru(1))
            await two.send(mllp.oru(2))
            async with Sender(running.address) as three:
                assert await three.receive() is None
        await until(lambda: services.health.figures["connections"] == 0)
        async with Sender(running.address) as again:
            assert mllp.reading(await again.send(mllp.oru(3))).code is AckCode.AA


async def test_mllp_gives_up_a_message_that_drips(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    bench = mllp.Bench(message_timeout=0.2, frame_timeout=0.1)
    async with bench.running(tmp_path, inbox, services) as running, Sender(running.address) as sender:
        await sender.write(b"\x0b")
        with contextlib.suppress(OSError):
            while "mllp.too_slow" not in services.codes():
                await sender.write(b"M")
                await asyncio.sleep(0.01)
        with contextlib.suppress(OSError):
            assert await sender.receive() is None
    assert "mllp.too_slow" in services.codes()
    assert inbox.contents == []


async def test_http_over_its_rate_is_429_with_retry_after(
    tmp_path: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with http.Bench(max_rate=0.1, burst=2).running(tmp_path, inbox, services) as running:
        assert [(await http.post(running, f"{number}".encode()))[0] for number in range(2)] == [202, 202]
        async with (
            aiohttp.ClientSession() as session,
            session.post(running.address, data=b"x", headers={"X-API-Key": http.KEY}) as answer,
        ):
            assert answer.status == 429
            assert 1 <= int(answer.headers["Retry-After"]) <= 10
            assert answer.content_type == "application/problem+json"
        # Who shows no key does not use up the share of who does.
        assert (await http.post(running, b"x", key=None))[0] == 401
    assert len(inbox.contents) == 2


@pytest.mark.parametrize("limit", ["max_connections", "max_connections_per_peer"])
async def test_http_holds_so_many_connections(
    tmp_path: Path, inbox: MemoryInbox, services: PlainServices, limit: str
) -> None:
    async with http.Bench(**{limit: 1}).running(tmp_path, inbox, services) as running:
        address = parse_address(running.address.split("/")[2])
        _, first = await asyncio.open_connection(address.host, address.port)
        reader, second = await asyncio.open_connection(address.host, address.port)
        assert await left(reader)
        assert services.health.figures["turned_away"] == 1
        second.close()
        first.close()
        await first.wait_closed()

        for _ in range(1000):  # the server hears a moment later that the first one left
            with contextlib.suppress(aiohttp.ClientError):
                assert (await http.post(running, b"one"))[0] == 202
                break
    assert inbox.contents == [b"one"]


@pytest.mark.parametrize("said", [b"", b"POST /messages HTTP/1.1\r\nHost: a\r\n"], ids=["silent", "head that drips"])
async def test_http_does_not_wait_for_a_head_for_ever(
    tmp_path: Path, inbox: MemoryInbox, services: PlainServices, said: bytes
) -> None:
    async with http.Bench(idle_timeout=0.2).running(tmp_path, inbox, services) as running:
        address = parse_address(running.address.split("/")[2])
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(said)
        dripping = asyncio.create_task(_drip(writer)) if said else None
        assert await left(reader)
        if dripping is not None:
            dripping.cancel()
        writer.close()


def spooled(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def left(reader: asyncio.StreamReader) -> bool:
    """The peer closed, or broke off, without a word."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def _drip(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b"X-A: b\r\n")
        await asyncio.sleep(0.01)


async def test_a_tls_handshake_that_never_ends_is_given_up(
    tmp_path: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    tls = {"cert": str(mllp.Authority(tmp_path).server), "handshake_timeout": 0.2}
    async with mllp.Bench(tls=tls).running(tmp_path, inbox, services) as running:
        address = parse_address(running.address)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        assert await left(reader)
        writer.close()
    assert services.health.figures["connections"] == 0
