"""What is done every hour: erase what is past its retention, sweep blobs that no row names; and count what flowed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import delete, select

from router.config.model import Configuration
from router.dossier.rounds import Writes
from router.engine.clock import micros
from router.journal import tables
from router.journal.flow_hours import Counted, count_hours, forget_hours, hours_to_count, keep_hours
from router.journal.operations import Change
from router.journal.pacing import Pace
from router.journal.retention import Kind, erasable, erase_messages, erase_rows
from router.journal.storage import Storage, is_measured, keep_measure, measure
from router.journal.store import Store
from router.journal.unit import Unit
from router.journal.view import viewing

PURGE_GROUP = 200
"""Messages erased in one transaction at most; how many, the time that it takes says (`router.journal.pacing`)."""

REST = 2.0
"""How long erasing rests after a group, in times of what the group took."""


class Housekeeping:
    """Erases and sweeps, and counts hours; never both at once, so that what is counted is what is there."""

    def __init__(
        self,
        store: Store,
        writer: Writes,
        retention_days: int,
        now: Callable[[], datetime],
        limits: Mapping[Kind, int] | None = None,
    ) -> None:
        """Keep messages for `retention_days`, and other kinds for the days that `limits` gives; 0 is for good."""
        self._limits = {kind: days for kind, days in (limits or {}).items() if days and kind is not Kind.MESSAGES}
        self._pace = Pace(10, PURGE_GROUP)
        self._store = store
        self._writer = writer
        self._retention = timedelta(days=retention_days)
        self._now = now
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        """Erase settled messages past their retention, then sweep."""
        async with self._one_at_a_time:
            await self._erase()
        await asyncio.to_thread(self._sweep)

    @property
    def group_size(self) -> int:
        """How many rows a group has by now."""
        return self._pace.size

    async def count(self) -> None:
        """Count the hours that are over, and those whose rows may have changed; measure the storage once an hour."""
        async with self._one_at_a_time:
            now = micros(self._now())
            while await self._count_some(now):
                continue
            await self._measure(now)

    async def _count_some(self, now: int) -> bool:
        counted = await asyncio.to_thread(self._counted, now)
        if counted is None:
            return False
        await self._writer.submit(keep_hours(counted, now))
        return True

    def _counted(self, now: int) -> Counted | None:
        with viewing(self._store) as view:
            span = hours_to_count(view, now)
            return None if span is None else count_hours(view, *span)

    async def _measure(self, now: int) -> None:
        def look() -> Storage | None:
            with viewing(self._store) as view:
                return None if is_measured(view, now) else measure(view, self._store.place)

        storage = await asyncio.to_thread(look)
        if storage is not None:
            await self._writer.submit(keep_measure(storage, now))

    async def _erase(self) -> None:
        limit = micros(self._now() - self._retention)
        await self._erase_messages(limit)
        for kind, days in self._limits.items():
            await self._erase_kind(kind, micros(self._now() - timedelta(days=days)))
        await self._writer.submit(Change(lambda unit: purge_codes(unit, limit), note="retention of codes"))
        await self._writer.submit(Change(lambda unit: purge_calls(unit, limit), note="retention of calls to INSi"))
        await self._writer.submit(Change(lambda unit: purge_notices(unit, limit), note="retention of notices"))
        now = micros(self._now())
        await self._writer.submit(Change(lambda unit: forget_hours(unit, now), note="retention of hours"))

    async def _erase_messages(self, limit: int) -> None:
        """Erase group after group: each is looked for beside the writer, which only takes it out."""
        after = (0, 0)

        def find() -> list[tuple[int, int]]:
            with self._store.reading() as connection:
                return erasable(connection, limit, after, self._pace.size)

        while found := await asyncio.to_thread(find):
            numbers = [number for _, number in found]
            await self._submit(partial(erase_messages, numbers=numbers))
            after = found[-1]
            await asyncio.sleep(self._pace.seconds * REST)

    async def _erase_kind(self, kind: Kind, limit: int) -> None:
        while True:
            group = partial(erase_rows, kind=kind, limit=limit, size=self._pace.size)
            if not await self._submit(group):
                return
            await asyncio.sleep(self._pace.seconds * REST)

    async def _submit(self, erase: Callable[[Unit], int]) -> int:
        """Erase a group, timed from when it gets the writer until it is committed."""

        def change(unit: Unit) -> int:
            self._pace.begin()
            return erase(unit)

        count = await self._writer.submit(Change(change, note="retention"))
        self._pace.end()
        return count

    def _sweep(self) -> int:
        used: set[str] = set()
        with self._store.reading() as connection:
            for column in (
                tables.message.c.blob,
                tables.delivery.c.blob,
                tables.item.c.blobs,
                tables.resource_body.c.blobs,
            ):
                for names in connection.execute(select(column).where(column.is_not(None))).scalars():
                    used.update(names.split())
        return self._store.blobs.sweep(used)


def kept_days(configuration: Configuration) -> dict[Kind, int]:
    """Give how many days each kind is kept; 0 is for good."""
    section = configuration.retention
    return {
        Kind.MESSAGES: configuration.journal.retention_days,
        Kind.NOTICES: section.notices_days,
        Kind.ALERTS: section.alerts_days,
        Kind.ACCESSES: section.accesses_days,
        Kind.AUDIT: section.audit_days,
    }


def purge(unit: Unit, limit: int) -> int:
    """Erase a group of messages received before `limit` (microseconds) that nothing waits for; gives how many."""
    return erase_messages(unit, [number for _, number in erasable(unit.connection, limit, (0, 0), PURGE_GROUP)])


def purge_notices(unit: Unit, limit: int) -> int:
    """Forget notices to subscribers that ended before `limit` (microseconds); gives how many."""
    column = tables.subscription_event.c
    return unit.connection.execute(delete(tables.subscription_event).where(column.ended_at < limit)).rowcount


def purge_codes(unit: Unit, limit: int) -> int:
    """Forget the unmapped codes that no message used since `limit` (microseconds); gives how many."""
    return unit.connection.execute(delete(tables.unmapped_code).where(tables.unmapped_code.c.last_at < limit)).rowcount


def purge_calls(unit: Unit, limit: int) -> int:
    """Forget the traces of calls to INSi made before `limit` (microseconds); gives how many."""
    return unit.connection.execute(delete(tables.insi_call).where(tables.insi_call.c.at < limit)).rowcount
