"""Deciding about held Items: one operation of the journal, that says in its result what it could not do.

Nothing is attached here: the decision is kept, and the engine, which watches for it, prepares the Deliveries
(`router.engine.decided`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import insert, select, update

from router.desk.doubts import declare_doubtful
from router.desk.reasons import Why
from router.identity.matching import HoldReason
from router.journal import tables
from router.journal.actions import record_audit
from router.journal.decisions import NOTE_PLACE, DeskAction, newest_decisions
from router.journal.operations import settle_messages
from router.journal.tables import ItemState
from router.journal.unit import Unit

LONGEST_NOTE = 400
TOGETHER = 50
"""Items that one decision may cover."""


class Refusal(StrEnum):
    """Why a decision was not taken: nothing was then changed."""

    NO_ITEM = "no_item"
    NOT_HELD = "not_held"
    DECIDED = "decided"
    """Somebody decided already; that decision must be undone first."""
    NO_PATIENT = "no_patient"
    NO_DECISION = "no_decision"
    SUPERSEDED = "superseded"
    """A later decision was taken on the Item."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of it: the number of the decision and how many Items it covers, or the refusal."""

    decision_id: int | None = None
    items: int = 0
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Decide:
    """Attach, set aside with a task, declare doubtful, or refuse.

    `item_ids` are the Item that was looked at, then those that go with it; of these, what is no longer to be decided
    is left alone. `patient_id` is whose they are (attach), or the patient of the register who is doubtful too.
    """

    action: DeskAction
    item_ids: Sequence[int]
    actor: str
    why: Why
    now: int
    patient_id: int | None = None
    note: str = ""

    def apply(self, unit: Unit) -> Decided:
        """Keep the decision, and do what needs no engine: refused Items are settled, doubts are written down."""
        numbers = list(dict.fromkeys(self.item_ids))[:TOGETHER]
        column = tables.item.c
        found = select(column.id, column.message_id, column.state, column.reason, column.lane).where(
            column.id.in_(numbers)
        )
        rows = {row.id: row for row in unit.connection.execute(found)}
        newest = newest_decisions(unit.connection, numbers)

        def refusal_of(number: int) -> Refusal | None:
            if number not in rows:
                return Refusal.NO_ITEM
            decided = newest.get(number)
            if decided is not None and decided.action in {DeskAction.ATTACH, DeskAction.REFUSE}:
                return Refusal.DECIDED
            return None if rows[number].state == ItemState.HELD.value else Refusal.NOT_HELD

        refusal = refusal_of(numbers[0])
        if refusal is None and self.patient_id is not None and not _is_known(unit, self.patient_id):
            refusal = Refusal.NO_PATIENT
        if refusal is not None:
            return Decided(refusal=refusal)
        covered = [number for number in numbers if refusal_of(number) is None]
        noted: dict[str, Any] = {"note": self.note[:LONGEST_NOTE]} if self.note else {}
        detail: dict[str, Any] = {}
        if self.action is DeskAction.DOUBTFUL and self.patient_id is not None:
            detail = declare_doubtful(unit, self.patient_id, now=self.now)
        first = self._keep(unit, rows[covered[0]], None, detail | noted)
        for number in covered[1:]:
            self._keep(unit, rows[number], first, noted)
        self._effect(unit, covered, {rows[number].message_id for number in covered})
        self._audit(unit, covered)
        return Decided(first, len(covered))

    def _keep(self, unit: Unit, item: Any, group: int | None, detail: dict[str, Any]) -> int:
        values = {
            "at": self.now,
            "actor": self.actor[:120],
            "action": self.action.value,
            "item_id": item.id,
            "patient_id": self.patient_id,
            "reason": item.reason,
            "why": self.why.value,
            "group_id": group,
            "sealed_detail": unit.sealer.seal(orjson.dumps(detail | {"lane": item.lane}), NOTE_PLACE),
        }
        added = insert(tables.identity_decision).values(values).returning(tables.identity_decision.c.id)
        kept: int = unit.connection.execute(added).scalar_one()
        return kept

    def _effect(self, unit: Unit, numbers: list[int], messages: set[int]) -> None:
        column = tables.item.c
        if self.action is DeskAction.DOUBTFUL:
            unit.connection.execute(
                update(tables.item).where(column.id.in_(numbers)).values(reason=HoldReason.DECLARED.value)
            )
        elif self.action is DeskAction.REFUSE:
            unit.connection.execute(
                update(tables.item).where(column.id.in_(numbers)).values(state=ItemState.REFUSED.value)
            )
            settle_messages(unit, messages)

    def _audit(self, unit: Unit, numbers: list[int]) -> None:
        patient = f"patient {self.patient_id}, " if self.patient_id is not None else ""
        for number in numbers:
            action = f"identity {self.action.value}"
            record_audit(self.actor, action, f"item {number}", now=self.now, detail=patient + self.why.value).apply(
                unit
            )


def _is_known(unit: Unit, patient_id: int) -> bool:
    """Say whether the register has this patient; one that was merged into another is there no more."""
    column = tables.patient.c
    found = select(column.id).where(column.id == patient_id, column.merged_into.is_(None))
    return unit.connection.execute(found).scalar() is not None
