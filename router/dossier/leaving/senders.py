"""The senders: what is due leaves by its channel, and what was handed over is settled by its end.

Whatever was committed is looked at again after a stop: nothing is held in memory alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from sqlalchemy import select

from router.dossier.leaving.ends import deliveries_changed, settle_deliveries
from router.dossier.leaving.mailing import ByMail, without_mail
from router.dossier.leaving.ordinary import Ordinary
from router.dossier.leaving.subscribed import BY_TOOL, ToTools
from router.dossier.rounds import Writes, go_round
from router.engine.clock import micros
from router.journal import tables
from router.journal.operations import Change, Queued
from router.journal.store import Store
from schemas.circle import Channel

R = TypeVar("R")

IDLE_SECONDS = 1.0
RETRY_SECONDS = 1.0


class NoticeSenders:
    """Sends notices until cancelled. `handed` is called when tools have something to be told of."""

    def __init__(
        self,
        store: Store,
        writer: Writes,
        tools: ToTools,
        ordinary: Ordinary,
        now: Callable[[], datetime],
        trouble: Callable[[str], None],
        *,
        mail: Callable[[], ByMail] | None = None,
        handed: Callable[[], None] = lambda: None,
        queued: Callable[[Sequence[Queued]], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._writer = writer
        self._tools = tools
        self._ordinary = ordinary
        self._now = now
        self._trouble = trouble
        self._make_mail = mail
        self._mail: ByMail | None = None
        self._handed = handed
        self._queued = queued
        self._thread = ThreadPoolExecutor(1, "notices")
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Look now."""
        self._changed.set()

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            await go_round(self.once, self._changed, self._trouble, idle=IDLE_SECONDS, retry=RETRY_SECONDS)
        finally:
            self._thread.shutdown(wait=False)

    async def once(self) -> bool:
        """Send what is due; False when there was nothing."""
        due, changed = await self._in_thread(self._look)
        if changed:
            at = micros(self._now())
            await self._writer.submit(Change(lambda unit: settle_deliveries(unit, at), note="ends of notices"))
        # What is held back by an earlier notice is due, and not work: it waits for that one.
        worked = changed
        if not due.isdisjoint(BY_TOOL):
            worked |= await self._to_tools()
        if Channel.MSSANTE in due:
            worked |= await self._by_mail()
        if not due.isdisjoint((Channel.EMAIL, Channel.SMS)):
            worked |= await self._by_ordinary()
        return worked

    def _look(self) -> tuple[set[Channel], bool]:
        """Give the channels by which something is due, and whether Deliveries of notices went on."""
        notice = tables.alert_notice.c
        waiting = select(notice.channel).where(notice.state == "queued", notice.not_before <= micros(self._now()))
        with self._store.reading() as connection:
            due = {Channel(one) for one in connection.execute(waiting.distinct()).scalars()}
            changed = connection.execute(deliveries_changed().limit(1)).first() is not None
        return due, changed

    async def _to_tools(self) -> bool:
        at = micros(self._now())
        handed = await self._writer.submit(
            Change(lambda unit: self._tools.hand_over(unit, at), note="notices to tools")
        )
        if handed.left:
            self._handed()
        return bool(handed.left or handed.passed)

    async def _by_mail(self) -> bool:
        if self._make_mail is None:
            return bool(await self._writer.submit(without_mail(micros(self._now()))))
        if self._mail is None:
            self._mail = await self._in_thread(self._make_mail)
        mail = self._mail
        taken = await self._writer.submit(mail.take(micros(self._now())))
        if taken:
            written = await self._in_thread(lambda: mail.write(taken, self._now()))
            self._queued(await self._writer.submit(mail.keep(written, micros(self._now()))))
        return bool(taken)

    async def _by_ordinary(self) -> bool:
        taken = await self._writer.submit(self._ordinary.take(micros(self._now())))
        if taken:
            outcomes = await self._ordinary.send(taken, self._now())
            await self._writer.submit(self._ordinary.settle(outcomes, micros(self._now())))
        return bool(taken)

    async def _in_thread(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
