"""An MLLP listener."""

from __future__ import annotations

import asyncio

from connectors.address import Address, parse_address
from connectors.contracts import Inbox, Services
from connectors.mllp.connection import Connection
from connectors.mllp.settings import MllpSourceSettings
from connectors.mllp.station import Station

BACKLOG = 1024


class MllpSource:
    """Listens until stopped or cancelled; each message is acknowledged once it is on stable storage."""

    def __init__(self, name: str, settings: MllpSourceSettings, services: Services) -> None:
        self.name = name
        self._settings = settings
        self._services = services

    async def run(self, inbox: Inbox) -> None:
        """Listen. Raises OSError when the address cannot be listened on or a TLS file cannot be read."""
        health = self._services.health
        station = Station(self.name, self._settings, self._services, inbox)
        listen = parse_address(self._settings.listen)
        try:
            tls = self._settings.tls.context() if self._settings.tls is not None else None
            server = await asyncio.get_running_loop().create_server(
                lambda: Connection(station),
                listen.host,
                listen.port,
                ssl=tls,
                backlog=BACKLOG,
                ssl_handshake_timeout=None if self._settings.tls is None else self._settings.tls.handshake_timeout,
            )
        except OSError as failure:
            health.state = "failed"
            health.detail = f"cannot listen: {failure.strerror or type(failure).__name__}"
            raise
        try:
            host, port = server.sockets[0].getsockname()[:2]
            health.state, health.detail = "listening", str(Address(host, port))
            self._services.ready(health.detail)
            await self._services.stopping.wait()
        finally:
            server.close()
            health.state = "stopping"
            await station.drain()
            health.state, health.detail = "stopped", ""
