"""What was decided, newest first: who, when, why, and whether it can still be undone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from router.desk.reasons import Why
from router.journal import tables
from router.journal.decisions import NOTE_PLACE, DeskAction, newest_decisions
from router.journal.queries_lines import ItemLine, item_lines
from router.journal.view import View


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """One decision, with the Items taken with it.

    `reason` is why the Item was held, `why` the person's own reason with its `note`. `standing`: nothing was decided
    about the Item since, so that it can be undone.
    """

    id: int
    at: int
    actor: str
    action: DeskAction
    item_id: int
    patient_id: int | None
    reason: str
    why: Why
    note: str
    undoes: int | None
    items: int
    standing: bool
    item: ItemLine | None


def decisions(
    view: View, *, item: int | None = None, actor: str | None = None, before: int | None = None, limit: int = 50
) -> list[DecisionLine]:
    """Give decisions, newest first, from the cursor `before` on; of those taken at once only the first."""
    column = tables.identity_decision.c
    statement = select(tables.identity_decision).order_by(column.id.desc()).limit(limit)
    if item is not None:
        statement = statement.where(column.item_id == item)
    else:
        statement = statement.where(column.group_id.is_(None))
    if actor is not None:
        statement = statement.where(column.actor == actor)
    if before is not None:
        statement = statement.where(column.id < before)
    return list(_lines(view, view.connection.execute(statement).all()))


def decision(view: View, number: int) -> DecisionLine | None:
    """Give one decision, or None when there is none."""
    found = select(tables.identity_decision).where(tables.identity_decision.c.id == number)
    return next(_lines(view, view.connection.execute(found).all()), None)


def last_of(view: View, actor: str, *, since: int) -> DecisionLine | None:
    """Give what somebody decided last, if it was since then (microseconds) and still stands."""
    column = tables.identity_decision.c
    found = (
        select(tables.identity_decision)
        .where(column.actor == actor[:120], column.at >= since, column.group_id.is_(None))
        .order_by(column.id.desc())
        .limit(1)
    )
    line = next(_lines(view, view.connection.execute(found).all()), None)
    return line if line is not None and line.standing else None


def _lines(view: View, rows: Any) -> Iterator[DecisionLine]:
    column = tables.identity_decision.c
    numbers = [row.id for row in rows]
    grouped = select(column.group_id, func.count().label("number")).where(column.group_id.in_(numbers))
    along = {row.group_id: row.number for row in view.connection.execute(grouped.group_by(column.group_id))}
    items = [row.item_id for row in rows]
    newest = newest_decisions(view.connection, items)
    told = {line.id: line for line in item_lines(view, tables.item.c.id.in_(items), replaced=True)} if items else {}
    for row in rows:
        note = view.json_object(row.sealed_detail, NOTE_PLACE).get("note")
        action = DeskAction(row.action)
        yield DecisionLine(
            row.id,
            row.at,
            row.actor,
            action,
            row.item_id,
            row.patient_id,
            row.reason or "",
            Why(row.why),
            note if isinstance(note, str) else "",
            row.undoes,
            1 + along.get(row.id, 0),
            action is not DeskAction.UNDO and newest[row.item_id].id == row.id,
            told.get(row.item_id),
        )
