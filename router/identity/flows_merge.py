"""Merging two patients (A40), and undoing it.

A merge is by local identifier, never by INS. It is refused, and a person decides, where it could mix two people up. The
survivor keeps its identity, or takes the other's where that one has the better status; the absorbed patient becomes
inactive and is found as its survivor from then on. Coordination, circles and consents are not united
(`router.dossier.merging`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import Connection, Row, insert, select, update

from router.dossier.merging import circles_after_merge, part_circles
from router.identity.comparison import compare
from router.identity.flows_foreseen import Foreseen, Undoing, foresee
from router.identity.flows_keeping import index, keep_identity, touch
from router.identity.flows_parted import Parting, part_items
from router.identity.flows_published import Cause
from router.identity.flows_traits import STRICT, pairs
from router.identity.patients import Patient, load_patients
from router.identity.standing import UNSURE
from router.identity.tasks import TaskKind, open_task
from router.journal import tables
from router.journal.actions import record_audit
from router.journal.operations import Change
from router.journal.sealing import Sealer
from router.journal.unit import Unit
from router.journal.view import View
from schemas.coding import Identifier
from schemas.identity import IdentityStatus, PatientIdentity
from schemas.identity_status import StatusEvent, after

BEFORE_PLACE = b"patient_merge.sealed_before"
WHY_PLACE = b"patient_merge.sealed_why"
LONGEST_WHY = 400

_RANK = {
    None: 0,
    IdentityStatus.PROVISIONAL: 0,
    IdentityStatus.RETRIEVED: 1,
    IdentityStatus.VALIDATED: 1,
    IdentityStatus.QUALIFIED: 2,
}
_STANDING = ("ins", "status", "attributes")


class MergeRefusal(StrEnum):
    """Why two patients are not merged by themselves: the reason of the held Item."""

    DIFFERENT_INS = "merge_different_ins"
    TRAITS = "merge_traits_differ"
    UNSURE = "doubtful_or_fictitious"


def refusal(survivor: PatientIdentity, absorbed: PatientIdentity) -> MergeRefusal | None:
    """Say why these two may not be merged by a message, None when they may."""
    if not UNSURE.isdisjoint((*survivor.attributes, *absorbed.attributes)):
        return MergeRefusal.UNSURE
    if survivor.ins is not None and absorbed.ins is not None and survivor.ins.matricule != absorbed.ins.matricule:
        return MergeRefusal.DIFFERENT_INS
    qualified = IdentityStatus.QUALIFIED in (survivor.status, absorbed.status)
    if qualified and compare(absorbed, survivor).differs:
        return MergeRefusal.TRAITS
    return None


def united(survivor: PatientIdentity, absorbed: PatientIdentity, gone: Sequence[Identifier] = ()) -> PatientIdentity:
    """Give the survivor's identity after a merge; `gone` are the identifiers that the merge makes disappear.

    The better status wins, with the INS and the strict traits that it vouches for. Two half statuses (validated,
    retrieved) do not make a qualified one: that takes INSi and a person.
    """
    have = pairs(survivor.identifiers) | pairs(gone)
    more = tuple(one for one in absorbed.identifiers if pairs([one]) and not pairs([one]) <= have)
    changes: dict[str, object] = {"identifiers": survivor.identifiers + more}
    if _RANK[absorbed.status] > _RANK[survivor.status]:
        changes |= {"ins": absorbed.ins, "status": absorbed.status}
        changes |= {name: getattr(absorbed, name) for name in STRICT if getattr(absorbed, name)}
    return survivor.model_copy(update=changes)


def merge(unit: Unit, survivor: Patient, absorbed: Patient, gone: Sequence[Identifier], cause: Cause) -> bool:
    """Merge two patients whom nothing keeps apart; True when Deliveries were stopped."""
    identity = united(survivor.identity, absorbed.identity, gone)
    before = {
        "survivor": survivor.identity.model_dump(mode="json"),
        "absorbed": absorbed.identity.model_dump(mode="json"),
        "after": identity.model_dump(mode="json"),
    }
    values = {
        "survivor_id": survivor.id,
        "absorbed_id": absorbed.id,
        "at": cause.now,
        "item_id": cause.item_id,
        "sealed_before": unit.sealer.seal(orjson.dumps(before), BEFORE_PLACE),
    }
    unit.connection.execute(insert(tables.patient_merge).values(values))
    # Those merged into the absorbed one before are found as the last survivor as well.
    for number in (absorbed.id, *_direct(unit, absorbed.id)):
        touch(unit, number, now=cause.now, merged_into=survivor.id)
    stopped = keep_identity(unit, survivor.id, survivor.identity, identity, cause)
    if survivor.in_coordination != absorbed.in_coordination:
        open_task(unit, survivor.id, TaskKind.COORDINATION, now=cause.now, item_id=cause.item_id)
    circles_after_merge(unit, survivor.id, [absorbed.id, *_direct(unit, survivor.id)], cause)
    return stopped


def _direct(unit: Unit, patient_id: int) -> list[int]:
    column = tables.patient.c
    return list(unit.connection.execute(select(column.id).where(column.merged_into == patient_id)).scalars())


class UndoRefusal(StrEnum):
    """Why a merge is not undone."""

    NO_MERGE = "no_merge"
    UNDONE = "undone_already"
    TOO_OLD = "past_retention"
    LATER = "later_merge"
    """One of the two was merged again since: that merge must be undone first."""


@dataclass(frozen=True, slots=True)
class Unmerged:
    """What came of it: the two patients and what was done, or why nothing was changed."""

    survivor_id: int | None = None
    absorbed_id: int | None = None
    refusal: UndoRefusal | None = None
    done: Foreseen = field(default=Foreseen(), compare=False)


def undo_merge(merge_id: int, *, actor: str, why: str, now: int, not_before: int = 0) -> Change[Unmerged]:
    """Undo a merge made at `not_before` (microseconds: the start of the retention) or later.

    Both patients are again what they were, except for what was said of the survivor since: numbers and traits that came
    later stay with it, and an INS that was withdrawn or a doubt that was declared since falls on both. What came in
    between is attached and prepared anew (`flows_parted`); a task says that it may be the other patient's.
    """

    def change(unit: Unit) -> Unmerged:
        column = tables.patient_merge.c
        row = unit.connection.execute(select(tables.patient_merge).where(column.id == merge_id)).one_or_none()
        refused = _why_not(unit.connection, row, not_before)
        if row is None or refused is not None:
            return Unmerged(refusal=refused or UndoRefusal.NO_MERGE)
        unit.flush()  # what was prepared within this transaction is foreseen as well
        undoing = _undoing(unit.connection, unit.sealer, row)
        done = Foreseen() if undoing is None else foresee(unit.connection, unit.sealer, undoing)
        if undoing is not None:
            _part(unit, row, undoing, now)
        sealed_why = unit.sealer.seal(why[:LONGEST_WHY].encode(), WHY_PLACE) if why else None
        values = {"undone_at": now, "undone_by": actor[:120], "sealed_why": sealed_why}
        unit.connection.execute(update(tables.patient_merge).where(column.id == merge_id).values(values))
        both = f"patients {row.survivor_id}, {row.absorbed_id}"
        record_audit(actor, "undo merge", f"merge {merge_id}", now=now, detail=both).apply(unit)
        return Unmerged(row.survivor_id, row.absorbed_id, done=done)

    return Change(change, note="undo merge")


def foresee_undoing(view: View, merge_id: int, *, not_before: int = 0) -> Foreseen | UndoRefusal:
    """Say what undoing a merge would do now, or why it would not be done."""
    found = select(tables.patient_merge).where(tables.patient_merge.c.id == merge_id)
    row = view.connection.execute(found).one_or_none()
    refused = _why_not(view.connection, row, not_before)
    if row is None or refused is not None:
        return refused or UndoRefusal.NO_MERGE
    undoing = _undoing(view.connection, view.sealer, row)
    return Foreseen() if undoing is None else foresee(view.connection, view.sealer, undoing)


def _why_not(connection: Connection, row: Row[Any] | None, not_before: int) -> UndoRefusal | None:
    if row is None:
        return UndoRefusal.NO_MERGE
    column = tables.patient_merge.c
    either = column.survivor_id == row.survivor_id, column.absorbed_id == row.survivor_id
    later = select(column.id).where(column.id > row.id, column.undone_at.is_(None), either[0] | either[1]).limit(1)
    return refusal_of(row, not_before, has_later=connection.execute(later).first() is not None)


def refusal_of(row: Row[Any], not_before: int, *, has_later: bool) -> UndoRefusal | None:
    """Say why a merge, given its row, is not undone; `has_later`: its survivor was merged again since, which stands."""
    if row.undone_at is not None:
        return UndoRefusal.UNDONE
    if row.at < not_before:
        return UndoRefusal.TOO_OLD
    return UndoRefusal.LATER if has_later else None


def _undoing(connection: Connection, sealer: Sealer, row: Row[Any]) -> Undoing | None:
    """Say what both patients are again; None when the survivor's row is gone, and the merge with it."""
    saved = orjson.loads(sealer.open(row.sealed_before, BEFORE_PLACE))
    survivor, absorbed, then = (
        PatientIdentity.model_validate(saved[name]) for name in ("survivor", "absorbed", "after")
    )
    found = load_patients(connection, sealer, [row.survivor_id]).get(row.survivor_id)
    if found is None:
        return None
    present = found.identity
    fell = _standing(present) != _standing(then)
    return Undoing(
        Parting(row.survivor_id, row.at, row.item_id, shared=survivor != then),
        row.absorbed_id,
        (row.absorbed_id, *_merged_before(connection, row.absorbed_id, row.id)),
        present,
        _fallen(_since(survivor, then, present), survivor, present, fell),
        absorbed,
        _fallen(absorbed, absorbed, present, fell),
    )


