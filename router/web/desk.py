"""What all requests share: the router's context, threads that read the journal, memories that are bounded.

Nothing that looks at the journal runs in the event loop, which acknowledges messages: a page is asked for and drawn in
one of a few threads of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from fastapi import Request

from router.codes.maps import CodeMaps
from router.dossier.indicators import Line
from router.identity.insi import InsiAnswer
from router.journal.actions import record_audit
from router.journal.operations import Notice, Operation
from router.journal.sealing import Sealer
from router.journal.store import JournalFault
from router.journal.view import View, viewing
from router.quotas import Quota
from router.web.auditing import Verification
from router.web.boards import Boards
from router.web.context import WebContext
from router.web.linking import Linkings
from router.web.live import Live
from router.web.oidc.provider import Provider
from router.web.probing import Probe
from router.web.remembered import Remembered, Searches
from router.web.rendering import Pages
from router.web.rights import Rights
from router.web.sessions import SessionRules
from router.web.slow import Slow
from router.web.trials import Trials

R = TypeVar("R")

THREADS = 4
CHECKS = 2
"""Passwords that are checked at a time: a check takes memory and a core for some 40 ms."""


class Desk:
    """The shared state of the dashboard, one for an application."""

    def __init__(self, context: WebContext) -> None:
        self.context = context
        self.rules = SessionRules(
            context.idle_minutes * 60,
            context.session_hours * 3600,
            Rights(operators_configure=context.operators_configure),
            context.require_totp,
        )
        folder = context.configuration.parent if context.configuration is not None else Path()
        self.providers = {
            name: Provider(name, section, folder, now=lambda: self.now() // 1_000_000, http=context.provider_http)
            for name, section in context.providers.items()
        }
        self.pages = Pages(context)
        self.boards = Boards(context)
        self.searches = Searches()
        self.answers = Remembered[InsiAnswer](kept=200, seconds=3600.0)
        self.trials = Trials(context.configuration)
        self.indicators = Slow[list[Line]]()
        self.linkings = Linkings()
        self.probe = Probe()
        self.verification: Verification | None = None
        self.live = Live(context)
        self.codes = CodeMaps(context.code_maps)
        self.checks = asyncio.Semaphore(CHECKS)
        self.proofs = Quota(context.limits.proofs_per_minute)
        self.calls = Quota(context.limits.calls_per_minute)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="web")
        self._own = threading.local()

    def now(self) -> int:
        """Give the present moment in microseconds."""
        return micros(self.context.now())

    async def look(self, query: Callable[[View], R]) -> R:
        """Run a query in a thread of the dashboard."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._look, query)

    async def work(self, job: Callable[[], R]) -> R:
        """Run something that costs time, and no journal, in a thread of the dashboard."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, job)

    def _look(self, query: Callable[[View], R]) -> R:
        sealer: Sealer | None = getattr(self._own, "sealer", None)
        if sealer is None:
            sealer = self._own.sealer = self.context.store.sealer.clone()
        with viewing(self.context.store, sealer) as view:
            return query(view)

    async def submit(self, operation: Operation[R]) -> R:
        """Apply an operation through the journal's writer."""
        return await self.context.submit(operation)

    async def audit(self, actor: str, action: str, target: str, detail: str = "") -> None:
        """Keep who did or saw what, before it is shown. Raises JournalFault: what cannot be noted is not shown."""
        await self.submit(record_audit(actor, action, target, now=self.now(), detail=detail))

    async def report(self, said: str) -> None:
        """Keep a defect of a page as a notice."""
        try:
            await self.submit(Notice(self.now(), "dashboard", "error", "web.defect", "", said))
        except JournalFault:
            return  # the journal is what fails: its own component says so

    def changed(self) -> None:
        """Tell the engine, and the counts of the past, that a person changed rows."""
        self.boards.forget()
        self.context.wake()

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def micros(moment: datetime) -> int:
    """Give a moment in microseconds since the epoch."""
    return int(moment.timestamp() * 1_000_000)


def desk_of(request: Request) -> Desk:
    """Give the application's Desk."""
    desk: Desk = request.app.state.desk
    return desk
