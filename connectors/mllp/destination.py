"""Sends HL7 v2 messages over a pool of MLLP connections, one in flight on each."""

from __future__ import annotations

import asyncio
import ssl

from connectors.address import parse_address
from connectors.contracts import Outcome, Parcel, Refused, Retry, Services
from connectors.mllp.codec import can_be_framed
from connectors.mllp.line import Line
from connectors.mllp.settings import MllpDestinationSettings

HEAD = 4096


class MllpDestination:
    """One receiver. Every attempt sends the same bytes, and so the same MSH-10."""

    def __init__(self, name: str, settings: MllpDestinationSettings, services: Services) -> None:
        self.name = name
        self._settings = settings
        self._services = services
        self._address = parse_address(settings.address)
        self._tls = settings.tls.context() if settings.tls is not None else None
        self._free = asyncio.Semaphore(settings.concurrency)
        self._idle: list[Line] = []
        self._open: set[Line] = set()
        services.health.state = "ready"
        services.health.figures.update({"connections": 0, "unmatched": 0})

    async def send(self, parcel: Parcel) -> Outcome:
        """Send once and wait for the answer that names this message."""
        if parcel.attachments:
            return Refused("MLLP has no way to carry files beside the message")
        if not can_be_framed(parcel.content):
            return Refused("the message holds a byte that MLLP uses for framing (0x0B or 0x1C)")
        async with self._free:
            line = self._take_idle() or await self._connect()
            if isinstance(line, Retry):
                return line
            try:
                outcome = await line.exchange(parcel.content, control_id_of(parcel.content))
            except BaseException:
                line.abort()
                raise
            if line.usable and self._settings.keep_open:
                self._idle.append(line)
            else:
                line.close()
            return outcome

    async def close(self) -> None:
        """Close the connections, each after what it is writing."""
        leaving = [line.closed for line in self._open]
        for line in list(self._open):
            line.close()
        if leaving:
            await asyncio.wait(leaving, timeout=1.0)
        for line in list(self._open):
            line.abort()

    def _take_idle(self) -> Line | None:
        """Take the connection used last: those that are too many grow old and are closed by the peer."""
        while self._idle:
            line = self._idle.pop()
            if line.usable:
                return line
        return None

    async def _connect(self) -> Line | Retry:
        settings, health = self._settings, self._services.health
        server_name = None
        if settings.tls is not None:
            server_name = settings.tls.server_name or self._address.host
        try:
            async with asyncio.timeout(settings.connect_timeout):
                _, line = await asyncio.get_running_loop().create_connection(
                    lambda: Line(settings, self._unmatched, self._lost),
                    self._address.host,
                    self._address.port,
                    ssl=self._tls,
                    server_hostname=server_name,
                )
        except TimeoutError:
            reason = f"no connection within {settings.connect_timeout:g} s"
        except ssl.SSLError as failure:
            reason = f"TLS was refused ({type(failure).__name__})"
        except OSError as failure:
            reason = f"cannot connect: {failure.strerror or type(failure).__name__}"
        else:
            self._open.add(line)
            health.state, health.detail = "connected", ""
            health.figures["connections"] = len(self._open)
            return line
        health.state, health.detail = "unreachable", reason
        return Retry(reason, reached=False)

    def _unmatched(self) -> None:
        figures = self._services.health.figures
        figures["unmatched"] = int(figures["unmatched"]) + 1

    def _lost(self, line: Line) -> None:
        self._open.discard(line)
        self._services.health.figures["connections"] = len(self._open)


def control_id_of(content: bytes) -> str:
    """Take MSH-10 out of a message, as its answer must repeat it in MSA-2; "" when it has none."""
    if not content.startswith(b"MSH") or len(content) < 8:
        return ""
    fields = content[:HEAD].split(b"\r", 1)[0].split(content[3:4])
    raw = fields[9] if len(fields) > 9 else b""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("iso8859-1")
