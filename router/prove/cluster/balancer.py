"""A small TCP balancer, as HAProxy before the receivers: it asks who is ready, and leaves those who are not.

A receiver that answers no question in time, twice, gets no new connection, and the ones it has are closed, so that
senders send again by another one (HAProxy's `on-marked-down shutdown-sessions`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_EVERY = 0.5
_ANSWER = 1.0
_FAILURES = 2
_CHUNK = 1 << 16


@dataclass(slots=True, eq=False)
class Backend:
    """A receiver: where it takes messages, and where it says that it is ready."""

    name: str
    address: tuple[str, int]
    health: tuple[str, int]
    up: bool = False
    failures: int = 0
    connections: set[asyncio.Task[None]] = field(default_factory=set)


class Balancer:
    """Takes connections and gives each to the ready receiver that has the fewest."""

    def __init__(self, backends: list[Backend]) -> None:
        self.backends = backends

    @asynccontextmanager
    async def serving(self, host: str) -> AsyncIterator[str]:
        """Listen on a free port of `host` and look after the receivers while the block runs; gives HOST:PORT."""
        looks = [asyncio.create_task(self._watch(backend), name=f"ready-{backend.name}") for backend in self.backends]
        server = await asyncio.start_server(self._take, host, 0)
        try:
            yield f"{host}:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            tasks = [*looks, *(one for backend in self.backends for one in backend.connections)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, backend: Backend) -> None:
        while True:
            if await self._is_ready(backend):
                backend.failures, backend.up = 0, True
            else:
                backend.failures += 1
                if backend.failures >= _FAILURES:
                    backend.up = False
                    for task in tuple(backend.connections):
                        task.cancel()
            await asyncio.sleep(_EVERY)

    async def _is_ready(self, backend: Backend) -> bool:
        try:
            async with asyncio.timeout(_ANSWER):
                reader, writer = await asyncio.open_connection(*backend.health)
                try:
                    writer.write(
                        f"GET /health/ready HTTP/1.1\r\nHost: {backend.health[0]}\r\nConnection: close\r\n\r\n".encode()
                    )
                    await writer.drain()
                    return b" 200 " in await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        tried: set[str] = set()
        try:
            while found := self._choose(tried):
                tried.add(found.name)
                opened = await _open(found)
                if opened is None:
                    continue
                there, back = opened
                if task is not None:
                    found.connections.add(task)
                try:
                    await self._join(reader, back, there, writer)
                finally:
                    back.close()
                    if task is not None:
                        found.connections.discard(task)
                return
        except asyncio.CancelledError:
            # The receiver was marked down: its connections end here, which is this task's ordinary end.
            return
        finally:
            writer.transport.abort()

    def _choose(self, tried: set[str]) -> Backend | None:
        able = [backend for backend in self.backends if backend.up and backend.name not in tried]
        return min(able, key=lambda backend: len(backend.connections), default=None)

    async def _join(
        self,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Carry both directions until one of them ends."""
        ways = [
            asyncio.create_task(_carry(reader, back)),
            asyncio.create_task(_carry(there, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _open(backend: Backend) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    try:
        async with asyncio.timeout(_ANSWER):
            return await asyncio.open_connection(*backend.address)
    except (OSError, TimeoutError):
        return None


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(_CHUNK):
            writer.write(piece)
            await writer.drain()
