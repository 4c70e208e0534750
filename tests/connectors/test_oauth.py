"""Tokens of a token endpoint: asked for once, renewed in time, never in a sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from connectors.contracts import Retry
from connectors.http.simulator import Reply, WebReceiver
from connectors.oauth import ClientCredentials
from connectors.outbound_http import HttpAnswer, HttpPeer, HttpPeerSettings
from connectors.testing import Clock

SECRET = "s3cr3t&more"


def token(value: str, **more: object) -> Reply:
    return Reply(200, json.dumps({"access_token": value, "token_type": "bearer", **more}).encode())


async def posted(peer: HttpPeer, clock: Clock) -> HttpAnswer | Retry:
    return await peer.post(b"{}", {}, clock())


def peer_of(server: WebReceiver, issuer: WebReceiver, **more: object) -> HttpPeer:
    oauth = {"url": issuer.url + "/token", "client_id": "routeur:1", "client_secret": SECRET, **more}
    return HttpPeer(HttpPeerSettings(url=server.url + "/fhir", oauth=ClientCredentials(**oauth)), {})


async def test_a_token_is_asked_for_once_and_renewed_before_its_end() -> None:
    clock = Clock(datetime(2026, 3, 5, tzinfo=UTC))
    async with WebReceiver() as server, WebReceiver(token("t0ken-1", expires_in=600)) as issuer:
        peer = peer_of(server, issuer, scope="documents.write")
        for _ in range(3):
            assert isinstance(await posted(peer, clock), HttpAnswer)
        issuer.reply = token("t0ken-2")
        clock.advance(575)
        await posted(peer, clock)
        await peer.close()
    sent = [request.headers["authorization"] for request in server.received]
    assert sent == ["Bearer t0ken-1"] * 3 + ["Bearer t0ken-2"]
    assert len(issuer.received) == 2
    request = issuer.received[0]
    assert request.body == b"grant_type=client_credentials&scope=documents.write"
    assert request.headers["authorization"] == "Basic cm91dGV1ciUzQTE6czNjcjN0JTI2bW9yZQ=="


async def test_a_token_that_is_refused_is_renewed_once() -> None:
    clock = Clock()
    async with WebReceiver(Reply(401)) as server, WebReceiver(token("t0ken-1", expires_in=600)) as issuer:
        peer = peer_of(server, issuer, send_secret="body")
        answer = await posted(peer, clock)
        await peer.close()
    assert isinstance(answer, HttpAnswer)
    assert answer.status == 401
    assert len(server.received) == len(issuer.received) == 2
    assert issuer.received[0].body.endswith(b"client_id=routeur%3A1&client_secret=s3cr3t%26more")
    assert "authorization" not in issuer.received[0].headers


@pytest.mark.parametrize(
    "reply",
    [
        Reply(400, b'{"error": "invalid_client", "error_description": "s3cr3t&more"}'),
        Reply(200, b"<html>log in</html>", "text/html"),
        Reply(200, b'{"access_token": ""}'),
        Reply(200, b'{"access_token": "a\\nb"}'),
        Reply(200, b'{"access_token": "x", "token_type": "mac"}'),
        Reply(302, headers={"Location": "http://127.0.0.1:1/"}),
        Reply(hang_up=True),
    ],
)
async def test_an_endpoint_without_a_token_is_the_destinations_trouble(reply: Reply) -> None:
    async with WebReceiver() as server, WebReceiver(reply) as issuer:
        peer = peer_of(server, issuer)
        answer = await posted(peer, Clock())
        await peer.close()
    assert isinstance(answer, Retry)
    assert answer.reached is False
    assert SECRET not in answer.detail
    assert server.received == []


def test_settings_that_could_not_work_are_refused() -> None:
    with pytest.raises(ValidationError, match="client_secret, or a client certificate"):
        ClientCredentials(url="https://issuer.invalid/token", client_id="x")
    oauth = {"url": "https://issuer.invalid/token", "client_id": "x", "client_secret": SECRET}
    with pytest.raises(ValidationError, match="keep it, or token"):
        HttpPeerSettings(url="https://dmp.invalid/fhir", token="t", oauth=oauth)
