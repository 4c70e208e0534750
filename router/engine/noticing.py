"""Notices: what belongs to no message and an administrator must know, kept in the journal without a flood."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

from router.engine.clock import micros
from router.journal.operations import Notice
from router.journal.store import JournalFault
from router.journal.writer import Writer
from router.observe.logs import log_notice
from schemas.finding import Finding, Severity

AGAIN = 60_000_000
"""Microseconds within which the same trouble is told once."""


class Notices:
    """Keeps Findings of the router's parts."""

    def __init__(self, writer: Writer, now: Callable[[], datetime]) -> None:
        self._writer = writer
        self._now = now
        self._last: dict[str, int] = {}
        self._under_way: set[asyncio.Task[object]] = set()

    def report(self, component: str, finding: Finding) -> None:
        """Keep a Finding."""
        notice = Notice(
            micros(self._now()), component, finding.severity.value, finding.code, finding.where, finding.message
        )
        try:
            future = self._writer.submit(notice)
        except JournalFault:
            return  # the journal is closing: nobody would read the notice
        log_notice(component, finding.severity.value, finding.code, finding.message)
        task = asyncio.ensure_future(_quiet(future))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def trouble(self, component: str, said: str) -> None:
        """Keep a trouble as a notice; the same one at most once a minute."""
        now = micros(self._now())
        if now - self._last.get(component + said, 0) < AGAIN:
            return
        self._last[component + said] = now
        self.report(component, Finding(severity=Severity.ERROR, code="engine.trouble", where=component, message=said))

    def close(self) -> None:
        """Wait for nothing more."""
        for task in list(self._under_way):
            task.cancel()


async def _quiet(future: asyncio.Future[None]) -> object:
    with contextlib.suppress(JournalFault):
        await future
    return None
