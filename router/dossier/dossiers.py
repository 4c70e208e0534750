"""Opening, suspending and closing a dossier: always a person's act, never a message's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

import orjson
from sqlalchemy import insert, select

from router.dossier.consents import add_consent, consents_of
from router.dossier.context import Context
from router.dossier.entries import index_entries
from router.dossier.keeping import (
    BODY_PLACE,
    HISTORY_PLACE,
    By,
    Done,
    DossierLine,
    Refusal,
    dossier_line,
    dossier_of,
    keep_history,
    opened,
    write_body,
)
from router.engine.clock import moment
from router.identity.flows_keeping import patient_now, touch
from router.journal import tables
from router.journal.operations import Change
from router.journal.unit import Unit
from router.journal.view import View
from schemas.actors import Organization
from schemas.coding import Coding, Identifier
from schemas.consent import Consent, ConsentKind
from schemas.dossier import CoordinationTool, Dossier, DossierState

DOSSIER_NAMESPACE = UUID("3f5b7f8e-5d0e-5b7e-9d0c-50415353444f")
"""Namespace of dossiers' keys."""


def open_dossier(
    patient_id: int,
    owner: Organization,
    *,
    by: By,
    consent: Consent | None = None,
    tools: Sequence[CoordinationTool] = (CoordinationTool.OTHER,),
    identifiers: Sequence[Identifier] = (),
    reason: str | None = None,
    topics: Sequence[Coding] = (),
) -> Change[Done]:
    """Open a patient's dossier. Without a consent to its opening it is only proposed, and nobody sees anything."""

    def change(unit: Unit) -> Done:
        unit.flush()
        patient = patient_now(unit, patient_id)
        if patient is None or patient.merged_into is not None:
            return Done(refusal=Refusal.NO_PATIENT)
        before = dossier_of(unit.connection, unit.sealer, patient_id)
        if before is not None and before.closed_at is None:
            return Done(refusal=Refusal.OPEN_ALREADY)
        if _merged_has_one(unit, patient_id):
            return Done(refusal=Refusal.MERGED_HAS_ONE)
        if consent is not None and consent.kind is not ConsentKind.OPENING:
            return Done(refusal=Refusal.NO_CONSENT)
        body = Dossier(
            key=str(uuid5(DOSSIER_NAMESPACE, f"{patient_id}/{before.id if before is not None else 0}/{by.now}")),
            identifiers=tuple(identifiers),
            owner=owner,
            tools=tuple(tools) or (CoordinationTool.OTHER,),
            opened_on=moment(by.now).isoformat(timespec="seconds"),
            inclusion_reason=reason,
            topics=tuple(topics),
        )
        values = {
            "patient_id": patient_id,
            "state": body.state.value,
            "opened_at": by.now,
            "updated_at": by.now,
            "version": 1,
            "sealed_body": unit.sealer.seal(body.model_dump_json().encode(), BODY_PLACE),
        }
        number: int = unit.connection.execute(
            insert(tables.dossier).values(values).returning(tables.dossier.c.id)
        ).scalar_one()
        keep_history(unit, number, "open dossier", by)
        index_entries(unit, patient_id)
        if consent is not None:
            add_consent(unit, number, consent, by)
            _set_state(unit, patient_id, DossierState.ACTIVE, by)
        return Done(number, 1)

    return Change(change, note="open dossier")


def _merged_has_one(unit: Unit, patient_id: int) -> bool:
    patient, column = tables.patient.c, tables.dossier.c
    found = select(column.id).join(tables.patient, patient.id == column.patient_id)
    waiting = found.where(patient.merged_into == patient_id, column.closed_at.is_(None)).limit(1)
    return unit.connection.execute(waiting).first() is not None


def change_state(patient_id: int, state: DossierState, *, by: By) -> Change[Done]:
    """Activate, suspend or close a dossier. It becomes active only with a standing consent to its opening."""

    def change(unit: Unit) -> Done:
        found = opened(unit, patient_id)
        if isinstance(found, Done):
            return found
        if state is DossierState.ACTIVE:
            records = consents_of(unit.connection, unit.sealer, found.id)
            if not Context(by.now, found.state, consents=records).agreed(ConsentKind.OPENING):
                return Done(refusal=Refusal.NO_CONSENT)
        _set_state(unit, patient_id, state, by)
        return Done(found.id, found.version)

    return Change(change, note="dossier state")


_ACTIONS = {
    DossierState.PROPOSED: "propose dossier",
    DossierState.ACTIVE: "activate dossier",
    DossierState.SUSPENDED: "suspend dossier",
    DossierState.CLOSED: "close dossier",
}


def _set_state(unit: Unit, patient_id: int, state: DossierState, by: By) -> None:
    line = dossier_of(unit.connection, unit.sealer, patient_id)
    if line is None or line.state is state:
        return
    closed = state is DossierState.CLOSED
    closed_on = moment(by.now).isoformat(timespec="seconds") if closed else None
    body = line.body.model_copy(update={"state": state, "closed_on": closed_on})
    write_body(unit, line, body, closed_at=by.now if closed else None)
    keep_history(unit, line.id, _ACTIONS[state], by)
    patient = patient_now(unit, patient_id)
    followed = state is DossierState.ACTIVE
    if patient is not None and patient.in_coordination != followed:
        touch(unit, patient_id, now=by.now, in_coordination=followed)


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """A change of a dossier: who, when, what and why; `subject` is the member's, consent's or restriction's number."""

    id: int
    at: int
    actor: str
    action: str
    subject: int | None
    version: int
    why: str


def history(view: View, dossier_id: int, *, before: int | None = None, limit: int = 50) -> list[HistoryLine]:
    """Give the changes of a dossier, newest first, from the cursor `before` on."""
    column = tables.dossier_history.c
    statement = select(tables.dossier_history).where(column.dossier_id == dossier_id)
    if before is not None:
        statement = statement.where(column.id < before)
    lines = []
    for row in view.connection.execute(statement.order_by(column.id.desc()).limit(limit)):
        detail = orjson.loads(view.sealer.open(row.sealed_detail, HISTORY_PLACE))
        lines.append(HistoryLine(row.id, row.at, row.actor, row.action, row.subject, row.version, detail["why"]))
    return lines


def open_dossiers(view: View, *, after: int = 0, limit: int = 50) -> list[DossierLine]:
    """Give the dossiers that are not closed, in the order of their numbers, from the cursor `after` on."""
    column = tables.dossier.c
    statement = select(tables.dossier).where(column.closed_at.is_(None), column.id > after)
    rows = view.connection.execute(statement.order_by(column.id).limit(limit))
    return [dossier_line(row, view.sealer) for row in rows]
