"""Work on many rows: previewed with its count, done in small transactions, with progress, a stop and a result."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from router.journal.actions import cancel_deliveries, replay_deliveries, replay_messages
from router.journal.operations import Change
from router.journal.store import JournalFault

MOST = 10_000
"""Rows of one bulk action; what is beyond is asked for again."""

BATCH = 200
"""Rows of one transaction: the journal is never held for long."""

KEPT = 50


class BulkAction(StrEnum):
    """What may be done to many rows at once."""

    REPLAY_MESSAGES = "replay_messages"
    REPLAY_DELIVERIES = "replay_deliveries"
    CANCEL_DELIVERIES = "cancel_deliveries"


_CHANGES: dict[BulkAction, Callable[..., Change[int]]] = {
    BulkAction.REPLAY_MESSAGES: replay_messages,
    BulkAction.REPLAY_DELIVERIES: replay_deliveries,
    BulkAction.CANCEL_DELIVERIES: cancel_deliveries,
}


class JobState(StrEnum):
    """Where a job is."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(slots=True)
class Job:
    """One bulk action: the very rows that were counted in its preview, and how far it is.

    `changed` counts the rows that were still in a state that allows it. `more` says that there were more rows than one
    action takes.
    """

    key: str
    session: bytes
    action: BulkAction
    ids: Sequence[int]
    more: bool
    back: str
    state: JobState = JobState.PLANNED
    done: int = 0
    changed: int = 0
    problem: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def total(self) -> int:
        """How many rows it is about."""
        return len(self.ids)


class BulkJobs:
    """Plans and runs jobs; remembers the last ones. Used from the event loop only."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def plan(self, session: bytes, action: BulkAction, ids: Sequence[int], *, more: bool, back: str) -> Job:
        """Remember what would be done, for its preview."""
        job = Job(secrets.token_urlsafe(9), session, action, tuple(ids), more, back)
        self._jobs[job.key] = job
        for key in [key for key, old in self._jobs.items() if old.state is not JobState.RUNNING]:
            if len(self._jobs) <= KEPT:
                break
            del self._jobs[key]
        return job

    def find(self, session: bytes, key: str) -> Job | None:
        """Give a job of this session."""
        job = self._jobs.get(key)
        return job if job is not None and job.session == session else None

    def start(
        self,
        job: Job,
        submit: Callable[[Change[int]], Awaitable[int]],
        *,
        actor: str,
        now: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        """Start a planned job; one that was started already goes on."""
        if job.state is JobState.PLANNED:
            job.state = JobState.RUNNING
            job.task = asyncio.create_task(_run(job, submit, actor, now, changed), name=f"bulk {job.key}")

    def stop(self, job: Job) -> None:
        """Stop a job after the transaction under way; what was done stays done."""
        if job.state is JobState.RUNNING:
            job.state = JobState.STOPPED


async def _run(
    job: Job,
    submit: Callable[[Change[int]], Awaitable[int]],
    actor: str,
    now: Callable[[], int],
    changed: Callable[[], None],
) -> None:
    change = _CHANGES[job.action]
    try:
        for start in range(0, job.total, BATCH):
            if job.state is not JobState.RUNNING:
                return
            batch = job.ids[start : start + BATCH]
            job.changed += await submit(change(batch, actor=actor, now=now()))
            job.done += len(batch)
            changed()
    except JournalFault as fault:
        job.state, job.problem = JobState.FAILED, str(fault)
        return
    if job.state is JobState.RUNNING:
        job.state = JobState.DONE
