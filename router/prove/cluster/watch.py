"""Who owned which lane: read from the journal's fences, and heard from the nodes themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import nats
import psycopg
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from router.cluster.contracts import NodeStatus, NotUnderstood

_EVERY = 0.25
_FRESH = 1.6
"""Seconds for which a statement counts as present; nodes speak once a second."""

_TWICE = 2.5
"""Seconds for which two nodes must both repeat that a lane is theirs until it counts as owned twice."""


@dataclass(frozen=True, slots=True)
class Taking:
    """A lane went to a node at a moment (seconds of the harness's clock); `former` is empty at the first taking."""

    at: float
    lane: str
    node: str
    former: str


@dataclass(slots=True)
class LaneBook:
    """What was seen of the lanes.

    `went_back` are fences that became older, or that two nodes wrote alike: both must be impossible. `twice` are lanes
    that two nodes both kept calling theirs.
    """

    clock: Callable[[], float] = time.monotonic
    fences: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    takings: list[Taking] = field(default_factory=list)
    went_back: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)
    said: dict[str, tuple[float, NodeStatus]] = field(default_factory=dict)
    samples: int = 0
    statements: int = 0
    _both: dict[tuple[str, str, str], float] = field(default_factory=dict)

    def fence(self, lane: str, epoch: int, count: int, node: str) -> None:
        """Note what the journal says of one lane."""
        before = self.fences.get(lane)
        if before is not None and before != (epoch, count, node) and (epoch, count) <= before[:2]:
            self.went_back.add(lane)
        if before is None or before[2] != node:
            self.takings.append(Taking(self.clock(), lane, node, "" if before is None else before[2]))
        self.fences[lane] = (epoch, count, node)

    def heard(self, status: NodeStatus) -> None:
        """Note what a node says of itself."""
        present = self.clock()
        self.statements += 1
        self.said[status.name] = (present, status)
        for key in [key for key in self._both if status.name in key[1:] and key[0] not in status.lanes]:
            del self._both[key]
        for name, (at, other) in self.said.items():
            for lane in status.lanes if name != status.name else ():
                first, second = sorted((name, status.name))
                key = (lane, first, second)
                if lane not in other.lanes or present - at > _FRESH:
                    self._both.pop(key, None)
                elif present - self._both.setdefault(key, present) > _TWICE:
                    self.twice.add(lane)

    def owners(self) -> dict[str, list[str]]:
        """Give who says now that a lane is his, for each lane that the journal knows."""
        present = self.clock()
        fresh = [status for at, status in self.said.values() if present - at <= 2 * _FRESH]
        return {lane: [one.name for one in fresh if lane in one.lanes] for lane in self.fences}

    def moved(self, begin: float, end: float) -> int:
        """Count the lanes that changed hands between two moments."""
        return len({one.lane for one in self.takings if one.former and begin <= one.at < end})


@asynccontextmanager
async def watching(
    book: LaneBook,
    connect: Callable[[], psycopg.Connection[tuple[object, ...]]],
    servers: list[str],
    user: str,
    password: str,
) -> AsyncIterator[None]:
    """Read the journal's fences four times a second, and hear the nodes, while the block runs."""
    sampling = asyncio.create_task(_sample(book, connect), name="lane-fences")
    client = await nats.connect(
        servers=servers,
        user=user,
        password=password,
        connect_timeout=1,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,
        ping_interval=2,
        max_outstanding_pings=2,
        error_cb=_quiet,
    )

    async def hear(message: Msg) -> None:
        with suppress(NotUnderstood):
            book.heard(NodeStatus.from_json(message.data))

    try:
        await client.subscribe("passerelle.node", cb=hear)
        yield
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
        with suppress(NatsError):
            await client.close()


async def _sample(book: LaneBook, connect: Callable[[], psycopg.Connection[tuple[object, ...]]]) -> None:
    connection: psycopg.Connection[tuple[object, ...]] | None = None
    try:
        while True:
            try:
                if connection is None:
                    connection = await asyncio.to_thread(connect)
                for lane, epoch, count, node in await asyncio.to_thread(_fences, connection):
                    book.fence(lane, epoch, count, node)
                book.samples += 1
            except psycopg.Error:
                # PostgreSQL is away, as the campaign wants it now and then: look again.
                if connection is not None:
                    connection.close()
                connection = None
            await asyncio.sleep(_EVERY)
    finally:
        if connection is not None:
            connection.close()


def _fences(connection: psycopg.Connection[tuple[object, ...]]) -> list[tuple[str, int, int, str]]:
    rows = connection.execute("SELECT lane, epoch, fence, node FROM lane_fence").fetchall()
    return [(str(lane), int(str(epoch)), int(str(count)), str(node)) for lane, epoch, count, node in rows]


async def _quiet(_: Exception) -> None:
    """Say nothing: servers are killed on purpose here, and the client connects again."""
