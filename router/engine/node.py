"""One node's part in a cluster: what it owns, what it tells the others, and what it does of what they tell it.

The journal stays the truth: lanes are checked there (`router.journal.fencing`), and each node looks at it once a second
for what a bell may have lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select

from router.cluster.contracts import (
    JOBS,
    POLL,
    READ,
    SEND,
    Bell,
    Cluster,
    Fence,
    NodeStatus,
    poll_lane,
    read_lane,
    send_lane,
)
from router.config.load import Loaded
from router.config.model import ResolvedSource
from router.engine.clock import micros
from router.engine.destinations import Destinations
from router.engine.jobs import Jobs, Spawn
from router.engine.outcomes import Outcomes
from router.engine.owning import ReadLanes, SendLanes
from router.engine.pipeline import Pipeline
from router.engine.pressure import Pressure
from router.engine.seen import flow_of, together
from router.journal import tables
from router.journal.fencing import TakeLane, fences
from router.journal.store import JournalFault, Store
from router.journal.tables import MessageState
from router.journal.writer import Writer
from router.watch.nodes import REMEMBERED, Heard, note_leaving
from router.web.context import FlowStatus

RING_SECONDS = 0.005
"""Time within which what is to be told becomes one bell."""

SEEN_SECONDS = 0.5
"""How often it is noted which nodes are there."""

ALONE_SECONDS = 3.0
"""A node that has heard nobody else for so long since its start has nobody to ring for, and nobody who waits for it."""

ASK_SECONDS, AGAIN_SECONDS = 2.0, 0.5
"""How often the journal is asked whose lanes are, and how often while it does not answer."""

SILENT_SECONDS = 10.0
"""A node whose journal has not answered for so long is in trouble: its lanes are for nodes whose does."""

KEY_SECONDS = 1.0
"""How often it is looked whether the key that seals is here; the journal is asked less often than that."""

_WAITING = (
    select(tables.message.c.source, func.count())
    .where(tables.message.c.state == MessageState.RECEIVED.value)
    .group_by(tables.message.c.source)
)


def listens(resolved: ResolvedSource) -> bool:
    """Say whether a source waits for others to come; one that does not goes and gets, and does so on one node."""
    return getattr(resolved.settings, "listen", None) is not None


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the engine that a node tells what is its own."""

    pipeline: Pipeline
    destinations: Destinations
    jobs: Jobs
    pressure: Pressure
    outcomes: Outcomes
    heed_sources: Callable[[], Awaitable[None]]
    look: Callable[[], None]
    changed: Callable[[], None]
    committed: Callable[[], None]
    spawn: Spawn
    own_flows: Callable[[], Sequence[FlowStatus]]
    configuration: Callable[[], int | None]
    version: str


