"""A web server that receives, for tests, demonstrations and integrators.

async with WebReceiver() as receiver:
    receiver.reply = Reply(429, headers={"Retry-After": "30"})
    ... # posts to receiver.url are kept in receiver.received
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self
from weakref import WeakSet

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer. `hang` never answers; `hang_up` closes the connection instead."""

    status: int = 200
    body: bytes = b""
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    hang_up: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """One request: its headers by lower-cased name, and its body."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class WebReceiver:
    """Listens on a free port and answers each POST with `reply`, or with what it makes of the request."""

    def __init__(
        self, reply: Reply | Callable[[Received], Reply] | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.reply: Reply | Callable[[Received], Reply] = reply or Reply()
        self.received: list[Received] = []
        self.connections = 0
        self.url = ""
        self._transports: WeakSet[asyncio.Transport] = WeakSet()
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._leaving = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/{path:.*}", self._post)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"{'https' if self._tls is not None else 'http'}://{host}:{port}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._leaving.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        self._count(request)
        named = {name.lower(): value for name, value in request.headers.items()}
        received = Received(request.path, named, await request.read())
        self.received.append(received)
        reply = self.reply if isinstance(self.reply, Reply) else self.reply(received)
        if reply.hang:
            await self._leaving.wait()
        if reply.hang_up and request.transport is not None:
            request.transport.abort()
        headers = {"Content-Type": reply.media_type, **reply.headers}
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    def _count(self, request: web.Request) -> None:
        """Count connections by the transports that requests come on; one may get the place in memory of one gone."""
        if request.transport is not None and request.transport not in self._transports:
            self._transports.add(request.transport)
            self.connections += 1
