from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import nats
import nats.errors
import pytest
from nats_program import nats_program

from router.cluster.contracts import Fence, NodeStatus
from router.cluster.joining import Member, join
from router.cluster.settings import NatsSettings
from tests.ports import free_port


class Servers:
    """NATS servers of a test: one, or several that replicate."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._program = nats_program()
        self.ports = [free_port() for _ in range(count)]
        self._routes = [free_port() for _ in range(count)]
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(f"nats://127.0.0.1:{port}" for port in self.ports)

    def start(self, rank: int) -> None:
        said: dict[str, object] = {
            "server_name": f"nats{rank}",
            "listen": f"127.0.0.1:{self.ports[rank]}",
            "jetstream": {"store_dir": str(self._folder / f"nats{rank}")},
        }
        if len(self.ports) > 1:
            routes = [f"nats-route://127.0.0.1:{port}" for port in self._routes if port != self._routes[rank]]
            said["cluster"] = {"name": "test", "listen": f"127.0.0.1:{self._routes[rank]}", "routes": routes}
        file = self._folder / f"nats{rank}.json"
        file.write_text(json.dumps(said))
        self._running[rank] = subprocess.Popen([self._program, "-c", str(file)], stderr=subprocess.DEVNULL)

    def kill(self, rank: int) -> None:
        process = self._running.pop(rank)
        process.kill()
        process.wait()

    async def start_all(self) -> None:
        for rank in range(len(self.ports)):
            self.start(rank)
        await self.ready()

    async def ready(self) -> None:
        async with asyncio.timeout(60):
            while True:
                with suppress(nats.errors.Error, OSError, TimeoutError, asyncio.InvalidStateError):
                    client = await nats.connect(
                        list(self.urls), connect_timeout=1, allow_reconnect=False, reconnect_time_wait=0.05
                    )
                    try:
                        await client.jetstream(timeout=2).account_info()
                        return
                    finally:
                        await client.close()
                await asyncio.sleep(0.1)

    def close(self) -> None:
        for rank in list(self._running):
            self.kill(rank)


class Node:
    """A node that owns lanes and does nothing in them; it notes when it took and lost each."""

    def __init__(self, name: str, member: Member, wanted: Callable[[], list[str]], log: Log) -> None:
        self.name = name
        self.member = member
        self.refuses: set[str] = set()
        self.fences: list[Fence] = []
        self._wanted = wanted
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []
        self.trouble = ""
        self.troubles: list[str] = []
        self.roles = member.link.settings.roles

    @property
    def owned(self) -> set[str]:
        return set(self.member.cluster.lanes.owned())

    def start(self) -> None:
        self.member.cluster.presence.say(self._status)
        lanes = self.member.cluster.lanes
        self._tasks = [
            asyncio.create_task(self.member.run()),
            asyncio.create_task(lanes.run(self._wanted, self._gained, self._lost)),
        ]

    def _status(self) -> NodeStatus:
        roles = tuple(sorted(self.roles))
        return NodeStatus(self.name, roles, "1", 0, 0, tuple(sorted(self.owned)), trouble=self.trouble)

    async def _gained(self, fence: Fence) -> bool:
        self.fences.append(fence)
        if fence.lane in self.refuses:
            return False
        self._log.append((time.monotonic(), "gained", fence.lane, self.name, fence))
        return True

    async def _lost(self, lane: str) -> None:
        self._log.append((time.monotonic(), "lost", lane, self.name, None))

    async def crash(self) -> None:
        """End without a word to the servers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.member.link.close()

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.member.leave()


Log = list[tuple[float, str, str, str, Fence | None]]


class Nodes:
    """Makes nodes of one cluster, and says what they went through."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.log: Log = []
        self.lanes = [f"send.{number}" for number in range(6)] + ["read.labo", "read.chu é.1", "jobs"]
        self.made: list[Node] = []
        self.journal_epoch = 0

    def make(self, name: str, *, ack_seconds: float = 3.0, roles: frozenset[str] = frozenset({"work"})) -> Node:
        settings = NatsSettings(self.servers.urls, name, roles, send_lanes=6, ack_seconds=ack_seconds)

        async def epoch() -> int:
            return self.journal_epoch

        troubles: list[str] = []
        node = Node(name, join(settings, epoch, troubles.append), lambda: list(self.lanes), self.log)
        node.troubles = troubles
        self.made.append(node)
        node.start()
        return node

    async def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> float:
        """Wait for a condition; gives how long that took."""
        start = time.monotonic()
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - a condition of several nodes, that nobody signals
                await asyncio.sleep(0.02)
        return time.monotonic() - start

    def twice_owned(self) -> list[str]:
        """Give the lanes that were gained while another node had not lost them yet (a crashed one never says)."""
        owner: dict[str, str] = {}
        wrong = []
        for _, what, lane, name, _fence in self.log:
            if what == "lost":
                if owner.get(lane) == name:
                    del owner[lane]
            else:
                if lane in owner and owner[lane] != name:
                    wrong.append(f"{lane}: {owner[lane]} and {name}")
                owner[lane] = name
        return wrong


@pytest.fixture
async def nodes(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Nodes]:
    servers = Servers(tmp_path, getattr(request, "param", 1))
    try:
        await servers.start_all()
        made = Nodes(servers)
        yield made
        for node in made.made:
            await node.crash()
    finally:
        servers.close()
