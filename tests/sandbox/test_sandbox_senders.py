"""The laboratory and the hospital against a scripted receiver: acknowledgements read, resends with the same bytes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from connectors.sandbox import hospital as hospitals, laboratory as laboratories
from connectors.sandbox.adt import CARDIOLOGY
from connectors.sandbox.hospital import Hospital, HospitalSettings
from connectors.sandbox.laboratory import Laboratory, LaboratorySettings, drop
from connectors.sandbox.mllp import MllpSender, NoAnswer, control_id_of, read_ack
from connectors.sandbox.people import ROSE, population

Answer = Callable[[bytes], bytes | None]


def ack(code: str, control_id: str, error: str = "") -> bytes:
    lines = [f"MSH|^~\\&|R|R|S|S|20260305||ACK^R01^ACK|1|T|2.5\rMSA|{code}|{control_id}"]
    if error:
        lines.append(f"ERR||PID^1^3|{error}|E")
    return ("\r".join(lines) + "\r").encode()


def accepted(message: bytes) -> bytes:
    return ack("AA", control_id_of(message))


class Receiver:
    """Answers each message with `answer(message)`; None closes the connection without an answer."""

    def __init__(self, answer: Answer = accepted) -> None:
        self.answer = answer
        self.messages: list[bytes] = []
        self.enough = asyncio.Event()
        self.wanted = 1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while frame := await reader.readuntil(b"\x1c\r"):
                message = frame[1:-2]
                self.messages.append(message)
                if len(self.messages) >= self.wanted:
                    self.enough.set()
                answer = self.answer(message)
                if answer is None:
                    return
                writer.write(b"\x0b" + answer + b"\x1c\r")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def listening(receiver: Receiver) -> AsyncIterator[str]:
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def dropped(folder: Path) -> int:
    return len(list(folder.iterdir()))


def test_acks_are_read_whatever_their_spacing() -> None:
    answer = read_ack(b"MSH|^~\\&|A\rMSA| AE |7|\rERR||PID^1^3| 902^Inconnu|E\r")
    assert (answer.code, answer.control_id, answer.error) == ("AE", "7", "902")
    assert not answer.accepted
    assert not answer.worth_resending
    with pytest.raises(ValueError, match="MSA-1"):
        read_ack(b"MSH|^~\\&|A\rERR|\r")


async def test_a_report_is_sent_and_its_acknowledgement_read() -> None:
    receiver = Receiver()
    async with listening(receiver) as address, MllpSender.to(f"mllp://{address}") as sender:
        laboratory = Laboratory(sender=sender, seed=4)
        answers = [await laboratory.send_report(laboratory.report(ROSE)) for _ in range(3)]
    assert all(answer.accepted for answer in answers)
    ids = [control_id_of(message) for message in receiver.messages]
    assert ids == [answer.control_id for answer in answers]
    assert len(set(ids)) == 3


async def test_no_answer_means_the_same_bytes_again() -> None:
    codes = iter([None, "AR", "AA"])

    def answer(message: bytes) -> bytes | None:
        code = next(codes)
        return None if code is None else ack(code, control_id_of(message))

    receiver = Receiver(answer)
    async with listening(receiver) as address, MllpSender.to(address) as sender:
        laboratory = Laboratory(sender=sender)
        answered = await laboratory.send_report(laboratory.report(ROSE))
    assert answered.accepted
    assert len(receiver.messages) == 3
    assert len(set(receiver.messages)) == 1


async def test_what_will_never_be_accepted_is_not_sent_again() -> None:
    receiver = Receiver(lambda message: ack("AE", control_id_of(message), "101"))
    async with listening(receiver) as address, MllpSender.to(address) as sender:
        laboratory = Laboratory(sender=sender)
        answered = await laboratory.send_report(laboratory.report(ROSE))
    assert (answered.code, answered.error, len(receiver.messages)) == ("AE", "101", 1)


async def test_an_acknowledgement_of_another_message_is_none() -> None:
    receiver = Receiver(lambda _: ack("AA", "ANOTHER"))
    async with listening(receiver) as address, MllpSender.to(address) as sender:
        with pytest.raises(NoAnswer, match="another message"):
            await sender.send(b"MSH|^~\\&|A|B|C|D|20260305||ORU^R01|MINE|T|2.5\r")


async def test_silence_ends_with_the_time_limit() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stopped.wait()
        writer.close()

    stopped = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with MllpSender("127.0.0.1", port, timeout=0.05) as sender:
            with pytest.raises(NoAnswer, match="TimeoutError"):
                await sender.send(b"MSH|^~\\&|A\r")
        stopped.set()


def test_addresses_are_host_and_port() -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        MllpSender.to("localhost")


async def test_a_stay_from_admission_to_discharge() -> None:
    receiver = Receiver()
    async with listening(receiver) as address, MllpSender.to(address) as sender:
        hospital = Hospital(sender)
        stay, _ = await hospital.admit(ROSE)
        stay, _ = await hospital.transfer(stay, CARDIOLOGY)
        await hospital.discharge(stay)
        await hospital.cancel_admission(stay)
        await hospital.register(ROSE)
        await hospital.update(ROSE)
        answered = await hospital.merge(ROSE, "IPP000777")
    assert answered.accepted
    events = [message.split(b"|")[8].split(b"^")[1].decode() for message in receiver.messages]
    assert events == ["A01", "A02", "A03", "A11", "A28", "A31", "A40"]
    visits = {
        line.split(b"|")[19] for message in receiver.messages[:4] for line in message.split(b"\r") if line[:3] == b"PV1"
    }
    assert len(visits) == 1
    assert len({control_id_of(message) for message in receiver.messages}) == 7


async def test_two_senders_can_keep_their_numbers_apart() -> None:
    receiver = Receiver()
    async with listening(receiver) as address, MllpSender.to(address) as sender:
        stays = [(await Hospital(sender, first=first).admit(ROSE))[0] for first in (0, 1000)]
        reports = [Laboratory(first=first).report(ROSE) for first in (0, 1000)]
    assert len({stay.visit.number for stay in stays}) == len({stay.last.identifier for stay in stays}) == 2
    assert len({report.report_id for report in reports}) == 2
    assert len({control_id_of(message) for message in receiver.messages}) == 2


def test_dropped_files_are_never_seen_by_halves(tmp_path: Path) -> None:
    laboratory = Laboratory(folder=tmp_path / "in", seed=2)
    first = laboratory.drop_medecin(laboratory.report(ROSE))
    second = laboratory.drop_sante(laboratory.report(ROSE))
    assert sorted(tmp_path.joinpath("in").iterdir()) == sorted([first, second])
    assert first.suffix == ".HPM"
    assert second.read_bytes().startswith(b"H|~^\\&|" + second.name.encode())
    assert drop(tmp_path, "x.txt", b"1").read_bytes() == b"1"


async def test_a_laboratory_runs_until_it_is_stopped(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.wanted = 8
    async with listening(receiver) as address:
        settings = LaboratorySettings(mllp=address, folder=tmp_path, every=0.001, people=population(3))
        running = asyncio.create_task(laboratories.run(settings))
        await asyncio.wait_for(receiver.enough.wait(), 10)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert len(set(receiver.messages)) == len(receiver.messages)
    assert dropped(tmp_path) > 0


async def test_a_hospital_runs_until_it_is_stopped_and_survives_a_cut() -> None:
    draw = random.Random(1)
    receiver = Receiver(lambda message: accepted(message) if draw.random() < 0.8 else None)
    receiver.wanted = 30
    async with listening(receiver) as address:
        settings = HospitalSettings(mllp=address, every=0.001, people=population(3))
        running = asyncio.create_task(hospitals.run(settings))
        await asyncio.wait_for(receiver.enough.wait(), 10)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    events = {message.split(b"|")[8].split(b"^")[1] for message in receiver.messages}
    assert events == {b"A01", b"A02", b"A03"}
