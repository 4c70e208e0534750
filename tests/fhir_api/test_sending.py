"""Posting notices over a real network: redirects, names that lead inside, subscribers that hang or talk without end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from connectors.http.destination import sign
from router.dossier.subscriptions.addresses import AddressPolicy, CheckedResolver, ForbiddenAddress
from router.dossier.subscriptions.sending import NOTICE, SIGNATURE, HttpSender
from router.dossier.subscriptions.wanted import Wanted

NOW = datetime(2026, 3, 5, tzinfo=UTC)
LOOPBACK = AddressPolicy.of(["127.0.0.0/8"], http=True)


def wanted(endpoint: str) -> Wanted:
    return Wanted(endpoint, (("X-Outil", "oui"),), (), (), None, "", True, "id-only", None, None, "un secret long")


@contextlib.asynccontextmanager
async def serving(handler: Any) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}/crochet"
    await runner.cleanup()


async def test_a_notice_is_signed_over_its_time_and_bytes() -> None:
    got: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        got.append(request)
        assert await request.read() == b"{}"
        return web.Response(status=202)

    async with serving(handler) as url:
        sender = HttpSender(LOOPBACK)
        sent = await sender.send(wanted(url), b"{}", "nom", NOW)
        await sender.close()
    assert (sent.accepted, sent.detail) == (True, "HTTP 202")
    headers = got[0].headers
    assert headers[SIGNATURE] == sign(b"{}", "un secret long", int(NOW.timestamp()))
    assert (headers[NOTICE], headers["X-Outil"], headers["Content-Type"]) == ("nom", "oui", "application/fhir+json")


async def test_a_redirect_to_the_inside_is_not_followed() -> None:
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=307, headers={"Location": "/interieur"})

    async with serving(handler) as url:
        sender = HttpSender(LOOPBACK)
        sent = await sender.send(wanted(url), b"{}", "nom", NOW)
        await sender.close()
    assert (sent.accepted, paths) == (False, ["/crochet"])
    assert "redirect" in sent.detail


async def test_a_subscriber_that_hangs_is_left_and_one_that_never_ends_is_not_listened_to() -> None:
    async def hang(_request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"x" * 65536)
                await asyncio.sleep(0)
        return response

    async with serving(hang) as url:
        sender = HttpSender(LOOPBACK, timeout=0.2)
        assert not (await sender.send(wanted(url), b"{}", "nom", NOW)).accepted
        await sender.close()
    async with serving(endless) as url:
        sender = HttpSender(LOOPBACK)
        assert (await sender.send(wanted(url), b"{}", "nom", NOW)).accepted
        await sender.close()


async def test_an_address_that_was_allowed_and_is_no_more_is_not_called() -> None:
    sender = HttpSender(AddressPolicy())
    for endpoint in ("http://127.0.0.1:1/x", "https://127.0.0.1:1/x", "https://localhost:1/x"):
        sent = await sender.send(wanted(endpoint), b"{}", "nom", NOW)
        assert not sent.accepted
        assert "connect" not in sent.detail
    await sender.close()


class Rebinding(AbstractResolver):
    """A name that is outside when it is looked at, and inside when it is called."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self._answers.pop(0)
        return [ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        return None


async def test_a_name_that_changes_its_mind_is_refused_at_the_connection() -> None:
    resolver = CheckedResolver(AddressPolicy(), Rebinding("93.184.216.34", "10.0.0.7"))
    assert (await resolver.resolve("outil.example.org", 443))[0]["host"] == "93.184.216.34"
    with pytest.raises(ForbiddenAddress):
        await resolver.resolve("outil.example.org", 443)
