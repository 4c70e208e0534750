"""Keeping a patient of the register: the one place where an identity is written, whoever says it changed."""

from __future__ import annotations

from sqlalchemy import func, insert, select, update

from router.identity.flows_published import Cause, revise_published
from router.identity.patients import Patient, clear_tokens, load_patients, patient_tokens
from router.journal import tables
from router.journal.operations import IDENTITY_PLACE
from router.journal.unit import Unit
from schemas.identity import PatientIdentity

INS_PLACE = b"patient_ins.sealed_ins"


def patient_now(unit: Unit, patient_id: int) -> Patient | None:
    """Load a patient as this transaction sees it; None when there is none of that number."""
    return load_patients(unit.connection, unit.sealer, [patient_id]).get(patient_id)


def keep_identity(unit: Unit, patient_id: int, before: PatientIdentity, after: PatientIdentity, cause: Cause) -> bool:
    """Write a patient's identity, its index, the INS that it loses, and what follows for what was prepared under it.

    True when Deliveries that were still to be sent were stopped.
    """
    touch(unit, patient_id, now=cause.now, sealed_identity=sealed(unit, after))
    index(unit, patient_id, after)
    if before.ins is not None and before.ins != after.ins:
        values = {
            "patient_id": patient_id,
            "sealed_ins": unit.sealer.seal(before.ins.model_dump_json().encode(), INS_PLACE),
            "ended_at": cause.now,
            "why": cause.why,
            "item_id": cause.item_id,
        }
        unit.connection.execute(insert(tables.patient_ins).values(values))
    return revise_published(unit, patient_id, before, after, cause)


def touch(unit: Unit, patient_id: int, *, now: int, **values: object) -> None:
    """Change a patient's row; its time of change is later than any other's, so that whoever watches them sees it."""
    statement = update(tables.patient).where(tables.patient.c.id == patient_id)
    unit.connection.execute(statement.values(updated_at=next_change(unit, now), **values))


def next_change(unit: Unit, now: int) -> int:
    """Give the time of a change: now, or just after the latest one when the clock has not moved (or went back)."""
    latest = unit.connection.execute(select(func.max(tables.patient.c.updated_at))).scalar()
    return now if latest is None or latest < now else latest + 1


def sealed(unit: Unit, identity: PatientIdentity) -> bytes:
    """Seal an identity for its place."""
    return unit.sealer.seal(identity.model_dump_json().encode(), IDENTITY_PLACE)


def index(unit: Unit, patient_id: int, identity: PatientIdentity) -> None:
    """Make a patient's blind index anew; its former matricules stay in it."""
    tokens = patient_tokens(unit.sealer, identity)
    clear_tokens(unit.connection, patient_id, tokens)
    rows = [{"token": token, "patient_id": patient_id, "kind": kind} for token, kind in tokens.items()]
    if rows:
        unit.connection.execute(insert(tables.patient_token), rows)
