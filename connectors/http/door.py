"""Who may hold a connection of an HTTP listener: so many in all, and so many from one address."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp import web

from connectors.address import peer_host


class Door:
    """Hands connections to a server, or closes them at once; `turned_away` is told the address and why."""

    def __init__(
        self,
        server: web.Server,
        most: int,
        most_of_one: int | None,
        turned_away: Callable[[str, str], None],
    ) -> None:
        self.server = server
        self._most = most
        self._most_of_one = most_of_one
        self.turned_away = turned_away

    def enter(self) -> asyncio.Protocol:
        """Make the protocol of a connection that was accepted."""
        return _Threshold(self)

    def refusal(self, peer: str) -> str | None:
        """Say why a further connection of this address is not held, None when it is."""
        held = self.server.connections
        if len(held) >= self._most:
            return "too many connections"
        if self._most_of_one is not None and sum(_peer(one) == peer for one in held) >= self._most_of_one:
            return "too many connections from this address"
        return None


class _Threshold(asyncio.Protocol):
    """Stands for a connection until it is known whether it is held; the server's own protocol takes over then."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        peer = peer_host(transport.get_extra_info("peername"))
        reason = self._door.refusal(peer)
        if reason is not None:
            self._door.turned_away(peer, reason)
            transport.abort()
            return
        handler = self._door.server()
        transport.set_protocol(handler)
        handler.connection_made(transport)


def _peer(handler: web.RequestHandler) -> str:
    return peer_host(handler.peername)
