"""What a job is, and looking jobs up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import Connection, Row, select, text, update

from router.journal import tables
from router.journal.auditing import append_audit
from router.journal.operations import Change
from router.journal.unit import Unit

MOST = 10_000
"""Rows of one action; what is beyond is asked for again."""

MAPPINGS = "mappings"
"""Kind of target of a replay of messages: `mappings:12`."""

BATCH = 200
"""Rows of one transaction: the journal is never held for long."""


class BulkAction(StrEnum):
    """What may be done to many rows at once."""

    REPLAY_MESSAGES = "replay_messages"
    REPLAY_DELIVERIES = "replay_deliveries"
    CANCEL_DELIVERIES = "cancel_deliveries"
    REROUTE = "reroute"
    UNDO = "undo"


class JobState(StrEnum):
    """Where a job is."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


DONE = "done"
"""Outcome of a row for which something was done; any other says why it was left alone."""


class Left(StrEnum):
    """Why a row is, or would be, left alone."""

    READING = "reading"
    """A message that is being read."""
    WAITING = "waiting"
    """A Delivery that waits for its sending already."""
    GONE = "gone"
    """What has left cannot be cancelled, nor taken back."""
    ASIDE = "aside"
    """A Delivery that was set aside already."""
    UNWRITTEN = "unwritten"
    """A Delivery that has nothing to send: its message is replayed instead."""
    WITHDRAWN = "withdrawn"
    """A Delivery prepared under an INS that may leave no more."""
    PARTED = "parted"
    """A Delivery prepared for a patient who is no longer its Item's: its message is replayed instead."""
    HAS_IT = "has_it"
    """An Item that the destination has, or is about to get."""
    UNDECIDED = "undecided"
    """An Item that waits for a person at the identity desk, or that was refused there."""
    REPLACED = "replaced"
    """An Item that a replay of its message has replaced."""
    UNREADABLE = "unreadable"
    """An Item whose content this version cannot read or write."""
    OTHERWISE = "otherwise"
    """Somebody did something else with it meanwhile."""
    ABSENT = "absent"
    """A row that the journal no longer has."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What will happen, counted before anything does.

    `will` rows are acted upon, for `patients` persons; `left` counts the others by reason. `destinations` counts what
    would leave (or not leave any more) by destination, `kinds` by kind of Item. `doubles` counts, by destination, what
    a receiver has had already and would get again.
    """

    will: int = 0
    patients: int = 0
    left: Mapping[str, int] = field(default_factory=dict)
    destinations: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, int] = field(default_factory=dict)
    doubles: Mapping[str, int] = field(default_factory=dict)

    @property
    def doubled(self) -> int:
        """How many receivers would get twice."""
        return sum(self.doubles.values())


@dataclass(frozen=True, slots=True)
class Job:
    """One action on many rows, and how far it is. `changed` counts the rows for which something was done."""

    id: int
    at: int
    actor: str
    action: BulkAction
    state: JobState
    total: int
    done: int
    changed: int
    more: bool
    back: str
    target: str
    set_aside: bool
    preview: Preview | None
    problem: str
    started_at: int | None
    ended_at: int | None
    undo_of: int | None

    @property
    def final(self) -> bool:
        """Whether it cannot be undone, or gives receivers twice what they had: it is confirmed in words."""
        doubled = self.preview.doubled if self.preview is not None else 0
        return self.action is BulkAction.REPLAY_MESSAGES or doubled > 0

    @property
    def target_name(self) -> str:
        """The name of the destination or route."""
        return self.target.partition(":")[2]

    @property
    def mappings(self) -> int | None:
        """The version of the mappings that messages are read again with; None: those in force."""
        kind, _, number = self.target.partition(":")
        return int(number) if kind == MAPPINGS else None

    @property
    def by_route(self) -> bool:
        """Whether the target is a route."""
        return self.target.startswith("route:")


