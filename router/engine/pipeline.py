"""The pipeline: what was received goes through the workers in order, and what they prepared is committed in order.

Batches are worked on side by side, but committed one after the other in the order of reception: Deliveries get their
numbers there, and a destination sends one patient's in the order of those numbers.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import orjson
from sqlalchemy import bindparam, func, select

from router.engine.clock import micros, moment
from router.engine.decided import DecidedItems
from router.engine.inbox import HandOver
from router.engine.outcomes import Outcomes
from router.engine.owning import ReadLanes, ours
from router.engine.pace import Pace
from router.engine.pool import WorkerPool
from router.engine.pressure import Pressure
from router.engine.worker import HeldItem, RawMessage
from router.identity.matching import ONLY_A_PERSON
from router.journal import tables
from router.journal.fencing import Fence
from router.journal.operations import (
    BODY_PLACE,
    CONTENT_PLACE,
    DETAIL_PLACE,
    CommitReadings,
    PreparedMessage,
    Queued,
    ReleaseItems,
)
from router.journal.readers import ReaderChoice
from router.journal.store import JournalFault, Store
from router.journal.tables import ItemState, MessageState
from router.journal.writer import Writer

AHEAD = 2
"""Batches under way for each worker: while one is committed and one comes back, the worker has its next at hand."""

RETRY_SECONDS = 1.0
"""Wait before trying again when the journal does not take what was prepared (a full disk)."""

_MESSAGES = (
    select(
        tables.message.c.id,
        tables.message.c.source,
        tables.message.c.blob,
        tables.message.c.control_id,
        tables.message.c.message_type,
        tables.message.c.received_at,
        tables.message.c.replays,
        tables.message.c.mappings,
        tables.message_content.c.sealed_content,
        tables.message_content.c.sealed_detail,
    )
    .join(tables.message_content, tables.message_content.c.message_id == tables.message.c.id)
    .where(tables.message.c.state == MessageState.RECEIVED.value)
    .order_by(tables.message.c.id)
)
_AFTER = _MESSAGES.where(tables.message.c.id > bindparam("after")).limit(bindparam("count"))
_OF_SOURCE = _AFTER.where(tables.message.c.source == bindparam("source"), tables.message.c.id <= bindparam("upto"))
_OF_SOURCES = _AFTER.where(tables.message.c.source.in_(bindparam("sources", expanding=True)))
_THESE = _MESSAGES.where(tables.message.c.id.in_(bindparam("ids", expanding=True)))
_OPEN = (
    select(tables.message.c.id)
    .where(tables.message.c.state == MessageState.RECEIVED.value, tables.message.c.id <= bindparam("upto"))
    .order_by(tables.message.c.id)
    .limit(2000)
)
_OPEN_OF_SOURCES = _OPEN.where(tables.message.c.source.in_(bindparam("sources", expanding=True)))
_HELD = (
    select(
        tables.item.c.id,
        tables.item.c.message_id,
        tables.item.c.ordinal,
        tables.item.c.reason,
        tables.item.c.sealed_body,
        tables.message.c.source,
        tables.message.c.control_id,
        tables.message.c.message_type,
        tables.message.c.replays,
    )
    .join(tables.message, tables.message.c.id == tables.item.c.message_id)
    .where(
        tables.item.c.state == ItemState.HELD.value,
        tables.item.c.id > bindparam("after"),
        tables.item.c.reason.not_in([reason.value for reason in ONLY_A_PERSON]),
    )
    .order_by(tables.item.c.id)
    .limit(64)
)


R = TypeVar("R")

_Batch = tuple[list[RawMessage], dict[int, Fence]]
"""Messages to read, and under which taking of its source's lane each is read."""


