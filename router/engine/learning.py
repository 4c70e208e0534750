"""Asking partners, some time after a sending, under which names they know it: one destination's, a few at a time.

Each destination has its own round, so that one which is down, or slow, stops no other. Where a round stands is in the
journal: it goes on after a restart, and what was told is not asked about again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from sqlalchemy import select

from connectors.contracts import Learner, Parcel
from router.engine.clock import micros
from router.engine.contents import Contents
from router.engine.lanes import Entry
from router.engine.waiting import ENTRY_COLUMNS
from router.journal import tables
from router.journal.naming import begin_asking, keep_answers
from router.journal.store import Store

EVERY = 15.0
"""Seconds between two rounds."""

TOGETHER = 10
"""Deliveries asked about in one round."""


class Learning:
    """Asks one destination's partner. `resting` says that nothing may leave for now (the destination is paused)."""

    def __init__(
        self,
        name: str,
        learner: Learner,
        store: Store,
        submit: Callable[[Any], Awaitable[Any]],
        now: Callable[[], datetime],
        resting: Callable[[], bool] = lambda: False,
    ) -> None:
        self._name = name
        self._learner = learner
        self._store = store
        self._submit = submit
        self._now = now
        self._resting = resting
        self._contents = Contents(store)

    async def run(self) -> None:
        """Ask about those that are due, the oldest first."""
        if self._resting():
            return
        due = await asyncio.to_thread(self._due)
        if not due:
            return
        numbers = [entry.id for entry in due]
        await self._submit(begin_asking(numbers, micros(self._now())))
        found = await asyncio.gather(*(self._contents.of(entry) for entry in due))
        loaded = [one for one in found if one is not None]  # all of them: nothing here asks for open ones only
        parcels = [
            Parcel(
                delivery_id=entry.id,
                identity=entry.identity,
                content=one.content,
                media_type=entry.media_type,
                filename=entry.filename,
                attempt=entry.attempts,
                attachments=one.attachments,
            )
            for entry, one in zip(due, loaded, strict=True)
        ]
        answers = await self._learner.learn(parcels)
        await self._submit(keep_answers(answers, micros(self._now())))

    def _due(self) -> list[Entry]:
        column = tables.delivery_naming.c
        wanted = (
            select(*ENTRY_COLUMNS)
            .join(tables.delivery_naming, column.delivery_id == tables.delivery.c.id)
            .where(column.destination == self._name, column.due_at <= micros(self._now()))
            .order_by(column.due_at)
            .limit(TOGETHER)
        )
        with self._store.reading() as connection:
            return [Entry(**dict(row._mapping)) for row in connection.execute(wanted)]
