"""Undoing a decision: the Item is held again, what is still open is cancelled, what had left is marked with a Finding.

A Delivery cannot be taken back from its receiver. It keeps its state, an error says that it should not have left under
that patient, and a notice asks that its receiver be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Row, insert, select, update

from router.desk.deciding import LONGEST_NOTE, Refusal
from router.desk.doubts import lift_doubt
from router.desk.reasons import Why
from router.journal import tables
from router.journal.actions import record_audit
from router.journal.attempts import keep_findings
from router.journal.decisions import NOTE_PLACE, DeskAction, newest_decisions
from router.journal.operations import PARCEL_DETAIL_PLACE, Notice
from router.journal.parted import UNDONE, part
from router.journal.tables import OPEN_DELIVERIES, DeliveryState, ItemState, MessageState
from router.journal.unit import Unit
from schemas.finding import Finding, Severity

_FINDING = Finding(
    severity=Severity.ERROR,
    code=UNDONE,
    where="identity",
    message="left before its attachment to this patient was undone; its receiver must be told",
)
_TO_CANCEL = [state.value for state in (*OPEN_DELIVERIES, DeliveryState.HELD, DeliveryState.DEAD)]
_LEFT = [DeliveryState.DELIVERED.value, DeliveryState.ACKNOWLEDGED.value]


@dataclass(frozen=True, slots=True)
class Undone:
    """What came of it: Items held (or waiting) again, Deliveries cancelled, Deliveries that had left already."""

    decision_id: int | None = None
    items: int = 0
    cancelled: int = 0
    left: int = 0
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Undo:
    """Take a decision back, with those that were taken at once with it."""

    decision_id: int
    actor: str
    why: Why
    now: int
    note: str = ""

    def apply(self, unit: Unit) -> Undone:
        """Undo it. Only the newest decision of an Item can be undone; it can as long as the journal has the Item."""
        unit.flush()  # an Item that was released within this transaction has its Deliveries there
        column = tables.identity_decision.c
        both = select(tables.identity_decision).where(
            (column.id == self.decision_id) | (column.group_id == self.decision_id)
        )
        rows = unit.connection.execute(both.order_by(column.id)).all()
        if not rows or rows[0].id != self.decision_id or rows[0].action == DeskAction.UNDO.value:
            return Undone(refusal=Refusal.NO_DECISION)
        newest = newest_decisions(unit.connection, [row.item_id for row in rows])
        standing = [row for row in rows if newest[row.item_id].id == row.id]
        if rows[0] not in standing:
            return Undone(refusal=Refusal.SUPERSEDED)
        first: int | None = None
        cancelled = left = 0
        for row in standing:
            kept = self._keep(unit, row, first)
            first = first if first is not None else kept
            one_cancelled, one_left = self._take_back(unit, row)
            cancelled, left = cancelled + one_cancelled, left + one_left
            record_audit(
                self.actor,
                "identity undo",
                f"item {row.item_id}",
                now=self.now,
                detail=f"{row.action}, {self.why.value}, {one_cancelled} cancelled, {one_left} had left",
            ).apply(unit)
        return Undone(first, len(standing), cancelled, left)

    def _keep(self, unit: Unit, row: Row[Any], group: int | None) -> int:
        detail = {"note": self.note[:LONGEST_NOTE]} if self.note else {}
        values = {
            "at": self.now,
            "actor": self.actor[:120],
            "action": DeskAction.UNDO.value,
            "item_id": row.item_id,
            "patient_id": row.patient_id,
            "reason": row.reason,
            "why": self.why.value,
            "group_id": group,
            "undoes": row.id,
            "sealed_detail": unit.sealer.seal(orjson.dumps(detail), NOTE_PLACE) if detail else None,
        }
        added = insert(tables.identity_decision).values(values).returning(tables.identity_decision.c.id)
        kept: int = unit.connection.execute(added).scalar_one()
        return kept

    def _take_back(self, unit: Unit, row: Row[Any]) -> tuple[int, int]:
        remembered = orjson.loads(unit.sealer.open(row.sealed_detail, NOTE_PLACE)) if row.sealed_detail else {}
        action = DeskAction(row.action)
        if action is DeskAction.DOUBTFUL:
            _hold_again(unit, row, {"reason": row.reason})
            if row.patient_id is not None:
                lift_doubt(unit, row.patient_id, remembered, now=self.now)
        elif action is DeskAction.REFUSE:
            _hold_again(unit, row, {})
        elif action is DeskAction.ATTACH:
            values = {"reason": row.reason, "patient_id": None, "routes": None}
            if "lane" in remembered:
                values["lane"] = remembered["lane"]
            _hold_again(unit, row, values)
            return _cancel(unit, row.item_id, now=self.now), mark_left(unit, row.item_id, now=self.now)
        return 0, 0


def _hold_again(unit: Unit, row: Row[Any], values: dict[str, Any]) -> None:
    """Hold an Item and its message again; one that a replay replaced meanwhile stays replaced."""
    column, message = tables.item.c, tables.message.c
    statement = update(tables.item).where(column.id == row.item_id, column.state != ItemState.REPLACED.value)
    if not unit.connection.execute(statement.values(state=ItemState.HELD.value, **values)).rowcount:
        return
    owner = select(column.message_id).where(column.id == row.item_id).scalar_subquery()
    unit.connection.execute(
        update(tables.message)
        .where(message.id == owner, message.state == MessageState.PROCESSED.value)
        .values(state=MessageState.HELD.value)
    )


def _cancel(unit: Unit, item_id: int, *, now: int) -> int:
    column = tables.delivery.c
    waiting = select(column.id).where(column.item_id == item_id, column.state.in_(_TO_CANCEL)).order_by(column.id)
    numbers = list(unit.connection.execute(waiting).scalars())
    unit.connection.execute(
        update(tables.delivery)
        .where(column.id.in_(numbers))
        .values(
            state=DeliveryState.CANCELLED.value,
            ended_at=now,
            next_attempt_at=None,
            detail="its attachment to this patient was undone",
        )
    )
    # One that a person had set aside before comes back no more than one that is set aside now.
    aside = select(column.id).where(column.item_id == item_id, column.state == DeliveryState.CANCELLED.value)
    part(unit, sorted(unit.connection.execute(aside).scalars()))
    return len(numbers)


def mark_left(unit: Unit, item_id: int, *, now: int) -> int:
    """Mark what had left about an Item whose attachment was undone, once; gives how many were not marked yet."""
    column, kept = tables.delivery.c, tables.delivery_content.c
    found = (
        select(column.id, column.destination, kept.sealed_detail)
        .outerjoin(tables.delivery_content, kept.delivery_id == column.id)
        .where(column.item_id == item_id, column.state.in_(_LEFT))
        .order_by(column.id)
    )
    marked = []
    for row in unit.connection.execute(found).all():
        detail = orjson.loads(unit.sealer.open(row.sealed_detail, PARCEL_DETAIL_PLACE)) if row.sealed_detail else {}
        if not any(finding.get("code") == UNDONE for finding in detail.get("findings", ())):
            keep_findings(unit, row.id, [_FINDING])
            marked.append(row.destination)
    if marked:
        places = ", ".join(dict.fromkeys(marked))
        said = f"item {item_id} had left for {places} before its attachment was undone: tell them"
        Notice(now, "identity desk", Severity.ERROR.value, UNDONE, f"item {item_id}", said).apply(unit)
    return len(marked)


@dataclass(frozen=True, slots=True)
class MarkLeft:
    """Mark what was on its way when an attachment was undone, and arrived all the same."""

    item_ids: Sequence[int]
    now: int

    def apply(self, unit: Unit) -> int:
        """Mark the Deliveries of Items that are still undone; gives how many."""
        unit.flush()
        newest = newest_decisions(unit.connection, self.item_ids)
        undone = [number for number, one in newest.items() if one.action is DeskAction.UNDO]
        return sum(mark_left(unit, number, now=self.now) for number in undone)
