"""Testing connections: what is found at a door, behind TLS, at a FHIR server, in a folder; no message is sent."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from scripted_server import scripted

from connectors.contracts import Connector
from connectors.mllp.simulator import Receiver
from connectors.probing import Probe, ProbeCode
from connectors.registry import connectors

NOW = datetime(2026, 3, 5, tzinfo=UTC)


async def probed(name: str, side: str, **settings: Any) -> Probe:
    connector: Connector = connectors()[name]
    model = connector.source_settings if side == "source" else connector.destination_settings
    prober = connector.probe_source if side == "source" else connector.probe_destination
    assert model is not None
    assert prober is not None
    found: Probe = await prober(model(**settings), NOW)
    return found


def codes(probe: Probe) -> list[ProbeCode]:
    return [step.code for step in probe.steps]


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_an_mllp_receiver_is_reached_and_asked_nothing() -> None:
    async with Receiver() as receiver:
        found = await probed("mllp", "destination", address=receiver.address)
        assert (found.ok, codes(found)) == (True, [ProbeCode.CONNECTED])
        assert receiver.received == []
    away = await probed("mllp", "destination", address=f"127.0.0.1:{closed_port()}")
    assert (away.ok, codes(away)) == (False, [ProbeCode.UNREACHABLE])
    assert "Connection refused" in away.steps[0].detail or "Connect call failed" in away.steps[0].detail


async def test_tls_is_shaken_hands_on_and_a_foreign_certificate_refused(authority: trustme.CA, tmp_path: Path) -> None:
    known, foreign = tmp_path / "known.pem", tmp_path / "foreign.pem"
    authority.cert_pem.write_to_path(str(known))
    trustme.CA().cert_pem.write_to_path(str(foreign))
    async with Receiver(tls=server_context(authority)) as receiver:
        good = await probed("mllp", "destination", address=receiver.address, tls={"ca": known})
        assert codes(good) == [ProbeCode.CONNECTED, ProbeCode.TLS]
        bad = await probed("mllp", "destination", address=receiver.address, tls={"ca": foreign})
    assert codes(bad) == [ProbeCode.CONNECTED, ProbeCode.TLS_REFUSED]
    assert "certificate" in bad.steps[1].detail
    missing = await probed_missing(authority, tmp_path / "none.pem")
    assert codes(missing)[-1] is ProbeCode.TLS_REFUSED


async def probed_missing(authority: trustme.CA, path: Path) -> Probe:
    async with Receiver(tls=server_context(authority)) as receiver:
        return await probed("mllp", "destination", address=receiver.address, tls={"ca": path})


async def test_a_source_says_whether_its_door_is_open() -> None:
    port = closed_port()
    assert codes(await probed("mllp", "source", listen=f"0.0.0.0:{port}")) == [ProbeCode.NOT_LISTENING]
    async with Receiver(port=port):
        assert codes(await probed("mllp", "source", listen=f"0.0.0.0:{port}")) == [ProbeCode.LISTENING]
        keys = ["a-key-of-a-test-alone"]
        assert codes(await probed("http", "source", listen=f"127.0.0.1:{port}", api_keys=keys)) == [ProbeCode.LISTENING]


@asynccontextmanager
async def answering(status: int, body: object) -> AsyncIterator[tuple[str, list[web.Request]]]:
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/fhir", asked
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("name", ["fhir", "pdsm"])
async def test_a_fhir_server_says_what_it_can_do(name: str) -> None:
    capable = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
    async with answering(200, capable) as (url, asked):
        found = await probed(name, "destination", url=url, token="a-token")
    assert (found.ok, found.steps[-1].code, found.steps[-1].detail) == (True, ProbeCode.CAPABLE, "FHIR 4.0.1")
    assert [(one.method, one.path) for one in asked] == [("GET", "/fhir/metadata")]
    assert asked[0].headers["Authorization"] == "Bearer a-token"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {}, "HTTP 401"),
        (200, {"resourceType": "Bundle"}, "no CapabilityStatement"),
        (200, [], "no CapabilityStatement"),
    ],
)
async def test_a_fhir_server_that_refuses_or_is_none(status: int, body: object, said: str) -> None:
    async with answering(status, body) as (url, _):
        found = await probed("fhir", "destination", url=url)
    assert (found.ok, found.steps[-1].code, found.steps[-1].detail) == (False, ProbeCode.ANSWER_REFUSED, said)


@pytest.mark.parametrize(("status", "ok"), [(200, True), (405, True), (403, False), (500, False)])
async def test_a_webhook_is_asked_for_its_options(status: int, ok: bool) -> None:
    async with answering(status, {}) as (url, asked):
        found = await probed("http", "destination", url=url)
    assert found.ok is ok
    assert asked[0].method == "OPTIONS"


async def test_folders(tmp_path: Path) -> None:
    assert codes(await probed("directory", "source", folder=tmp_path)) == [ProbeCode.READABLE, ProbeCode.WRITABLE]
    assert codes(await probed("directory", "destination", folder=tmp_path)) == [ProbeCode.WRITABLE]
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []
    gone = tmp_path / "gone"
    assert codes(await probed("directory", "source", folder=gone)) == [ProbeCode.NOT_READABLE]
    assert codes(await probed("directory", "destination", folder=gone)) == [ProbeCode.NOT_WRITABLE]


async def test_a_mailbox_behind_something_that_is_no_mail_server(authority: trustme.CA, tmp_path: Path) -> None:
    known = tmp_path / "known.pem"
    authority.cert_pem.write_to_path(str(known))

    async def rude(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-none\r\n")
        await writer.drain()

    login = {"password": "x"}
    async with scripted(rude, server_context(authority)) as port:
        account = {"address": f"127.0.0.1:{port}", "account": "boite@test.mssante.fr", "security": "tls"}
        account |= {"connect_timeout": 2.0}
        for side in ("source", "destination"):
            more = {"allowed_domains": ["mssante.fr"]}
            found = await probed("mssante", side, **account, tls={"ca": known}, login=login, **more)
            assert not found.ok, side
            assert found.steps[-1].detail
            assert "boite" not in found.steps[-1].detail


def test_every_connector_can_be_tested_on_each_side_that_it_has() -> None:
    for name, connector in connectors().items():
        if connector.make_source is not None:
            assert connector.probe_source is not None, name
        if connector.make_destination is not None:
            assert connector.probe_destination is not None, name
