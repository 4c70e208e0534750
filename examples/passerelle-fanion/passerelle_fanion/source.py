"""Takes a file of lines, and removes it once each line is on stable storage."""

from __future__ import annotations

import asyncio

from connectors.contracts import Inbound, Inbox, NotAccepted, Refusal, Services
from passerelle_fanion.codec import NotALine, read_line
from passerelle_fanion.settings import FanionSourceSettings
from schemas.finding import Finding, Severity


class FanionSource:
    """The file is renamed before it is read: the partner may already put the next one into place."""

    def __init__(self, name: str, settings: FanionSourceSettings, services: Services) -> None:
        self.name = name
        self._file = settings.file
        self._taken = settings.file.with_name(settings.file.name + ".taken")
        self._every = settings.every
        self._services = services
        self._looking = asyncio.Lock()

    async def run(self, inbox: Inbox) -> None:
        """Look periodically until stopped or cancelled; what is being submitted is finished."""

        async def look() -> None:
            async with self._looking:
                if not self._services.stopping.is_set():
                    await self._look(inbox)

        health = self._services.health
        health.state = "watching"
        stop = self._services.spawn_every(self._every, look)
        self._services.ready(str(self._file))
        try:
            await self._services.stopping.wait()
        finally:
            stop()
            async with self._looking:
                health.state = "stopped"

    async def _look(self, inbox: Inbox) -> None:
        """Submit every line; whatever fails, the file stays and is submitted again, and the inbox knows what it has."""
        health = self._services.health
        try:
            for line in await asyncio.to_thread(self._take):
                await inbox.submit(self._inbound(line))
            await asyncio.to_thread(self._taken.unlink, missing_ok=True)
        except NotAccepted as failure:
            health.state, health.detail = "degraded", f"not accepted: {failure.reason}"
        except Exception as failure:
            # A source outlives what it meets; the type alone is said, for a message might quote a content.
            health.state, health.detail = "degraded", type(failure).__name__
            self._services.report(
                Finding(severity=Severity.ERROR, code="fanion.look.failed", where=self.name, message=health.detail)
            )
        else:
            health.state, health.detail = "watching", ""

    def _take(self) -> list[bytes]:
        if not self._taken.exists():
            if not self._file.exists():
                return []
            self._file.rename(self._taken)
        return [line for line in self._taken.read_bytes().split(b"\n") if line.strip()]

    def _inbound(self, line: bytes) -> Inbound:
        """Make the message of a line; one that is no line of ours is kept as rejected."""
        now = self._services.now()
        try:
            read = read_line(line)
        except NotALine as failure:
            finding = Finding(severity=Severity.ERROR, code="fanion.line", where="line", message=str(failure))
            return Inbound(content=line, received_at=now, filename=self._file.name, refusal=Refusal(finding))
        return Inbound(content=read.content, received_at=now, control_id=read.identity)
