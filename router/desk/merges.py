"""The merges of two patients that messages made, newest first: which stand, which were undone, by whom and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Row, or_, select

from router.identity.flows_merge import BEFORE_PLACE, WHY_PLACE, UndoRefusal, refusal_of
from router.journal import tables
from router.journal.queries_lines import ItemLine, PatientLine, item_lines
from router.journal.retention import DAY_MICROS
from router.journal.view import View
from schemas.identity import IdentityStatus, PatientIdentity

SENTENCES = {
    UndoRefusal.NO_MERGE: "There is no such merge: list those that there are.",
    UndoRefusal.UNDONE: "This merge was undone already: nothing was changed, look at who did and why.",
    UndoRefusal.TOO_OLD: "This merge is older than messages are kept: what came since cannot be told apart any more; "
    "ask the sender to send both patients anew.",
    UndoRefusal.LATER: "One of the two patients was merged again since: undo that later merge first.",
}
"""What each refusal says to a user of the API and of the command line: what, and what to do."""


class MergeState(StrEnum):
    """Whether a merge stands."""

    STANDING = "standing"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class MergeSide:
    """One of the two patients as it was before the merge."""

    patient_id: int
    line: PatientLine
    status: IdentityStatus | None
    has_ins: bool
    identifiers: int


@dataclass(frozen=True, slots=True)
class MergeLine:
    """A merge; times are microseconds since the epoch.

    `item` is what said so, None once its message is erased. `refusal` says why it cannot be undone now; `later` is the
    merge that must be undone first.
    """

    id: int
    at: int
    item: ItemLine | None
    survivor: MergeSide
    absorbed: MergeSide
    undone_at: int | None
    undone_by: str
    why: str
    refusal: UndoRefusal | None
    later: int | None

    @property
    def state(self) -> MergeState:
        """Whether it stands."""
        return MergeState.STANDING if self.undone_at is None else MergeState.UNDONE


def kept_since(now: int, retention_days: int | None) -> int:
    """Say since when what came of messages is there (microseconds): an older merge is not undone."""
    return 0 if retention_days is None else now - retention_days * DAY_MICROS


def merges(
    view: View,
    *,
    state: MergeState | None = None,
    patient_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
    not_before: int = 0,
) -> list[MergeLine]:
    """Give merges, newest first, from the cursor `before` on; of everybody or of one patient.

    `not_before` is the start of the retention in microseconds (`kept_since`).
    """
    column = tables.patient_merge.c
    statement = select(tables.patient_merge).order_by(column.id.desc()).limit(limit)
    if state is not None:
        statement = statement.where(column.undone_at.is_(None) if state is MergeState.STANDING else _undone())
    if patient_id is not None:
        statement = statement.where(or_(column.survivor_id == patient_id, column.absorbed_id == patient_id))
    if before is not None:
        statement = statement.where(column.id < before)
    return _lines(view, view.connection.execute(statement).all(), not_before)


def merge_line(view: View, number: int, *, not_before: int = 0) -> MergeLine | None:
    """Give one merge, None when there is none."""
    found = select(tables.patient_merge).where(tables.patient_merge.c.id == number)
    return next(iter(_lines(view, view.connection.execute(found).all(), not_before)), None)


def has_merges(view: View, patient_id: int) -> bool:
    """Say whether a patient was merged with another, standing or undone."""
    column = tables.patient_merge.c
    one = select(column.id).where(or_(column.survivor_id == patient_id, column.absorbed_id == patient_id)).limit(1)
    return view.connection.execute(one).first() is not None


def _undone() -> ColumnElement[bool]:
    return tables.patient_merge.c.undone_at.is_not(None)


def _lines(view: View, rows: Sequence[Row[Any]], not_before: int) -> list[MergeLine]:
    items = [row.item_id for row in rows if row.item_id is not None]
    told = {one.id: one for one in item_lines(view, tables.item.c.id.in_(items), replaced=True)} if items else {}
    later = _later(view, rows)
    lines = []
    for row in rows:
        saved = orjson.loads(view.sealer.open(row.sealed_before, BEFORE_PLACE))
        why = view.sealer.open(row.sealed_why, WHY_PLACE).decode() if row.sealed_why is not None else ""
        following = later.get(row.id)
        lines.append(
            MergeLine(
                row.id,
                row.at,
                told.get(row.item_id),
                _side(row.survivor_id, saved["survivor"]),
                _side(row.absorbed_id, saved["absorbed"]),
                row.undone_at,
                row.undone_by or "",
                why,
                refusal_of(row, not_before, has_later=following is not None),
                following,
            )
        )
    return lines


def _later(view: View, rows: Sequence[Row[Any]]) -> dict[int, int]:
    """Give, for each merge that stands, the newest one since of the same survivor: that is undone first."""
    standing = {row.id: row.survivor_id for row in rows if row.undone_at is None}
    if not standing:
        return {}
    column = tables.patient_merge.c
    people = sorted(set(standing.values()))
    found = select(column.id, column.survivor_id, column.absorbed_id).where(
        column.undone_at.is_(None), or_(column.survivor_id.in_(people), column.absorbed_id.in_(people))
    )
    newest: dict[int, int] = {}
    for one in view.connection.execute(found):
        for number in (one.survivor_id, one.absorbed_id):
            newest[number] = max(one.id, newest.get(number, 0))
    return {number: newest[who] for number, who in standing.items() if newest[who] > number}


def _side(patient_id: int, saved: dict[str, Any]) -> MergeSide:
    identity = PatientIdentity.model_validate(saved)
    return MergeSide(
        patient_id, PatientLine.of(identity), identity.status, identity.ins is not None, len(identity.identifiers)
    )
