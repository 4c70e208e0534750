from __future__ import annotations

import gc
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import trustme
from conformance import Attempt, NetworkDestinationConformance, Peer
from pydantic import ValidationError

from connectors.contracts import Delivered, Outcome, Parcel, Refused, Retry
from connectors.http import CONNECTOR
from connectors.http.codec import multipart
from connectors.http.destination import HttpDestination
from connectors.http.settings import HttpDestinationSettings
from connectors.http.simulator import Reply, WebReceiver
from connectors.outbound_http import KEPT_ANSWER, retry_after
from connectors.testing import PlainServices

PARCEL = Parcel(
    delivery_id=7,
    identity="D000007",
    content=b'{"patient": "TESTROSE"}',
    media_type="application/json",
    filename="d7.json",
    attempt=1,
)


class WebPeer:
    BEHAVIOUR = {  # noqa: RUF012 - read only
        "accept": Reply(200, b"{}"),
        "refuse": Reply(422, b'{"detail": "TESTROSE"}'),
        "later": Reply(503, b"TESTROSE", "text/plain"),
        "hang": Reply(hang=True),
        "garbage": Reply(500, b"\x00\xff TESTROSE", "text/html"),
        "hang_up": Reply(hang_up=True),
    }

    def __init__(self, receiver: WebReceiver, path: str) -> None:
        self.receiver = receiver
        self.settings: dict[str, Any] = {"url": receiver.url + path}

    @property
    def received(self) -> list[Attempt]:
        return [Attempt(request.body, request.headers["idempotency-key"]) for request in self.receiver.received]

    def behave(self, how: str) -> None:
        self.receiver.reply = self.BEHAVIOUR[how]


class TestConformance(NetworkDestinationConformance):
    connector = CONNECTOR
    impatient = {"timeout": 0.1}  # noqa: RUF012 - read only

    def content(self, number: int) -> bytes:
        return f"TESTROSE {number}".encode()

    def peer(self, folder: Path) -> AbstractAsyncContextManager[Peer]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Peer]:
            async with WebReceiver() as receiver:
                yield WebPeer(receiver, "/hook")

        return opened()

    def absent(self, folder: Path) -> dict[str, Any]:
        return {"url": "http://127.0.0.1:1/hook"}

    def connections(self, peer: Peer) -> int:
        assert isinstance(peer, WebPeer)
        return peer.receiver.connections


async def send(services: PlainServices, url: str, parcel: Parcel = PARCEL, **settings: Any) -> Outcome:
    destination = HttpDestination("spico", HttpDestinationSettings(url=url, **settings), services)
    try:
        return await destination.send(parcel)
    finally:
        await destination.close()


async def test_connections_that_came_one_after_another_are_told_apart(services: PlainServices) -> None:
    """What `test_connections_are_kept` rests on: the place in memory of one that is gone becomes the next one's."""
    gc.freeze()  # what other tests left is not looked through each time
    try:
        async with WebReceiver() as receiver:
            for _ in range(12):
                assert isinstance(await send(services, f"{receiver.url}/hook"), Delivered)
                gc.collect()
            assert receiver.connections == 12
    finally:
        gc.unfreeze()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Delivered),
        (202, Delivered),
        (204, Delivered),
        (301, Refused),
        (307, Refused),
        (400, Refused),
        (403, Refused),
        (404, Refused),
        (409, Refused),
        (413, Refused),
        (422, Refused),
        (408, Retry),
        (425, Retry),
        (429, Retry),
        (500, Retry),
        (502, Retry),
        (503, Retry),
        (504, Retry),
        (501, Refused),
    ],
)
async def test_each_status_has_its_outcome(services: PlainServices, status: int, expected: type[Outcome]) -> None:
    body = b"" if status == 204 else b"why"
    async with WebReceiver(Reply(status, body, headers={"Location": "http://127.0.0.1:1/"})) as receiver:
        outcome = await send(services, receiver.url)
        assert len(receiver.received) == 1
    assert isinstance(outcome, expected)
    assert outcome.answer == body
    assert str(status) in outcome.detail


async def test_refused_credentials_are_the_destinations_trouble(services: PlainServices) -> None:
    async with WebReceiver(Reply(401)) as receiver:
        outcome = await send(services, receiver.url)
    assert isinstance(outcome, Retry)
    assert outcome.reached is False