def _part(unit: Unit, row: Row[Any], undoing: Undoing, now: int) -> None:
    cause = Cause(now, "merge undone", row.item_id)
    for number in undoing.back:
        touch(unit, number, now=now, merged_into=None if number == row.absorbed_id else row.absorbed_id)
    index(unit, row.survivor_id, undoing.restored)
    part_items(unit, undoing.parting, cause)
    keep_identity(unit, row.survivor_id, undoing.present, undoing.restored, cause)
    keep_identity(unit, row.absorbed_id, undoing.absorbed, undoing.lowered, cause)
    part_circles(unit, row.survivor_id, row.absorbed_id, undoing.back[1:], cause)
    open_task(unit, row.survivor_id, TaskKind.UNMERGED, now=now, item_id=row.item_id)


def _merged_before(connection: Connection, patient_id: int, merge_id: int) -> list[int]:
    """Give those who had been merged into a patient, at any remove, when it was itself merged."""
    column = tables.patient_merge.c
    found: list[int] = []
    ahead = [patient_id]
    while ahead:
        statement = select(column.absorbed_id).where(
            column.survivor_id.in_(ahead), column.id < merge_id, column.undone_at.is_(None)
        )
        ahead = list(connection.execute(statement).scalars())
        found += ahead
    return found


def _since(before: PatientIdentity, then: PatientIdentity, present: PatientIdentity) -> PatientIdentity:
    """Take a patient back to before its merge, and keep what was said of it since."""
    changes: dict[str, object] = {}
    for name in PatientIdentity.model_fields:
        if name in (*_STANDING, "identifiers") or getattr(present, name) == getattr(then, name):
            continue
        changes[name] = getattr(present, name)
    if present.identifiers != then.identifiers:
        lost = pairs(then.identifiers) - pairs(present.identifiers)
        came = tuple(one for one in present.identifiers if one not in then.identifiers)
        kept = tuple(one for one in before.identifiers if not pairs([one]) or not pairs([one]) <= lost)
        changes["identifiers"] = kept + came
    return before.model_copy(update=changes) if changes else before


def _standing(identity: PatientIdentity) -> tuple[object, ...]:
    return tuple(getattr(identity, name) for name in _STANDING)


def _fallen(
    restored: PatientIdentity, before: PatientIdentity, present: PatientIdentity, fell: bool
) -> PatientIdentity:
    """Let what was withdrawn or doubted since the merge fall on a restored identity; it never rises by an undoing."""
    if not fell:
        return restored
    changes: dict[str, object] = {}
    if before.ins is not None and before.ins != present.ins:
        status = before.status if before.status is None else after(before.status, StatusEvent.VERIFICATION_FAILED)
        changes |= {"ins": None, "status": status or IdentityStatus.PROVISIONAL}
    elif before.ins is not None:
        changes["status"] = present.status
    doubts = tuple(one for one in present.attributes if one in UNSURE and one not in before.attributes)
    if doubts:
        changes |= {"attributes": doubts, "status": IdentityStatus.PROVISIONAL}
    return restored.model_copy(update=changes)