def job_of(row: Row[Any]) -> Job:
    """Make a Job of its row."""
    return Job(
        row.id,
        row.at,
        row.actor,
        BulkAction(row.action),
        JobState(row.state),
        row.total,
        row.done,
        row.changed,
        bool(row.more),
        row.back,
        row.target,
        bool(row.set_aside),
        Preview(**orjson.loads(row.preview)) if row.preview else None,
        row.problem,
        row.started_at,
        row.ended_at,
        row.undo_of,
    )


def load_job(connection: Connection, number: int) -> Job | None:
    """Give a job, or None."""
    found = connection.execute(select(tables.bulk_job).where(tables.bulk_job.c.id == number)).first()
    return job_of(found) if found is not None else None


def list_jobs(connection: Connection, *, before: int | None = None, limit: int = 50) -> list[Job]:
    """Give the jobs that were started, newest first, from the cursor `before` on."""
    column = tables.bulk_job.c
    statement = select(tables.bulk_job).where(column.state != JobState.PLANNED.value)
    if before is not None:
        statement = statement.where(column.id < before)
    return [job_of(row) for row in connection.execute(statement.order_by(column.id.desc()).limit(limit))]


def running_jobs(connection: Connection) -> list[int]:
    """Give the jobs to carry on with, oldest first."""
    column = tables.bulk_job.c
    # Written out, not bound: the partial index is chosen only for a literal condition.
    statement = select(column.id).where(text("bulk_job.state = 'running'")).order_by(column.id)
    return list(connection.execute(statement).scalars())


def undone_by(connection: Connection, number: int) -> int | None:
    """Give the job that takes another back, if one does."""
    column = tables.bulk_job.c
    return connection.execute(
        select(column.id).where(column.undo_of == number, column.state != JobState.PLANNED.value)
    ).scalar()


def start_job(number: int, *, actor: str, now: int) -> Change[bool]:
    """Start a planned job; False when it is not planned (any more)."""

    def change(unit: Unit) -> bool:
        column = tables.bulk_job.c
        statement = update(tables.bulk_job).where(column.id == number, column.state == JobState.PLANNED.value)
        started = unit.connection.execute(statement.values(state=JobState.RUNNING.value, started_at=now)).rowcount
        if started:
            job = load_job(unit.connection, number)
            assert job is not None  # noqa: S101 - it was just updated
            said = f"{job.action.value}, {job.total} rows" + (f", to {job.target}" if job.target else "")
            append_audit(unit, actor=actor, action="bulk start", target=f"bulk {number}", detail=said, now=now)
        return bool(started)

    return Change(change, note="start bulk job")


def stop_job(number: int, *, actor: str, now: int) -> Change[bool]:
    """Stop a running job after the transaction under way; what was done stays done."""

    def change(unit: Unit) -> bool:
        column = tables.bulk_job.c
        statement = update(tables.bulk_job).where(column.id == number, column.state == JobState.RUNNING.value)
        stopped = unit.connection.execute(statement.values(state=JobState.STOPPED.value, ended_at=now)).rowcount
        if stopped:
            append_audit(unit, actor=actor, action="bulk stop", target=f"bulk {number}", detail="", now=now)
        return bool(stopped)

    return Change(change, note="stop bulk job")


def fail_job(number: int, problem: str, *, now: int) -> Change[None]:
    """End a job that cannot go on, with the sentence that says why."""

    def change(unit: Unit) -> None:
        column = tables.bulk_job.c
        values = {"state": JobState.FAILED.value, "ended_at": now, "problem": problem[:400]}
        unit.connection.execute(
            update(tables.bulk_job).where(column.id == number, column.state == JobState.RUNNING.value).values(**values)
        )

    return Change(change, note="fail bulk job")


def numbers_of(text_: str | None) -> Sequence[int]:
    """Read numbers separated by blanks."""
    return [int(one) for one in (text_ or "").split()]
