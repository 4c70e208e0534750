"""Taking a job back where it can be: what was cancelled returns, what was to be sent again and has not left does not.

What has left cannot be taken back, nor can the reading of a message. A row that somebody changed since is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, insert, literal, select, update

from router.bulk.jobs import DONE, BulkAction, Job, JobState, Left, load_job, numbers_of
from router.journal import tables
from router.journal.actions import Barred, sendable
from router.journal.auditing import append_audit
from router.journal.operations import Change
from router.journal.tables import DeliveryState, ItemState
from router.journal.unit import Unit

UNDOABLE = (BulkAction.CANCEL_DELIVERIES, BulkAction.REPLAY_DELIVERIES, BulkAction.REROUTE)
UNDO_ACTION = "bulk undo"
"""What the audit says, and what makes the engine read anew what waits."""

_ENDED = (JobState.DONE.value, JobState.STOPPED.value, JobState.FAILED.value)
_PUT_BACK = ("state", "ended_at", "next_attempt_at", "attempts_before", "detail")
_NOT_GONE = (DeliveryState.PENDING.value, DeliveryState.RETRYING.value, DeliveryState.HELD.value)


def undoable(connection: Connection, job: Job) -> int:
    """Count the rows of an ended job that could be taken back now."""
    if job.action not in UNDOABLE or job.state.value not in _ENDED:
        return 0
    row, sent = tables.bulk_row.c, tables.delivery.c
    done = select(tables.bulk_row).where(row.job_id == job.id, row.outcome == DONE)
    rows = connection.execute(done).all()
    wanted = {row.row_id for row in rows} if job.action is not BulkAction.REROUTE else set()
    for one in rows:
        wanted.update(numbers_of(one.made_ids))
    states: dict[int, Any] = {}
    numbers = sorted(wanted)
    for start in range(0, len(numbers), 5_000):
        found = select(sent.id, sent.state, sent.attempts, sent.ended_at).where(
            sent.id.in_(numbers[start : start + 5_000])
        )
        states |= {one.id: one for one in connection.execute(found)}
    return sum(_why_not(job.action, one, states) is None for one in rows)


def _why_not(action: BulkAction, row: Any, states: Mapping[int, Any]) -> str | None:
    """Say why a row cannot be taken back, None when it can."""
    made = numbers_of(row.made_ids)
    if made:
        those = [states[number] for number in made if number in states]
        if any(one.attempts or one.state not in (*_NOT_GONE, DeliveryState.DEAD.value) for one in those):
            return Left.GONE.value
        return None if those else Left.ABSENT.value
    now = states.get(row.row_id)
    if now is None or row.before is None:
        return Left.ABSENT.value
    before = orjson.loads(row.before)
    if action is BulkAction.CANCEL_DELIVERIES:
        same = now.state == DeliveryState.CANCELLED.value and now.ended_at == before["at"]
        return None if same else Left.OTHERWISE.value
    if now.state == DeliveryState.PENDING.value and now.attempts == before["attempts"]:
        return None
    return Left.OTHERWISE.value if now.state == DeliveryState.CANCELLED.value else Left.GONE.value


def plan_undo(number: int, *, actor: str, now: int) -> Change[int | None]:
    """Start taking a job back; gives the number of the job that does, None when there is nothing to take back."""

    def change(unit: Unit) -> int | None:
        connection, column = unit.connection, tables.bulk_job.c
        job = load_job(connection, number)
        taken = connection.execute(select(column.id).where(column.undo_of == number)).first()
        if job is None or taken is not None or not undoable(connection, job):
            return None
        row = tables.bulk_row.c
        chosen = select(row.row_id).where(row.job_id == number, row.outcome == DONE)
        numbers = list(connection.execute(chosen).scalars())
        added = insert(tables.bulk_job).values(
            at=now,
            actor=actor[:120],
            action=BulkAction.UNDO.value,
            state=JobState.RUNNING.value,
            total=len(numbers),
            more=False,
            back=job.back,
            set_aside=False,
            started_at=now,
            undo_of=number,
        )
        made: int = connection.execute(added.returning(column.id)).scalar_one()
        copied = select(literal(made), row.row_id).where(row.job_id == number, row.outcome == DONE)
        connection.execute(insert(tables.bulk_row).from_select(["job_id", "row_id"], copied))
        append_audit(
            unit, actor=actor, action="bulk start", target=f"bulk {made}", detail=f"undo of bulk {number}", now=now
        )
        return made

    return Change(change, note="undo bulk job")


def undo_rows(unit: Unit, job: Job, numbers: Sequence[int], now: int) -> dict[int, str]:
    """Take some rows back; gives what came of each."""
    connection = unit.connection
    first = load_job(connection, job.undo_of or 0)
    if first is None:
        return dict.fromkeys(numbers, Left.ABSENT.value)
    row, sent = tables.bulk_row.c, tables.delivery.c
    found = connection.execute(select(tables.bulk_row).where(row.job_id == first.id, row.row_id.in_(numbers))).all()
    wanted = {one.row_id for one in found} if first.action is not BulkAction.REROUTE else set()
    for one in found:
        wanted.update(numbers_of(one.made_ids))
    looked = select(sent.id, sent.state, sent.attempts, sent.ended_at).where(sent.id.in_(wanted))
    states = {one.id: one for one in connection.execute(looked)}
    outcomes = dict.fromkeys(numbers, Left.ABSENT.value)
    # What may not leave any more is not put back to where it would leave.
    waited = sorted({number for one in found for number in _would_leave(first.action, one)})
    barred = sendable(connection, unit.sealer, waited)
    for one in found:
        why = _why_not(first.action, one, states)
        if why is None and first.action is not BulkAction.REROUTE and one.row_id in barred:
            why = barred[one.row_id].value
        outcomes[one.row_id] = why or DONE
        if why is None:
            _take_back(unit, first, one, job.actor, now, barred)
    shown = ", ".join(str(number) for number in list(outcomes)[:20])
    append_audit(unit, actor=job.actor, action=UNDO_ACTION, target=f"{len(numbers)} rows", detail=shown, now=now)
    return outcomes


def _would_leave(action: BulkAction, row: Any) -> list[int]:
    """Give the Deliveries that taking a row back would put back to where they wait for their sending."""
    before = orjson.loads(row.before) if row.before else {}
    aside = before.get("aside", {}) if action is BulkAction.REROUTE else {str(row.row_id): before}
    open_states = {state.value for state in tables.OPEN_DELIVERIES}
    return [int(number) for number, state in aside.items() if state.get("state") in open_states]


def _take_back(unit: Unit, first: Job, row: Any, actor: str, now: int, barred: Mapping[int, Barred]) -> None:
    made = numbers_of(row.made_ids)
    if made:
        values = {
            "state": DeliveryState.CANCELLED.value,
            "ended_at": now,
            "next_attempt_at": None,
            "detail": f"undone by {actor}"[:400],
        }
        unit.connection.execute(update(tables.delivery).where(tables.delivery.c.id.in_(made)).values(**values))
    before = orjson.loads(row.before) if row.before else {}
    if first.action is BulkAction.REROUTE:
        for number, state in before.get("aside", {}).items():
            if int(number) not in barred:
                _put_back(unit, int(number), state, aside_at=before["at"])
        if before.get("item") == ItemState.UNROUTED.value:
            item = tables.item.c
            statement = update(tables.item).where(item.id == row.row_id, item.state == ItemState.ROUTED.value)
            unit.connection.execute(statement.values(state=ItemState.UNROUTED.value))
    elif not made:
        _put_back(unit, row.row_id, before)


def _put_back(unit: Unit, number: int, before: Mapping[str, Any], aside_at: int | None = None) -> None:
    column = tables.delivery.c
    statement = update(tables.delivery).where(column.id == number)
    if aside_at is not None:
        statement = statement.where(column.state == DeliveryState.CANCELLED.value, column.ended_at == aside_at)
    unit.connection.execute(statement.values({name: before[name] for name in _PUT_BACK}))
