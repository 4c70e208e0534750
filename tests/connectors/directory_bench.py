"""A watched folder for the tests of its source: what it is told, its files, and when it is looked at."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from conformance import Running, SourceConformance, until

from connectors.directory import CONNECTOR
from connectors.directory.folder import WORK
from connectors.testing import MemoryInbox, PlainServices


class WatchedFolder(SourceConformance):
    connector = CONNECTOR

    def settings(self, folder: Path) -> dict[str, Any]:
        watched = folder / "in"
        watched.mkdir(exist_ok=True)
        return {"folder": watched, "settle_seconds": 2, "spool_threshold": 65_536}

    def content(self, number: int, size: int = 0) -> bytes:
        return f"H|~^\\&|{number}|TESTROSE|".encode() + b"x" * size

    @asynccontextmanager
    async def running(self, folder: Path, inbox: MemoryInbox, services: PlainServices) -> AsyncIterator[Running]:
        """Run, and let the look at start be over: the test then decides when the next ones are."""
        async with super().running(folder, inbox, services) as running:
            await until(lambda: services.health.figures["looks"])
            yield running

    async def deliver(self, running: Running, content: bytes) -> bool:
        name = hashlib.sha256(content).hexdigest()[:8] + "-TESTROSE.hpr"
        (running.folder / "in" / name).write_bytes(content)
        await running.services.tick()
        return await self._taken(running, name)

    async def again(self, running: Running, content: bytes) -> bool:
        return await self._taken(running, hashlib.sha256(content).hexdigest()[:8] + "-TESTROSE.hpr")

    @staticmethod
    async def _taken(running: Running, name: str) -> bool:
        await running.services.tick(2)
        in_work = (running.folder / "in" / WORK / name).exists()
        archived = [path for path in (running.folder / "in" / "archive").iterdir() if path.name.endswith(name)]
        assert in_work != bool(archived)
        return bool(archived)


class Bench(WatchedFolder):
    """Runs a source with settings of its own."""

    def __init__(self, **settings: Any) -> None:
        self._more = settings

    def settings(self, folder: Path) -> dict[str, Any]:
        return {**super().settings(folder), **self._more}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != ".lock")


async def looks(services: PlainServices, count: int = 2, seconds: float = 2) -> None:
    for _ in range(count):
        await services.tick(seconds)
