"""One batch of a job: its next rows, what is done to them, and what came of each, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, func, select, text, update

from router.bulk.jobs import BATCH, DONE, BulkAction, Job, JobState, Left, load_job
from router.bulk.planning import left_alone
from router.bulk.undoing import undo_rows
from router.journal import tables
from router.journal.actions import cancel_deliveries, replay_deliveries, replay_messages, sendable
from router.journal.auditing import append_audit
from router.journal.tables import DeliveryState, MessageState
from router.journal.unit import Unit

KEPT_STATE = ("state", "ended_at", "next_attempt_at", "attempts", "attempts_before", "detail")
"""What of a Delivery is kept to be put back."""


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What came of one row: `DONE`, or why it was left alone; the Deliveries that were made; what the row was."""

    row_id: int
    outcome: str
    made: Sequence[int] = ()
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What a batch came to; `over` when the job has no further row, or does not run any more."""

    rows: int
    changed: int
    over: bool


_OPEN = text("outcome IS NULL")


def open_rows(connection: Connection, job: int, limit: int = BATCH) -> list[Any]:
    """Give the next rows of a job whose turn has not come."""
    row = tables.bulk_row.c
    statement = select(tables.bulk_row).where(row.job_id == job, _OPEN).order_by(row.row_id).limit(limit)
    return list(connection.execute(statement).all())


@dataclass(frozen=True, slots=True)
class CarryBatch:
    """Carry on with a job by one batch. Applied twice, or by two processes, no row has its turn twice."""

    job_id: int
    now: int

    def apply(self, unit: Unit) -> Progress:
        """Do what the job says to its next rows."""
        unit.flush()  # what this transaction has gathered counts as well
        job = load_job(unit.connection, self.job_id)
        if job is None or job.state is not JobState.RUNNING:
            return Progress(0, 0, over=True)
        rows = open_rows(unit.connection, job.id)
        outcomes = _act(unit, job, rows, self.now) if rows else []
        return settle_rows(unit, job, outcomes, self.now)


def settle_rows(unit: Unit, job: Job, outcomes: Sequence[RowOutcome], now: int) -> Progress:
    """Keep what came of rows, and how far the job is with that; it is done when no row is left."""
    connection, row, column = unit.connection, tables.bulk_row.c, tables.bulk_job.c
    if outcomes:
        statement = (
            update(tables.bulk_row)
            .where(row.job_id == job.id, row.row_id == bindparam("b_row"))
            .values(outcome=bindparam("b_outcome"), made_ids=bindparam("b_made"), before=bindparam("b_before"))
        )
        connection.execute(
            statement,
            [
                {
                    "b_row": one.row_id,
                    "b_outcome": one.outcome,
                    "b_made": " ".join(map(str, one.made)) or None,
                    "b_before": one.before,
                }
                for one in outcomes
            ],
        )
    changed = sum(one.outcome == DONE for one in outcomes)
    values: dict[str, Any] = {"done": column.done + len(outcomes), "changed": column.changed + changed}
    over = not open_rows(connection, job.id, 1)
    if over:
        values |= {"state": JobState.DONE.value, "ended_at": now}
        said = f"{job.action.value}, {job.changed + changed} of {job.total} rows"
        append_audit(unit, actor=job.actor, action="bulk end", target=f"bulk {job.id}", detail=said, now=now)
    connection.execute(update(tables.bulk_job).where(column.id == job.id).values(**values))
    return Progress(len(outcomes), changed, over)


def _act(unit: Unit, job: Job, rows: Sequence[Any], now: int) -> list[RowOutcome]:
    numbers = [row.row_id for row in rows]
    match job.action:
        case BulkAction.REPLAY_MESSAGES:
            return _replay_messages(unit, job, numbers, now)
        case BulkAction.REPLAY_DELIVERIES:
            return _replay_deliveries(unit, job, numbers, now)
        case BulkAction.CANCEL_DELIVERIES:
            return _cancel(unit, job, numbers, now)
        case BulkAction.UNDO:
            return [RowOutcome(number, why) for number, why in undo_rows(unit, job, numbers, now).items()]
        case BulkAction.REROUTE:
            raise AssertionError("Items are written by workers first")


def _replay_messages(unit: Unit, job: Job, numbers: Sequence[int], now: int) -> list[RowOutcome]:
    column = tables.message.c
    found = unit.connection.execute(select(column.id, column.state).where(column.id.in_(numbers)))
    states = {row.id: row.state for row in found}
    ready = [number for number in numbers if states.get(number) not in {None, MessageState.RECEIVED.value}]
    if ready:
        replay_messages(ready, actor=job.actor, now=now, mappings=job.mappings).apply(unit)
    again = set(ready)
    left = {number: Left.READING if number in states else Left.ABSENT for number in numbers}
    return [RowOutcome(number, DONE if number in again else left[number].value) for number in numbers]


def _replay_deliveries(unit: Unit, job: Job, numbers: Sequence[int], now: int) -> list[RowOutcome]:
    before = kept_states(unit.connection, numbers)
    barred = sendable(unit.connection, unit.sealer, list(before))
    whys = {
        number: barred[number].value if number in barred else left_alone(job.action, DeliveryState(state["state"]))
        for number, state in before.items()
    }
    ready = [number for number, why in whys.items() if why is None]
    last = unit.connection.execute(select(func.max(tables.delivery.c.id))).scalar() or 0
    if ready:
        replay_deliveries(ready, actor=job.actor, now=now).apply(unit)
    column = tables.delivery.c
    copies = select(column.id, column.replay_of).where(column.id > last, column.replay_of.in_(ready))
    made = {row.replay_of: row.id for row in unit.connection.execute(copies)}
    return [_came_to(number, whys, before, made) for number in numbers]


def _cancel(unit: Unit, job: Job, numbers: Sequence[int], now: int) -> list[RowOutcome]:
    before = kept_states(unit.connection, numbers)
    whys = {number: left_alone(job.action, DeliveryState(state["state"])) for number, state in before.items()}
    ready = [number for number, why in whys.items() if why is None]
    if ready:
        cancel_deliveries(ready, actor=job.actor, now=now).apply(unit)
    return [_came_to(number, whys, before, {}, now) for number in numbers]


def _came_to(
    number: int, whys: dict[int, str | None], before: dict[int, dict[str, Any]], made: dict[int, int], at: int = 0
) -> RowOutcome:
    if number not in before:
        return RowOutcome(number, Left.ABSENT.value)
    why = whys[number]
    if why is not None:
        return RowOutcome(number, why)
    if number in made:
        return RowOutcome(number, DONE, (made[number],))
    return RowOutcome(number, DONE, (), orjson.dumps({**before[number], "at": at}).decode())


def kept_states(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Give of these Deliveries what undoing must put back."""
    column = tables.delivery.c
    wanted = (column.id, *(column[name] for name in KEPT_STATE))
    found = connection.execute(select(*wanted).where(column.id.in_(numbers)))
    return {row.id: {name: getattr(row, name) for name in KEPT_STATE} for row in found}
