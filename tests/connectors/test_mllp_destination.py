from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from conformance import Attempt, NetworkDestinationConformance, Peer, until
from pydantic import ValidationError

from connectors.contracts import Delivered, Outcome, Parcel, Refused, Retry
from connectors.mllp import CONNECTOR
from connectors.mllp.codec import COMMIT_ACK, COMMIT_NAK, enframe
from connectors.mllp.destination import MllpDestination, control_id_of
from connectors.mllp.settings import MllpDestinationSettings
from connectors.mllp.simulator import Receiver, answer_with
from connectors.testing import PlainServices


def oru(number: int = 1) -> bytes:
    return (
        f"MSH|^~\\&|PASS|PASS|LAB|LABO|20260305081000||ORU^R01^ORU_R01|CTRL{number:05d}|P|2.5\r"
        "PID|1||IPP-1||TESTROSE^MARIE\r"
    ).encode()


def parcel(number: int = 1, content: bytes | None = None) -> Parcel:
    return Parcel(
        delivery_id=number,
        identity=f"CTRL{number:05d}",
        content=oru(number) if content is None else content,
        media_type="x-application/hl7-v2+er7",
        filename="m.hl7",
        attempt=1,
    )


class MllpPeer:
    BEHAVIOUR = {  # noqa: RUF012 - read only
        "accept": answer_with("AA"),
        "refuse": answer_with("AE", 102),
        "later": answer_with("AR", 207),
        "hang": lambda content: None,
        "garbage": lambda content: enframe(b"<html>TESTROSE</html>"),
        "hang_up": lambda content: b"",
    }

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.settings: dict[str, Any] = {"address": receiver.address}

    @property
    def received(self) -> list[Attempt]:
        return [Attempt(content, control_id_of(content)) for content in self.receiver.received]

    def behave(self, how: str) -> None:
        self.receiver.answer = self.BEHAVIOUR[how]


class TestConformance(NetworkDestinationConformance):
    connector = CONNECTOR
    impatient = {"answer_timeout": 0.05}  # noqa: RUF012 - read only

    def content(self, number: int) -> bytes:
        return oru(number)

    def peer(self, folder: Path) -> AbstractAsyncContextManager[Peer]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Peer]:
            async with Receiver() as receiver:
                yield MllpPeer(receiver)

        return opened()

    def absent(self, folder: Path) -> dict[str, Any]:
        return {"address": "127.0.0.1:1"}

    def connections(self, peer: Peer) -> int:
        assert isinstance(peer, MllpPeer)
        return peer.receiver.connections


async def send(services: PlainServices, receiver: Receiver, what: Parcel | None = None, **settings: Any) -> Outcome:
    values: dict[str, Any] = {"address": receiver.address, "answer_timeout": 0.05, **settings}
    destination = MllpDestination("chu", MllpDestinationSettings(**values), services)
    try:
        return await destination.send(what or parcel())
    finally:
        await destination.close()


@pytest.mark.parametrize(
    ("code", "errors", "expected"),
    [
        ("AA", (), Delivered),
        ("CA", (), Delivered),
        ("AE", (), Refused),
        ("CE", (101,), Refused),
        ("AR", (), Retry),
        ("AR", (207,), Retry),
        ("CR", (206,), Retry),
        ("AR", (200,), Refused),
        ("AR", (201,), Refused),
        ("CR", (202,), Refused),
        ("AR", (203,), Refused),
        ("ZZ", (), Refused),
    ],
)
async def test_each_code_has_its_outcome(
    services: PlainServices, code: str, errors: tuple[int, ...], expected: type[Outcome]
) -> None:
    async with Receiver(answer_with(code, *errors)) as receiver:
        outcome = await send(services, receiver)
    assert isinstance(outcome, expected)
    assert outcome.answer.startswith(b"MSH|")
    assert all(str(error) in outcome.detail for error in errors)


async def test_an_answer_to_another_message_is_ignored_and_counted(services: PlainServices) -> None:
    right = answer_with("AA")

    def confused(content: bytes) -> bytes:
        return (answer_with("AE")(oru(999)) or b"") + (right(content) or b"")

    async with Receiver(confused) as receiver:
        outcome = await send(services, receiver)
    assert isinstance(outcome, Delivered)
    assert services.health.figures["unmatched"] == 1


async def test_only_an_answer_to_another_message_is_no_answer(services: PlainServices) -> None:
    async with Receiver(lambda content: answer_with("AA")(oru(999))) as receiver:
        outcome = await send(services, receiver)
    assert isinstance(outcome, Retry)
    assert outcome.reached


async def test_a_refusal_that_names_no_message_is_ours(services: PlainServices) -> None:
    async with Receiver(lambda content: enframe(b"MSH|^~\\&|S|S|P|P|2026||ACK|1|P|2.5\rMSA|AE|\r")) as receiver:
        assert isinstance(await send(services, receiver), Refused)


