"""The engine's part: jobs that are to be carried on with are found in the journal, and carried on with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from router.bulk.doing import CarryBatch, Progress
from router.bulk.jobs import BulkAction, Job, fail_job, load_job, running_jobs
from router.bulk.rerouting import REROUTED, ChosenItem, KeepRerouted, Rerouted, chosen_items
from router.journal.prepared import Queued
from router.journal.store import JournalFault, Store
from router.web.context import Submit

LOOK_SECONDS = 1.0
"""How often the journal is looked at for what other processes asked."""

AGAIN_SECONDS = 2.0
"""Wait before going on when the journal did not take a batch (a full disk)."""

BREATH = 0.01
"""Pause between two batches: messages that arrive have the journal in between."""


class Write(Protocol):
    """Writes Items for destinations (each with the name of a route), in a worker; gives one result for each Item."""

    async def __call__(
        self, items: Sequence[ChosenItem], routes: Mapping[str, str], mark: str, now: datetime, /
    ) -> list[Rerouted]:
        """Write them. `mark` goes into the identity of what is made."""


class BulkRunner:
    """Carries on with jobs, one batch after the other, the oldest job first.

    `routes` gives the destinations of each configured route by its name, `destinations` their names. `queued` is told
    what may be sent, `changed` that rows changed, `trouble` what an administrator must know.
    """

    def __init__(
        self,
        store: Store,
        submit: Submit,
        *,
        now: Callable[[], datetime],
        write: Write | None = None,
        destinations: frozenset[str] = frozenset(),
        routes: Mapping[str, Sequence[str]] | None = None,
        queued: Callable[[Sequence[Queued]], None] = lambda _: None,
        changed: Callable[[], None] = lambda: None,
        trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._submit = submit
        self._now = now
        self._write = write
        self._destinations = destinations
        self._routes = dict(routes or {})
        self._queued = queued
        self._changed = changed
        self._trouble = trouble
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Look now: a person started something."""
        self._nudged.set()

    async def run(self) -> None:
        """Carry on for ever; ends when cancelled, between two transactions."""
        while True:
            self._nudged.clear()
            try:
                await self.carry_all()
            except JournalFault as fault:
                self._trouble(str(fault))
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._nudged.wait()

    async def carry_all(self) -> int:
        """Carry on with every job that runs, to its end; gives how many batches that took. Raises JournalFault."""
        batches = 0
        while numbers := await asyncio.to_thread(self._running):
            for number in numbers:
                while not (await self._batch(number)).over:
                    batches += 1
                    await asyncio.sleep(BREATH)
                batches += 1
        return batches

    def _running(self) -> list[int]:
        with self._store.reading() as connection:
            return running_jobs(connection)

    async def _batch(self, number: int) -> Progress:
        job = await asyncio.to_thread(self._job, number)
        if job is None:
            return Progress(0, 0, over=True)
        if job.action is BulkAction.REROUTE:
            progress = await self._reroute(job)
        else:
            progress = await self._submit(CarryBatch(number, self._micros()))
        self._changed()
        return progress

    def _job(self, number: int) -> Job | None:
        with self._store.reading() as connection:
            return load_job(connection, number)

    async def _reroute(self, job: Job) -> Progress:
        routes = self._target(job)
        if not routes or self._write is None:
            said = f"{job.target_name} is not configured (any more): nothing further was sent"
            await self._submit(fail_job(job.id, said, now=self._micros()))
            return Progress(0, 0, over=True)
        chosen, others = await asyncio.to_thread(chosen_items, self._store, job.id)
        prepared = await self._write(chosen, routes, f"/bulk-{job.id}", self._now()) if chosen else []
        operation = KeepRerouted(job.id, prepared, others, self._micros())
        progress = await self._submit(operation)
        if operation.queued:
            self._queued(operation.queued)
        return progress

    def _target(self, job: Job) -> dict[str, str]:
        if job.by_route:
            return dict.fromkeys(self._routes.get(job.target_name, ()), job.target_name)
        return {job.target_name: REROUTED} if job.target_name in self._destinations else {}

    def _micros(self) -> int:
        return int(self._now().timestamp() * 1_000_000)
