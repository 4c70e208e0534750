"""What is done every hour: erase what is past its retention, sweep blobs that no row names; and count what flowed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, select

from router.dossier.rounds import Writes
from router.engine.clock import micros
from router.journal import tables
from router.journal.flow_hours import Counted, count_hours, forget_hours, hours_to_count, keep_hours, remember_erased
from router.journal.operations import Change
from router.journal.storage import Storage, is_measured, keep_measure, measure
from router.journal.store import Store
from router.journal.tables import OPEN_DELIVERIES, DeliveryState, MessageState
from router.journal.unit import Unit
from router.journal.view import viewing

PURGE_GROUP = 200
"""Messages erased in one transaction: few enough not to delay an acknowledgement."""


class Housekeeping:
    """Erases and sweeps, and counts hours; never both at once, so that what is counted is what is there."""

    def __init__(self, store: Store, writer: Writes, retention_days: int, now: Callable[[], datetime]) -> None:
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
        erased = PURGE_GROUP
        while erased == PURGE_GROUP:
            # One group a transaction: acknowledgements get through between two of them.
            erased = await self._writer.submit(Change(lambda unit: purge(unit, limit), note="retention"))
        await self._writer.submit(Change(lambda unit: purge_codes(unit, limit), note="retention of codes"))
        await self._writer.submit(Change(lambda unit: purge_calls(unit, limit), note="retention of calls to INSi"))
        await self._writer.submit(Change(lambda unit: purge_notices(unit, limit), note="retention of notices"))
        now = micros(self._now())
        await self._writer.submit(Change(lambda unit: forget_hours(unit, now), note="retention of hours"))

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


def purge(unit: Unit, limit: int) -> int:
    """Erase a group of messages received before `limit` (microseconds) that nothing waits for; gives how many."""
    message, delivery = tables.message.c, tables.delivery.c
    waiting = [state.value for state in (*OPEN_DELIVERIES, DeliveryState.HELD)]
    old = (
        select(message.id)
        .where(
            message.received_at < limit,
            message.state.in_((MessageState.PROCESSED.value, MessageState.REJECTED.value)),
            ~exists().where(delivery.message_id == message.id, delivery.state.in_(waiting)),
        )
        .order_by(message.received_at)
        .limit(PURGE_GROUP)
    )
    numbers = list(unit.connection.execute(old).scalars())
    if numbers:
        remember_erased(unit, numbers)
        unit.connection.execute(delete(tables.message).where(message.id.in_(numbers)))
    return len(numbers)


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