async def test_a_late_answer_is_never_taken_for_the_next_one(services: PlainServices) -> None:
    """After a silence the connection is closed: what comes late on it reaches nobody."""
    answers = iter([None, answer_with("AR")])

    def answer(content: bytes) -> bytes | None:
        make = next(answers)
        return make(content) if make is not None else None

    async with Receiver(answer) as receiver:
        destination = MllpDestination(
            "chu", MllpDestinationSettings(address=receiver.address, answer_timeout=0.05), services
        )
        assert isinstance(await destination.send(parcel(1)), Retry)
        assert isinstance(await destination.send(parcel(2)), Retry)
        await destination.close()
        assert receiver.connections == 2


async def test_an_answer_without_its_last_byte_is_taken_after_a_grace(services: PlainServices) -> None:
    async with Receiver(lambda content: (answer_with("AA")(content) or b"")[:-1]) as receiver:
        outcome = await send(services, receiver, answer_timeout=10)
    assert isinstance(outcome, Delivered)


async def test_an_endless_answer_is_cut(services: PlainServices) -> None:
    async with Receiver(lambda content: b"\x0b" + b"x" * 5000) as receiver:
        outcome = await send(services, receiver, max_answer=2048)
    assert isinstance(outcome, Retry)
    assert "too long" in outcome.detail
    assert len(outcome.answer) <= 1024


@pytest.mark.parametrize("byte", [b"\x0b", b"\x1c"])
async def test_a_content_that_would_break_the_frame_is_refused(services: PlainServices, byte: bytes) -> None:
    async with Receiver() as receiver:
        outcome = await send(services, receiver, parcel(content=oru() + byte))
        assert receiver.received == []
    assert isinstance(outcome, Refused)


async def test_connections_closed_by_the_peer_are_replaced(services: PlainServices) -> None:
    async with Receiver() as receiver:
        destination = MllpDestination("chu", MllpDestinationSettings(address=receiver.address), services)
        assert isinstance(await destination.send(parcel(1)), Delivered)
        for task in list(receiver._tasks):
            task.cancel()
        await until(lambda: not services.health.figures["connections"])
        assert isinstance(await destination.send(parcel(2)), Delivered)
        await destination.close()


async def test_a_peer_that_wants_one_connection_a_message(services: PlainServices) -> None:
    async with Receiver() as receiver:
        destination = MllpDestination(
            "chu", MllpDestinationSettings(address=receiver.address, keep_open=False), services
        )
        for number in range(3):
            assert isinstance(await destination.send(parcel(number)), Delivered)
        await destination.close()
        assert receiver.connections == 3


async def test_no_more_connections_than_concurrency(services: PlainServices) -> None:
    async with Receiver() as receiver:
        destination = MllpDestination("chu", MllpDestinationSettings(address=receiver.address, concurrency=3), services)
        await asyncio.gather(*(destination.send(parcel(number)) for number in range(30)))
        await destination.close()
        assert receiver.connections == 3
        assert len(receiver.received) == 30


async def test_release_2(services: PlainServices) -> None:
    def answer(content: bytes) -> bytes | None:
        if content == b"\x06":
            return None
        return COMMIT_ACK + (answer_with("AA")(content) or b"")

    async with Receiver(answer) as receiver:
        outcome = await send(services, receiver, release_2=True)
        assert isinstance(outcome, Delivered)
        assert outcome.acknowledged
        await until(lambda: len(receiver.received) == 2)
        assert receiver.received[1] == b"\x06"


async def test_release_2_without_hl7_answers(services: PlainServices) -> None:
    async with Receiver(lambda content: COMMIT_ACK) as receiver:
        outcome = await send(services, receiver, release_2=True, wait_for_answer=False)
        assert isinstance(outcome, Delivered)
        assert not outcome.acknowledged
        receiver.answer = lambda content: COMMIT_NAK
        assert isinstance(await send(services, receiver, release_2=True, wait_for_answer=False), Retry)


def test_some_answer_is_awaited() -> None:
    with pytest.raises(ValidationError, match="needs release_2"):
        MllpDestinationSettings(address="127.0.0.1:2575", wait_for_answer=False)


async def test_tls_both_ways(tmp_path: Path, services: PlainServices) -> None:
    authority = trustme.CA()
    root, client = tmp_path / "ca.pem", tmp_path / "client.pem"
    authority.cert_pem.write_to_path(str(root))
    authority.issue_cert("router.example").private_key_and_cert_chain_pem.write_to_path(str(client))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(root))
    context.verify_mode = ssl.CERT_REQUIRED
    authority.issue_cert("chu.example").configure_cert(context)
    async with Receiver(tls=context) as receiver:
        tls = {"ca": root, "cert": client, "server_name": "chu.example"}
        assert isinstance(await send(services, receiver, tls=tls), Delivered)
        wrong_name = await send(services, receiver, tls={**tls, "server_name": "other.example"})
        assert isinstance(wrong_name, Retry)
        assert wrong_name.reached is False
        assert "TLS" in wrong_name.detail


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (oru(7), "CTRL00007"),
        (b"MSH|^~\\&|a|b|c|d|e||f|\xc3\xa9|P\r", "é"),
        (b"MSH|^~\\&|a|b|c|d|e||f|\xe9|P\r", "é"),
        (b"MSH|^~\\&|a", ""),
        (b"FHS|^~\\&|", ""),
        (b"", ""),
    ],
)
def test_control_id_of(content: bytes, expected: str) -> None:
    assert control_id_of(content) == expected