async def test_retry_after_is_told(services: PlainServices) -> None:
    async with WebReceiver(Reply(429, headers={"Retry-After": "30"})) as receiver:
        outcome = await send(services, receiver.url)
    assert isinstance(outcome, Retry)
    assert outcome.after == 30.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        ("Thu, 05 Mar 2026 08:12:00 GMT", 120.0),
        ("Thu, 05 Mar 2026 08:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, datetime(2026, 3, 5, 8, 10, tzinfo=UTC)) == seconds


async def test_what_is_sent(services: PlainServices) -> None:
    async with WebReceiver() as receiver:
        await send(
            services,
            receiver.url + "/in/here",
            token="t0ken",
            api_key="k3y",
            api_key_header="X-Key",
            headers={"X-Tenant": "35"},
        )
        (request,) = receiver.received
    assert request.path == "/in/here"
    assert request.body == PARCEL.content
    assert request.headers["authorization"] == "Bearer t0ken"
    assert request.headers["x-key"] == "k3y"
    assert request.headers["x-tenant"] == "35"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "D000007"
    assert request.headers["user-agent"] == "passerelle"
    assert "x-passerelle-signature" not in request.headers


async def test_basic_authentication(services: PlainServices) -> None:
    async with WebReceiver() as receiver:
        await send(services, receiver.url, username="labo", password="secret")
        assert receiver.received[0].headers["authorization"] == "Basic bGFibzpzZWNyZXQ="


async def test_the_signature_can_be_checked(services: PlainServices) -> None:
    async with WebReceiver() as receiver:
        await send(services, receiver.url, signature_secret="shared", signature_header="X-Sig")
        (request,) = receiver.received
    time, _, digest = request.headers["x-sig"].partition(",v1=")
    moment = time.removeprefix("t=")
    assert moment == str(int(services.now().timestamp()))
    expected = hmac.new(b"shared", f"{moment}.".encode() + request.body, hashlib.sha256).hexdigest()
    assert digest == expected


async def test_two_secrets_sign_while_a_receiver_changes_over(services: PlainServices) -> None:
    async with WebReceiver() as receiver:
        await send(services, receiver.url, signature_secret="the new one", former_signature_secret="the former one")
        (request,) = receiver.received
    time, *digests = request.headers["x-passerelle-signature"].split(",v1=")
    signed = f"{time.removeprefix('t=')}.".encode() + request.body
    assert digests == [
        hmac.new(secret, signed, hashlib.sha256).hexdigest() for secret in (b"the new one", b"the former one")
    ]


async def test_attachments_travel_in_one_form(services: PlainServices) -> None:
    parcel = Parcel(
        delivery_id=1,
        identity="D1",
        content=b"H|~^\\&|\r",
        media_type="text/plain",
        filename="cr.hpr",
        attempt=1,
        attachments={'le"t\r\nter.pdf': b"%PDF\r\n--x"},
    )
    async with WebReceiver() as receiver:
        assert isinstance(await send(services, receiver.url, parcel), Delivered)
        (request,) = receiver.received
    form = message_from_bytes(f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode() + request.body)
    parts = [part for part in form.walk() if not part.is_multipart()]
    assert [part.get_filename() for part in parts] == ["cr.hpr", "le_t__ter.pdf"]
    assert [part.get_payload(decode=True) for part in parts] == [b"H|~^\\&|\r", b"%PDF\r\n--x"]
    assert multipart(parcel) == multipart(parcel)


async def test_long_answers_are_cut(services: PlainServices) -> None:
    async with WebReceiver(Reply(422, b"x" * 100_000)) as receiver:
        outcome = await send(services, receiver.url)
        assert len(outcome.answer) == KEPT_ANSWER
        outcome = await send(services, receiver.url, max_answer=20_000)
        assert isinstance(outcome, Refused)


async def test_tls_is_verified(tmp_path: Path, services: PlainServices) -> None:
    authority = trustme.CA()
    root = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(root))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "spico.example").configure_cert(context)
    async with WebReceiver(tls=context) as receiver:
        unknown = await send(services, receiver.url)
        assert isinstance(unknown, Retry)
        assert unknown.reached is False
        assert "TLS" in unknown.detail
        assert isinstance(await send(services, receiver.url, tls={"ca": root}), Delivered)
        named = {"ca": root, "server_name": "spico.example"}
        assert isinstance(await send(services, receiver.url, tls=named), Delivered)
        wrong = {"ca": root, "server_name": "other.example"}
        assert isinstance(await send(services, receiver.url, tls=wrong), Retry)


async def test_a_name_that_does_not_resolve(services: PlainServices) -> None:
    outcome = await send(services, "http://nobody.invalid/hook")
    assert isinstance(outcome, Retry)
    assert outcome.reached is False
    assert "nobody" not in outcome.detail


@pytest.mark.parametrize(
    "settings",
    [
        {"username": "alone"},
        {"username": "u", "password": "p", "token": "t"},
        {"url": "http://user:secret@host/hook"},
        {"url": "ftp://host/"},
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HttpDestinationSettings(**{"url": "http://host/hook", **settings})


def test_secrets_do_not_show() -> None:
    settings = HttpDestinationSettings(
        url="http://host/",
        token="t0ken",
        signature_secret="shared",
    )
    assert "t0ken" not in repr(settings)
    assert "shared" not in repr(settings)
