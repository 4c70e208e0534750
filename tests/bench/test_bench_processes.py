"""The generator, the floor and the receiver, in this process and as the processes that they are."""

from __future__ import annotations

import asyncio
import os
import urllib.request
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from connectors.sandbox.mllp import control_id_of
from router.bench.children import Floor, Generator, Receiver
from router.bench.generator import Order, load, read_record
from router.bench.receiver import Arrivals
from router.bench.traffic import Traffic
from router.trial.process import TrialFault

Answer = Callable[[bytes], bytes | None]


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return Traffic(patients=10)


def positive(message: bytes) -> bytes:
    return f"MSH|^~\\&|X\rMSA|AA|{control_id_of(message)}\r".encode()


@asynccontextmanager
async def acknowledger(answer: Answer) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while frame := await reader.readuntil(b"\x1c\r"):
                answered = answer(frame[1:-2])
                if answered is None:
                    return
                # In two pieces: an acknowledgement may come so.
                writer.write(b"\x0b" + answered[:5])
                await writer.drain()
                writer.write(answered[5:] + b"\x1c\r")
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_closed_loop_sends_each_number_once_and_notes_every_moment(tmp_path: Path, traffic: Traffic) -> None:
    seen: list[str] = []

    def answer(message: bytes) -> bytes:
        seen.append(control_id_of(message))
        return positive(message)

    async with acknowledger(answer) as port:
        outcome = await load(Order("127.0.0.1", port, 3, 0.2, 100, 0.0, str(tmp_path / "r")), traffic)
    assert (outcome.acknowledged, outcome.refused, outcome.lost) == (outcome.sent, 0, 0)
    assert outcome.sent > 3
    assert sorted(seen) == [f"B{number:09d}" for number in range(100, 100 + outcome.sent)]
    due, sent, answered = read_record(tmp_path / "r", outcome.sent)
    assert due == sent
    assert all(begin < end for begin, end in zip(sent, answered, strict=True))
    assert max(answered) == outcome.ended


async def test_a_closed_loop_ends_once_it_has_sent_enough(tmp_path: Path, traffic: Traffic) -> None:
    async with acknowledger(positive) as port:
        outcome = await load(Order("127.0.0.1", port, 3, 30.0, 0, 0.0, str(tmp_path / "r"), 50), traffic)
    assert outcome.sent == outcome.acknowledged == 50


async def test_paced_load_sends_what_falls_due(tmp_path: Path, traffic: Traffic) -> None:
    async with acknowledger(positive) as port:
        outcome = await load(Order("127.0.0.1", port, 4, 0.25, 0, 400.0, str(tmp_path / "r")), traffic)
    assert outcome.sent == outcome.acknowledged == 100
    due, sent, _ = read_record(tmp_path / "r", 100)
    assert [moment - due[0] for moment in due] == [number * 2_500_000 for number in range(100)]
    assert all(moment <= begin for moment, begin in zip(due, sent, strict=True))


async def test_refusals_are_counted_apart(tmp_path: Path, traffic: Traffic) -> None:
    def answer(message: bytes) -> bytes:
        return (
            positive(message).replace(b"MSA|AA", b"MSA|AR")
            if control_id_of(message) == "B000000002"
            else positive(message)
        )

    async with acknowledger(answer) as port:
        outcome = await load(Order("127.0.0.1", port, 1, 0.1, 0, 0.0, str(tmp_path / "r")), traffic)
    assert outcome.refused == 1
    assert read_record(tmp_path / "r", outcome.sent)[2][2] == 0


async def test_lost_connections_end_a_load(tmp_path: Path, traffic: Traffic) -> None:
    async with acknowledger(lambda _: None) as port:
        outcome = await load(Order("127.0.0.1", port, 2, 30.0, 0, 0.0, str(tmp_path / "r")), traffic)
        paced = await load(Order("127.0.0.1", port, 2, 30.0, 0, 100.0, str(tmp_path / "r")), traffic)
    assert (outcome.lost, outcome.acknowledged) == (paced.lost, paced.acknowledged) == (2, 0)


def test_arrivals_are_noted_once_by_report() -> None:
    arrivals = Arrivals()
    body = b'{"entry":[{"request":{}},{"value":"BENCH-000070000"},{"request":{},"value":"BENCH-000070000"}]}'
    answer = arrivals.take(b"", body)
    assert answer.count(b'"status"') == 2
    arrivals.take(b"", body)
    counted = arrivals.obey({"order": "count"})
    assert (counted["distinct"], counted["again"], counted["bundles"]) == (1, 1, 2)
    assert counted["last"] == arrivals.moments[70_000] > 0


def test_floor_acknowledges_after_its_commit(tmp_path: Path) -> None:
    with Floor(tmp_path / "floor.db") as floor, Generator(10, 1) as generator:
        outcome = generator.load(Order("127.0.0.1", floor.port, 4, 0.3, 0, 0.0, str(tmp_path / "r")))
    assert outcome.acknowledged == outcome.sent > 0
    assert (tmp_path / "floor.db").exists()


def test_a_generator_says_when_nobody_listens(tmp_path: Path) -> None:
    with Generator(1, 1) as generator, pytest.raises(TrialFault, match="could not be sent"):
        generator.load(Order("127.0.0.1", 1, 1, 0.1, 0, 0.0, str(tmp_path / "r")))


def test_receiver_counts_and_records(tmp_path: Path) -> None:
    with Receiver() as receiver:
        for body in (b'{"a":"BENCH-000000003"}', b'{"a":"BENCH-000000003"}', b"{}"):
            with urllib.request.urlopen(receiver.url, data=body, timeout=10) as answer:  # noqa: S310 - our own loopback address
                assert answer.status == 200
        counted = receiver.count()
        receiver.record(tmp_path / "arrivals")
        pid = receiver.pid
    assert (counted["distinct"], counted["again"], counted["bundles"]) == (1, 1, 3)
    moments = array("q")
    moments.frombytes((tmp_path / "arrivals").read_bytes())
    assert [number for number, moment in enumerate(moments) if moment] == [3]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