class Pipeline:
    """Drives messages from `received` to their Items and Deliveries; `queued` is called with what may be sent.

    `lanes` are the sources that this node reads, None when it reads all of them. Held Items, and what persons decided
    of them, are the business of whoever owns the jobs (`decide_under`), in the order of the Items whatever their
    sources: one patient's may have come from several.
    """

    def __init__(
        self,
        store: Store,
        writer: Writer,
        pool: WorkerPool,
        handed: HandOver,
        pressure: Pressure,
        outcomes: Outcomes,
        *,
        batch: int,
        now: Callable[[], datetime],
        queued: Callable[[Sequence[Queued]], None],
        stopped: Callable[[], None],
        committed: Callable[[], None] = lambda: None,
        observed: Callable[[Sequence[PreparedMessage]], None] | None = None,
        trouble: Callable[[str], None],
        lanes: ReadLanes | None = None,
    ) -> None:
        self._store = store
        self._writer = writer
        self._pool = pool
        self._handed = handed
        self._pressure = pressure
        self._outcomes = outcomes
        self._batch = batch
        self._now = now
        self._queued = queued
        self._stopped = stopped
        self._committed = committed
        self._observed = observed
        self._trouble = trouble
        self._sealer = store.sealer.clone()
        self._cursor = 0
        self._again: deque[int] = deque()
        self._in_flight: Counter[int] = Counter()
        self._patients_seen: tuple[int, int] | None = None
        self._decided = DecidedItems(store, writer, pool, now)
        self.processed = 0
        self._pace = Pace(time.perf_counter)
        self._going_on = asyncio.Event()
        self._going_on.set()
        self._still = asyncio.Event()
        self._lanes = lanes
        self._catching_up = False
        self._jobs: Fence | None = None

    async def start(self) -> None:
        """Find what a previous run left unprocessed: the cursor stands before it."""
        first, count, last = await asyncio.to_thread(self._left)
        # In a cluster each source's share of what is left comes with its lane.
        self._cursor = (first - 1) if first is not None and self._lanes is None else last
        self._pressure.started_with(count, last)

    def _left(self) -> tuple[int | None, int, int]:
        column = tables.message.c
        with self._store.reading() as connection:
            row = connection.execute(
                select(func.min(column.id), func.count()).where(column.state == MessageState.RECEIVED.value)
            ).one()
            last = connection.execute(select(func.max(column.id))).scalar() or 0
        return row[0], row[1], last

    async def run(self) -> None:
        """Process for ever; ends when cancelled, between two commits."""
        depth = AHEAD * max(1, self._pool.workers)
        under_way: deque[tuple[asyncio.Task[list[PreparedMessage]], _Batch]] = deque()
        try:
            while True:
                while len(under_way) < depth and self._going_on.is_set():
                    raws, fences = await self._surely(self._next_batch)
                    if not raws:
                        break
                    self._in_flight.update(raw.message_id for raw in raws)
                    task = asyncio.create_task(self._prepared(raws))
                    under_way.append((task, (raws, fences)))
                if not under_way and not self._going_on.is_set():
                    self._still.set()
                    await self._going_on.wait()
                    continue
                if not under_way:
                    self._pressure.arrived.clear()
                    if self._cursor < self._pressure.last_committed or self._again or self._is_behind:
                        continue
                    await self._pressure.arrived.wait()
                    continue
                task, (raws, fences) = under_way[0]
                count = len(raws)
                prepared = await asyncio.shield(task)
                under_way.popleft()
                await self._commit(prepared, raws, fences)
                # What a lane that came back was read again for stays: it is in two batches, and the former was refused.
                self._in_flight -= Counter(raw.message_id for raw in raws)
                self.processed += count
                self._pressure.processed(count)
                await self._give_way(count)
        finally:
            for task, _ in under_way:
                task.cancel()

    async def hold(self) -> None:
        """Start nothing more, and return once what was under way is committed; messages are acknowledged meanwhile."""
        self._still.clear()
        self._going_on.clear()
        self._pressure.arrived.set()
        await self._still.wait()

    def go_on(self) -> None:
        """Go on after `hold`."""
        self._going_on.set()

    async def _give_way(self, count: int) -> None:
        """Let acknowledgements have the processors during a burst.

        A sender waits for its acknowledgement, nobody waits for the pipeline: what a burst leaves is caught up after
        it, or as soon as the backlog is so long that sources are held back (`Pressure`).
        """
        rest = self._pace.worked(count, self._pressure.arrivals, self._pressure.waiting)
        if rest and not self._pressure.full:
            await asyncio.sleep(rest)
            self._pace.rested()

    async def _commit(
        self, prepared: list[PreparedMessage], raws: Sequence[RawMessage], fences: dict[int, Fence]
    ) -> None:
        """Commit a batch, whole: what was prepared from a patient that has changed since is prepared again first."""
        while True:
            operation = CommitReadings(prepared, micros(self._now()), fences=fences)
            try:
                queued = await self._writer.submit(operation)
            except JournalFault as fault:
                self._trouble(str(fault))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._committed()
            if queued:
                self._queued(queued)
            if operation.stopped:
                self._stopped()
            stale = set(operation.stale)
            done = [one for one in prepared if one.message_id not in stale]
            if operation.refused and self._lanes is not None:
                self._lanes.refused(operation.refused)
                done = [one for one in done if fences.get(one.message_id) not in operation.refused]
            self._outcomes.settled(done)
            if self._observed is not None:
                self._observed(done)
            if not stale:
                return
            raws = [raw for raw in raws if raw.message_id in stale]
            prepared = await self._prepared(raws)

    async def _prepared(self, raws: Sequence[RawMessage]) -> list[PreparedMessage]:
        """Prepare a batch; workers read the journal as well."""
        return await self._surely(lambda: self._pool.process(raws, self._now()))

    async def _surely(self, ask: Callable[[], Awaitable[R]]) -> R:
        """Ask again and again while the journal's database is away; nothing that `ask` gives up is lost to it."""
        while True:
            try:
                return await ask()
            except JournalFault as fault:
                self._trouble(str(fault))
                await asyncio.sleep(RETRY_SECONDS)

    @property
    def _is_behind(self) -> bool:
        return self._lanes is not None and self._lanes.is_behind

    async def _next_batch(self) -> _Batch:
        """Give what is to be read next; only here does the cursor move, and are sources that were gained joined."""
        if self._lanes is None:
            return await self._next_of_all(), {}
        # Taken before the journal is read: what is lost, and gained anew, while it is read is refused at the commit.
        # Not before anything else is waited for: the cursor would pass messages of a source that caught up meanwhile.
        if self._again:
            level = self._lanes.level()
            return ours(await self._next_again(), level)
        self._catching_up = not self._catching_up
        if self._catching_up and (batch := await self._next_behind(self._lanes))[0]:
            return batch
        level = self._lanes.level()
        batch = ours(await self._next_of_all(level), level)
        return batch if batch[0] else await self._next_behind(self._lanes)

    async def _next_behind(self, lanes: ReadLanes) -> _Batch:
        """Give what a source that was just gained has at or before the cursor, in order.

        Nothing else moves the cursor: once there is no more, the source goes on with all the others.
        """
        while (turn := lanes.next_behind()) is not None:
            source, fence, after = turn
            parameters = {"source": source, "after": after, "upto": self._cursor, "count": self._batch}
            raws = await asyncio.to_thread(self._load, _OF_SOURCE, parameters)
            upto = raws[-1].message_id if raws else after
            if lanes.caught_up(fence, upto, whole=len(raws) < self._batch) and raws:
                return ours(raws, {source: fence})
        return [], {}

    async def _next_again(self) -> list[RawMessage]:
        ids = list(islice(self._again, self._batch))
        raws = await asyncio.to_thread(self._load, _THESE, {"ids": ids})
        for _ in ids:
            self._again.popleft()
        return raws

    async def _next_of_all(self, level: dict[str, Fence] | None = None) -> list[RawMessage]:
        """Give what comes after the cursor, of some sources or of all; the cursor moves behind it."""
        if self._again:
            return await self._next_again()
        raws: list[RawMessage] = []
        while len(raws) < self._batch and self._cursor < self._pressure.last_committed:
            kept, raw = self._handed.take(self._cursor + 1)
            if not kept:
                break
            self._cursor += 1
            if raw is not None and (level is None or raw.source in level):
                raws.append(raw)
        last = self._pressure.last_committed
        if raws or self._cursor >= last:
            return raws
        parameters: dict[str, Any] = {"after": self._cursor, "count": self._batch}
        loaded: list[RawMessage] = []
        if level is None:
            loaded = await asyncio.to_thread(self._load, _AFTER, parameters)
        elif level:
            loaded = await asyncio.to_thread(self._load, _OF_SOURCES, parameters | {"sources": list(level)})
        # What was committed while the journal was read comes with the next batch: only what was asked for is behind us.
        upto = loaded[-1].message_id if len(loaded) == self._batch else last
        for number in range(self._cursor + 1, upto + 1):
            self._handed.take(number)
        loaded = [raw for raw in loaded if raw.message_id <= upto]
        self._cursor = upto
        return loaded

    def _load(self, statement: Any, parameters: dict[str, Any]) -> list[RawMessage]:
        sealer = self._store.sealer.clone()
        raws = []
        with self._store.reading() as connection:
            for row in connection.execute(statement, parameters):
                content = None if row.sealed_content is None else sealer.open(row.sealed_content, CONTENT_PLACE)
                detail: dict[str, Any] = {}
                if row.sealed_detail is not None:
                    detail = orjson.loads(sealer.open(row.sealed_detail, DETAIL_PLACE))
                siblings = {name: base64.b64decode(data) for name, data in detail.get("siblings", {}).items()}
                raws.append(
                    RawMessage(
                        message_id=row.id,
                        source=row.source,
                        content=content,
                        blob=row.blob,
                        control_id=row.control_id,
                        message_type=row.message_type,
                        received_at=moment(row.received_at),
                        replays=row.replays,
                        filename=detail.get("filename"),
                        siblings=siblings,
                        reader=ReaderChoice.of(detail),
                        mappings=row.mappings,
                    )
                )
        return raws

    async def sweep(self) -> None:
        """Look for what other processes asked for: replays, messages appended by hand, new patients, decisions."""
        last, again = await asyncio.to_thread(self._look)
        known = self._in_flight.keys() | set(self._again)
        fresh = [number for number in again if number not in known]
        self._again.extend(fresh)
        self._pressure.waiting += len(fresh)
        self.arrived(last)
        if again:
            self._pressure.arrived.set()
        if self._lanes is not None and self._jobs is None:
            return
        patients = await asyncio.to_thread(self._patients_state)
        changed = patients != self._patients_seen
        if changed:
            await self._reconsider()
            self._patients_seen = patients
        for queued in await self._decided.look(micros(self._now()), self._jobs, anew=changed):
            self._queued(queued)

    def arrived(self, last: int) -> None:
        """Read up to this message: it is committed, and so is whatever came before it."""
        self._pressure.last_committed = max(self._pressure.last_committed, last)
        if self._cursor < self._pressure.last_committed or self._is_behind:
            self._pressure.arrived.set()

    def gain(self, fence: Fence) -> None:
        """Read a source from now on, beginning with what the journal has of it."""
        assert self._lanes is not None  # noqa: S101 - only a node of a cluster gains lanes
        self._lanes.gain(fence)
        self._pressure.arrived.set()

    def lose(self, lane: str) -> None:
        """Read a source no longer; what is under way is refused by its fence."""
        assert self._lanes is not None  # noqa: S101 - only a node of a cluster loses lanes
        self._lanes.lose(lane)

    def decide_under(self, jobs: Fence | None) -> None:
        """See to held Items from now on, as the owner of the jobs; None: another node does."""
        if jobs is not None:
            self._patients_seen = None
            self._decided = DecidedItems(self._store, self._writer, self._pool, self._now)
        self._jobs = jobs

    def _look(self) -> tuple[int, list[int]]:
        with self._store.reading() as connection:
            last = connection.execute(select(func.max(tables.message.c.id))).scalar() or 0
            # Behind the cursor, what is `received` and not under way was asked to be replayed.
            if self._lanes is None:
                again = connection.execute(_OPEN, {"upto": self._cursor})
            elif level := list(self._lanes.level()):
                again = connection.execute(_OPEN_OF_SOURCES, {"upto": self._cursor, "sources": level})
            else:
                return last, []
            return last, list(again.scalars())

    def _patients_state(self) -> tuple[int, int]:
        column = tables.patient.c
        with self._store.reading() as connection:
            row = connection.execute(select(func.max(column.updated_at), func.max(column.id))).one()
        return row[0] or 0, row[1] or 0

    async def _reconsider(self) -> None:
        after, jobs = 0, self._jobs
        while True:
            held = await asyncio.to_thread(self._held, after)
            if not held:
                return
            after = held[-1].item_id
            released = await self._pool.reconsider(held, self._now())
            if released:
                operation = ReleaseItems(released, micros(self._now()), fence=jobs)
                queued = await self._writer.submit(operation)
                if queued:
                    self._queued(queued)
                if operation.stopped:
                    self._stopped()
                if operation.refused:
                    return

    def _held(self, after: int) -> list[HeldItem]:
        sealer = self._store.sealer.clone()
        with self._store.reading() as connection:
            return [
                HeldItem(
                    item_id=row.id,
                    message_id=row.message_id,
                    source=row.source,
                    control_id=row.control_id,
                    message_type=row.message_type,
                    ordinal=row.ordinal,
                    replays=row.replays,
                    body=sealer.open(row.sealed_body, BODY_PLACE),
                    reason=row.reason,
                )
                for row in connection.execute(_HELD, {"after": after})
            ]
