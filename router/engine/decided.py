"""What persons decided, carried out: attached Items flow on in the order in which they came, undone ones are watched.

The desk only writes decisions to the journal; whichever process wrote them, the router that holds the journal finds
them here, after a restart as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, select

from router.desk.undoing import MarkLeft
from router.engine.clock import micros
from router.engine.pool import WorkerPool
from router.engine.worker import HeldItem
from router.journal import tables
from router.journal.decisions import DeskAction
from router.journal.fencing import Fence
from router.journal.operations import BODY_PLACE, Queued, ReleaseItems
from router.journal.store import Store
from router.journal.tables import ItemState
from router.journal.writer import Writer

GROUP = 64
AGAIN = timedelta(seconds=30)
"""When what could not be released (a worker died of it, its patient is gone) is tried again."""

WATCHED = timedelta(minutes=10)
"""How long after an undoing a Delivery that was on its way may still be recorded: longer than any sending takes."""

_DECISION, _ITEM = tables.identity_decision.c, tables.item.c
_NEWEST = select(func.max(_DECISION.id)).where(_DECISION.item_id == _ITEM.id).correlate(tables.item).scalar_subquery()
_UNDONE = (
    select(func.count())
    .where(_DECISION.item_id == _ITEM.id, _DECISION.action == DeskAction.UNDO.value)
    .correlate(tables.item)
    .scalar_subquery()
)
_ATTACHED = (
    select(
        _ITEM.id,
        _ITEM.message_id,
        _ITEM.ordinal,
        _ITEM.sealed_body,
        tables.message.c.source,
        tables.message.c.control_id,
        tables.message.c.message_type,
        tables.message.c.replays,
        _DECISION.id.label("decision_id"),
        func.coalesce(tables.patient.c.merged_into, _DECISION.patient_id).label("patient_id"),
        _UNDONE.label("undone"),
    )
    .join(tables.message, tables.message.c.id == _ITEM.message_id)
    .join(tables.identity_decision, _DECISION.item_id == _ITEM.id)
    .outerjoin(tables.patient, tables.patient.c.id == _DECISION.patient_id)
    .where(
        _ITEM.state == ItemState.HELD.value,
        _ITEM.id > bindparam("after"),
        _DECISION.id == _NEWEST,
        _DECISION.action == DeskAction.ATTACH.value,
    )
    .order_by(_ITEM.id)
    .limit(GROUP)
)
_RECENTLY_UNDONE = select(_DECISION.item_id).where(
    _DECISION.id > bindparam("after"), _DECISION.at >= bindparam("since"), _DECISION.action == DeskAction.UNDO.value
)


class DecidedItems:
    """Looks at the decisions of persons, and does what they ask of the engine."""

    def __init__(self, store: Store, writer: Writer, pool: WorkerPool, now: Callable[[], datetime]) -> None:
        self._store = store
        self._writer = writer
        self._pool = pool
        self._now = now
        self._seen: int | None = None
        self._again_at: int | None = None
        self._watched: dict[int, int] = {}

    async def look(self, now: int, fence: Fence | None = None, *, anew: bool = False) -> list[Sequence[Queued]]:
        """Release what was attached since the last look; gives what may be sent, in order. Raises JournalFault.

        `fence` is under which taking of the jobs it is done in a cluster. `anew`: a patient has changed, and what was
        attached to them long ago may have to be prepared anew.
        """
        last, undone = await asyncio.to_thread(self._news, now)
        self._watched |= dict.fromkeys(undone, now + int(WATCHED.total_seconds() * 1_000_000))
        released: list[Sequence[Queued]] = []
        if anew or last != self._seen or (self._again_at is not None and now >= self._again_at):
            released, whole = await self._release(fence)
            self._again_at = None if whole else now + int(AGAIN.total_seconds() * 1_000_000)
            self._seen = last
        if self._watched:
            await self._writer.submit(MarkLeft(tuple(self._watched), now))
            self._watched = {item: until for item, until in self._watched.items() if until > now}
        return released

    def _news(self, now: int) -> tuple[int, list[int]]:
        with self._store.reading() as connection:
            last = connection.execute(select(func.max(_DECISION.id))).scalar() or 0
            if last == self._seen:
                return last, []
            since = now - int(WATCHED.total_seconds() * 1_000_000)
            found = connection.execute(_RECENTLY_UNDONE, {"after": self._seen or 0, "since": since})
            return last, list(found.scalars())

    async def _release(self, fence: Fence | None) -> tuple[list[Sequence[Queued]], bool]:
        queued: list[Sequence[Queued]] = []
        after, whole = 0, True
        while True:
            held = await asyncio.to_thread(self._attached, after)
            if not held:
                return queued, whole
            after = held[-1].item_id
            prepared = await self._pool.reconsider(held, self._now())
            whole = whole and len(prepared) == len(held)
            if prepared:
                queued.append(await self._writer.submit(ReleaseItems(prepared, micros(self._now()), fence=fence)))

    def _attached(self, after: int) -> list[HeldItem]:
        sealer = self._store.sealer.clone()
        with self._store.reading() as connection:
            rows = connection.execute(_ATTACHED, {"after": after})
            return [_held(row, sealer.open(row.sealed_body, BODY_PLACE)) for row in rows]


def _held(row: Any, body: bytes) -> HeldItem:
    return HeldItem(
        item_id=row.id,
        message_id=row.message_id,
        source=row.source,
        control_id=row.control_id,
        message_type=row.message_type,
        ordinal=row.ordinal,
        replays=row.replays,
        body=body,
        patient_id=row.patient_id,
        decision_id=row.decision_id,
        undone=row.undone,
    )
