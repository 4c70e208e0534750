"""What the engine lends to connectors, and takes back when one is closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from connectors.contracts import Connector, Health, Services
from router.engine.memory import JournalMemory, JournalRecords
from router.engine.noticing import Notices
from router.journal.store import Store
from router.journal.writer import Writer
from router.observe.observer import Observer

Stop = Callable[[], None]


class Schedule:
    """Periodic jobs; one that fails is told of, and runs again at its time."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._scheduler = AsyncIOScheduler(timezone="UTC")

    def start(self) -> None:
        """Begin to run jobs."""
        self._scheduler.start()

    def stop(self) -> None:
        """Run no further job."""
        self._scheduler.shutdown(wait=False)

    def every(self, seconds: float, job: Callable[[], Awaitable[None]]) -> Stop:
        """Run a job from time to time; gives what stops it."""

        async def run() -> None:
            try:
                await job()
            except Exception as problem:
                self._notices.trouble("scheduler", f"a periodic job failed ({type(problem).__name__})")

        scheduled = self._scheduler.add_job(
            run, IntervalTrigger(seconds=seconds), max_instances=1, coalesce=True, misfire_grace_time=None
        )

        def stop() -> None:
            with contextlib.suppress(LookupError):
                scheduled.remove()

        return stop


@dataclass(frozen=True, slots=True)
class Lender:
    """Makes the Services of connectors. `connector` gives a connector by its name."""

    connector: Callable[[str], Connector]
    now: Callable[[], datetime]
    notices: Notices
    schedule: Schedule
    store: Store
    writer: Writer
    records: JournalRecords
    folder: Path
    observer: Observer | None = None

    def services(
        self,
        side: str,
        name: str,
        health: Health,
        stopping: asyncio.Event,
        ready: Callable[[str], None],
        jobs: list[Stop],
    ) -> Services:
        """Lend to one connector; what stops each of its periodic jobs is put into `jobs`."""

        def spawn_every(seconds: float, job: Callable[[], Awaitable[None]]) -> Stop:
            stop = self.schedule.every(seconds, job)
            jobs.append(stop)
            return stop

        return Services(
            now=self.now,
            report=lambda finding: self.notices.report(name, finding),
            health=health,
            ready=ready,
            spawn_every=spawn_every,
            stopping=stopping,
            memory=JournalMemory(f"{side} {name}", self.store, self.writer, self.now),
            records=JournalRecords(self.store, name) if side == "destination" else self.records,
            folder=self.folder,
        )


def take_back(jobs: list[Stop]) -> None:
    """Stop the periodic jobs of a connector that is closed."""
    for stop in jobs:
        stop()
    jobs.clear()