class Node:
    """A node of a cluster. `attach` gives it the parts of its engine; `run` owns lanes until it is cancelled."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        writer: Writer,
        loaded: Callable[[], Loaded],
        now: Callable[[], datetime],
        trouble: Callable[[str], None],
        stopping: asyncio.Event,
    ) -> None:
        self.cluster = cluster
        self._store = store
        self._writer = writer
        self._loaded = loaded
        self._now = now
        self._trouble = trouble
        self._stopping = stopping
        self.read = ReadLanes(cluster.lanes.give_up)
        self.send = SendLanes(cluster.send_lanes, lambda lane: lane in cluster.lanes.owned(), cluster.lanes.give_up)
        self._polled: set[str] = set()
        self._unread: frozenset[str] = frozenset()
        self._jobs: Fence | None = None
        self._parts: Parts
        self._rung = asyncio.Event()
        self._read_to_tell: dict[str, int] = {}
        self._send_to_tell = self._wake_to_tell = self._ringing = False
        self._started_at = micros(now())
        self._seen: Sequence[NodeStatus] = ()
        self._answered_at = self._began = time.monotonic()
        self._is_alone = False
        self._broken = self._keyless = ""
        self._heard_of: dict[str, Heard] = {}

    def attach(self, parts: Parts) -> None:
        """Know the parts of the engine."""
        self._parts = parts
        parts.jobs.nodes = self.heard

    @property
    def works(self) -> bool:
        """Whether it reads, routes and sends."""
        return "work" in self.cluster.roles

    @property
    def receives(self) -> bool:
        """Whether it has sources."""
        return "receive" in self.cluster.roles

    def processes(self, count: int) -> int:
        """Give how many processes read and write formats: one is enough for pages, none for what only receives."""
        if self.works:
            return count
        return min(count, 1) if "web" in self.cluster.roles else 0

    @property
    def looks_up(self) -> bool:
        """Whether it needs the directory of professionals: each node has an index of its own, a file on its disk."""
        return not self.cluster.roles.isdisjoint({"work", "web"})

    @property
    def has_jobs(self) -> bool:
        """Whether it does what runs once."""
        return self._jobs is not None

    # --- owning ---------------------------------------------------------------------------------------------------

    def wanted(self) -> Collection[str]:
        """Give the lanes that a node of these roles can work on."""
        lanes: list[str] = []
        sources = self._loaded().sources
        if self.works:
            # What a source received that is configured no longer is read all the same.
            lanes += [read_lane(name) for name in sorted({one.name for one in sources} | self._unread)]
            lanes += [send_lane(number) for number in range(self.cluster.send_lanes)]
            lanes.append(JOBS)
        if self.receives:
            lanes += [poll_lane(one.name) for one in sources if not listens(one)]
        return lanes

    def is_opened(self, resolved: ResolvedSource) -> bool:
        """Say whether a source is opened here."""
        return self.receives and (listens(resolved) or resolved.name in self._polled)

    async def run(self) -> None:
        """Own lanes, listen to the others and tell of oneself, until cancelled."""
        self.cluster.bells.listen(self._heard)
        self.cluster.presence.say(self.status)
        self._parts.spawn(self._read_when_rung(), "bells")
        self._parts.spawn(self._see(), "nodes")
        self._parts.spawn(self._ask(), "journal")
        self._parts.spawn(self._look_for_key(), "key")
        try:
            await self.cluster.lanes.run(self.wanted, self.gained, self.lost)
        except Exception as defect:
            # It is still there, and would be counted among those who share the lanes.
            self._broken = f"owns no lanes any more ({type(defect).__name__}): restart it"
            raise

    async def gained(self, fence: Fence) -> bool:
        """Take a lane over; False when the journal knows a newer owner or cannot be asked, or this node is stopping."""
        if self._stopping.is_set():
            return False
        try:
            taken = await self._writer.submit(TakeLane(fence, self.cluster.name, micros(self._now())))
        except JournalFault as fault:
            self._trouble(str(fault))
            return False
        if not taken:
            return False
        try:
            await self._begin(fence)
        except Exception as defect:
            self._trouble(f"{fence.lane} could not be begun ({type(defect).__name__}); another node may take it")
            await self.lost(fence.lane)
            return False
        return True

    async def _begin(self, fence: Fence) -> None:
        if fence.lane.startswith(READ):
            self._parts.pipeline.gain(fence)
        elif fence.lane.startswith(SEND):
            self.send.gain(fence)
            self._parts.destinations.read_anew()
        elif fence.lane.startswith(POLL):
            self._polled.add(fence.lane.removeprefix(POLL))
            await self._parts.heed_sources()
        elif fence.lane == JOBS:
            self._jobs = fence
            self._parts.pipeline.decide_under(fence)
            await self._parts.jobs.start(self._parts.spawn, fence)

    async def lost(self, lane: str) -> None:
        """Let go of a lane: nothing more is begun in it, and what is under way is refused once another node has it."""
        try:
            await self._end(lane)
        except Exception as defect:
            self._trouble(f"{lane} was not let go of in good order ({type(defect).__name__}); its fence sees to it")

    async def _end(self, lane: str) -> None:
        if lane.startswith(READ):
            self._parts.pipeline.lose(lane)
        elif lane.startswith(SEND):
            await self._parts.destinations.lose(self.send.lose(lane))
        elif lane.startswith(POLL):
            self._polled.discard(lane.removeprefix(POLL))
            await self._parts.heed_sources()
        elif lane == JOBS:
            self._jobs = None
            self._parts.pipeline.decide_under(None)
            await self._parts.jobs.stop()

    # --- telling and hearing --------------------------------------------------------------------------------------

    def received(self, source: str, number: int) -> None:
        """Tell who reads this source that there is more of it."""
        if self.read.fence_of(source) is None:
            self._read_to_tell[source] = number
            self._ring_soon()

    def committed(self) -> None:
        """Tell the others that something was committed: Deliveries may wait for them, and the dossier has news."""
        self._send_to_tell = True
        self._ring_soon()

    def woke(self) -> None:
        """Tell the others that a person, or a tool, changed something."""
        self._wake_to_tell = True
        self._ring_soon()

    def _ring_soon(self) -> None:
        if not self._ringing:
            self._ringing = True
            asyncio.get_running_loop().call_later(RING_SECONDS, self._ring)

    def _ring(self) -> None:
        self._ringing = False
        if self._is_alone:
            self._read_to_tell, self._send_to_tell, self._wake_to_tell = {}, False, False
            return  # one that comes now looks by itself
        bell = Bell(self._read_to_tell, self._send_to_tell, self._wake_to_tell)
        self._read_to_tell, self._send_to_tell, self._wake_to_tell = {}, False, False
        self.cluster.bells.ring(bell)

    def _heard(self, bell: Bell) -> None:
        if any(self.read.fence_of(source) is not None for source in bell.read):
            self._rung.set()
        if bell.send:
            self._parts.destinations.look()
            self._parts.committed()
        if bell.wake:
            self._parts.look()
            self._parts.changed()

    async def _read_when_rung(self) -> None:
        """Look up to where there is something to read: a bell's own numbers are believed by nobody."""
        while True:
            await self._rung.wait()
            self._rung.clear()
            try:
                self._parts.pipeline.arrived(await asyncio.to_thread(self._last))
            except JournalFault as fault:
                self._trouble(str(fault))

    def _last(self) -> int:
        with self._store.reading() as connection:
            return connection.execute(select(func.max(tables.message.c.id))).scalar() or 0

    async def sweep(self) -> None:
        """Look at what other nodes may have done, were every bell lost. Raises JournalFault."""
        unread = await asyncio.to_thread(self._look)
        self._unread = frozenset(unread)
        self._parts.pressure.recount(sum(unread.values()))
        self._parts.destinations.look()
        await self._parts.outcomes.look_again()

    def _look(self) -> dict[str, int]:
        with self._store.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(_WAITING)}

    async def _ask(self) -> None:
        """Ask the journal whose lanes are, and let go of those that another node has.

        Even where nothing is written that would be refused: it takes the room of a lane that may be with nobody.
        """
        while True:
            try:
                taken = await asyncio.to_thread(self._fences)
            except JournalFault:  # said by the sweep, and by `trouble` where it lasts
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            self._answered_at = time.monotonic()
            owned = self.cluster.lanes.owned()
            for fence in taken:
                if fence.lane in owned and fence.is_newer_than(owned[fence.lane]):
                    self.cluster.lanes.give_up(fence.lane)
            await asyncio.sleep(ASK_SECONDS)

    def _fences(self) -> list[Fence]:
        with self._store.reading() as connection:
            return fences(connection)

    @property
    def trouble(self) -> str:
        """One sentence why this node can work on no lane, empty where it can: `router.cluster.share` heeds it."""
        if self._broken:
            return self._broken
        if time.monotonic() - self._answered_at > SILENT_SECONDS:
            return "the journal does not answer this node"
        return self._keyless

    # --- being seen -----------------------------------------------------------------------------------------------

    def status(self) -> NodeStatus:
        """Say how this node is doing."""
        own = [one for one in self._parts.own_flows() if self._shows(one)]
        return NodeStatus(
            self.cluster.name,
            tuple(sorted(self.cluster.roles)),
            self._parts.version,
            self._started_at,
            micros(self._now()),
            tuple(sorted(self.cluster.lanes.owned())),
            tuple(flow_of(one) for one in own),
            self._parts.configuration(),
            self.trouble,
        )

    def _shows(self, flow: FlowStatus) -> bool:
        return self.receives if flow.side == "source" else self.works

    async def _see(self) -> None:
        """Note who is there, in the event loop: pages ask from other threads."""
        while True:
            self._seen = tuple(self.cluster.presence.nodes())
            self._is_alone = len(self._seen) == 1 and time.monotonic() - self._began > ALONE_SECONDS
            self._store.others_write = not self._is_alone
            self._remember(micros(self._now()))
            await asyncio.sleep(SEEN_SECONDS)

    async def _look_for_key(self) -> None:
        """Say whether the journal's key is missing: a node in trouble is given no lanes, others work instead."""
        while True:
            missing = await asyncio.to_thread(lambda: self._store.sealer.missing)
            if missing and not self._keyless:
                self._trouble(missing)
            self._keyless = missing
            await asyncio.sleep(KEY_SECONDS)

    def _remember(self, now: int) -> None:
        there = {status.name: Heard(status, now, is_there=True) for status in self._seen}
        gone = {name: replace(one, is_there=False) for name, one in self._heard_of.items() if now - one.at < REMEMBERED}
        self._heard_of = gone | there

    def heard(self) -> Mapping[str, Heard]:
        """Give whom this node has heard, those who are silent now included, by name."""
        return self._heard_of

    async def leave(self) -> None:
        """Say good-bye: give every lane back, and note that to be silent from now on is no trouble."""
        await self.cluster.lanes.release()
        try:
            await self._writer.submit(note_leaving(self.status(), micros(self._now())))
        except JournalFault as fault:
            self._trouble(f"the other nodes will take this one for lost: {fault}")

    def seen(self) -> Sequence[NodeStatus]:
        """Give the nodes that were there a moment ago, this one included."""
        return self._seen

    def flows(self) -> Sequence[FlowStatus]:
        """Say how every source and destination is doing, on all nodes together."""
        others = [node for node in self._seen if node.name != self.cluster.name]
        own = self._parts.own_flows()
        return together(own, [one for one in own if self._shows(one)], others)
