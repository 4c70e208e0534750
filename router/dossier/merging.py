"""What a merge of two patients means for their dossiers: nothing by itself, and a task for a person.

Circles and consents are never united. A dossier of somebody who was merged stays as it was, with its own circle over
its own content, until a person lets it become the survivor's, or closes it; undoing the merge gives it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import select, update

from router.dossier.entries import index_entries
from router.dossier.keeping import (
    HISTORY_PLACE,
    By,
    Done,
    Refusal,
    dossier_of,
    keep_history,
    opened,
)
from router.identity.flows_keeping import patient_now, touch
from router.identity.flows_published import Cause
from router.identity.tasks import TaskKind, open_task
from router.journal import tables
from router.journal.operations import Change
from router.journal.unit import Unit
from schemas.dossier import DossierState

MOVED = "move dossier"


def circles_after_merge(unit: Unit, survivor_id: int, merged: Sequence[int], cause: Cause) -> None:
    """Ask a person where somebody merged has a dossier of their own; else what is theirs joins the survivor's."""
    column = tables.dossier.c
    own = select(column.patient_id).where(column.patient_id.in_(list(merged)), column.closed_at.is_(None)).limit(1)
    if unit.connection.execute(own).first() is not None:
        open_task(unit, survivor_id, TaskKind.CIRCLES, now=cause.now, item_id=cause.item_id)
    if dossier_of(unit.connection, unit.sealer, survivor_id) is not None:
        index_entries(unit, survivor_id)


def adopt_dossier(patient_id: int, *, by: By) -> Change[Done]:
    """Let the dossier of a patient who was merged become that of the survivor, who must have none that is open."""

    def change(unit: Unit) -> Done:
        found = opened(unit, patient_id)
        if isinstance(found, Done):
            return found
        patient = patient_now(unit, patient_id)
        survivor_id = patient.merged_into if patient is not None else None
        if survivor_id is None:
            return Done(refusal=Refusal.NOT_MERGED)
        there = dossier_of(unit.connection, unit.sealer, survivor_id)
        if there is not None and there.closed_at is None:
            return Done(refusal=Refusal.OPEN_ALREADY)
        survivor = patient_now(unit, survivor_id)
        followed = survivor is not None and survivor.in_coordination
        detail = {"home": patient_id, "followed": followed}
        _move(unit, found.id, survivor_id, by, detail)
        if found.state is DossierState.ACTIVE and not followed:
            touch(unit, survivor_id, now=by.now, in_coordination=True)
        return Done(found.id, found.version)

    return Change(change, note="adopt dossier")


def _move(unit: Unit, dossier_id: int, to: int, by: By, detail: dict[str, Any]) -> None:
    statement = update(tables.dossier).where(tables.dossier.c.id == dossier_id)
    unit.connection.execute(statement.values(patient_id=to))
    keep_history(unit, dossier_id, MOVED, by, subject=to, detail=detail)
    index_entries(unit, to)


def part_circles(unit: Unit, survivor_id: int, absorbed_id: int, merged_before: Sequence[int], cause: Cause) -> None:
    """Give the dossiers that a person moved because of a merge back to whom they were of; the merge is undone."""
    column, history = tables.dossier.c, tables.dossier_history.c
    for number in unit.connection.execute(select(column.id).where(column.patient_id == survivor_id)).scalars().all():
        last = (
            select(history.sealed_detail)
            .where(history.dossier_id == number, history.action == MOVED)
            .order_by(history.id.desc())
            .limit(1)
        )
        sealed = unit.connection.execute(last).scalar()
        if sealed is None:
            continue
        detail = orjson.loads(unit.sealer.open(sealed, HISTORY_PLACE))
        if detail["home"] == absorbed_id or detail["home"] in merged_before:
            kept = {"home": detail["home"], "followed": detail["followed"]}
            _move(unit, number, absorbed_id, By("merge undone", cause.now), kept)
            touch(unit, survivor_id, now=cause.now, in_coordination=detail["followed"])
