"""Consents, oppositions and emergency accesses of a dossier: recorded, withdrawn, never rewritten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, insert, select, update

from router.dossier.circle import lines_of, write_member
from router.dossier.context import ConsentRecord, Context, Emergency
from router.dossier.keeping import By, Done, Refusal, keep_history, opened
from router.dossier.may import opposed
from router.dossier.moments import beginning, ending
from router.engine.clock import moment
from router.journal import tables
from router.journal.operations import Change
from router.journal.ready import Ready
from router.journal.sealing import Sealer
from router.journal.unit import Unit
from schemas.circle import MemberState
from schemas.consent import Consent, ConsentKind, EmergencyAccess
from schemas.dossier import DossierState

CONSENT_PLACE = b"dossier_consent.sealed_body"
_CONSENTS = Ready(
    select(tables.dossier_consent)
    .where(tables.dossier_consent.c.dossier_id == bindparam("dossier"))
    .order_by(tables.dossier_consent.c.id)
)
_EMERGENCIES = Ready(
    select(tables.dossier_emergency)
    .where(tables.dossier_emergency.c.dossier_id == bindparam("dossier"))
    .order_by(tables.dossier_emergency.c.id)
)
EMERGENCY_PLACE = b"dossier_emergency.sealed_body"

LONGEST_EMERGENCY = 24 * 3600 * 1_000_000
"""An emergency access is over after a day (microseconds); it is opened again if need be."""

_OPPOSITIONS = frozenset(kind for kind in ConsentKind if kind.name.startswith("OPPOSITION_"))


def record_consent(patient_id: int, consent: Consent, *, by: By) -> Change[Done]:
    """Record a consent or an opposition. A consent to share makes the members whom it names active."""

    def change(unit: Unit) -> Done:
        found = opened(unit, patient_id)
        if isinstance(found, Done):
            return found
        lines = {line.seat.id: line.seat for line in lines_of(unit.connection, unit.sealer, found, now=by.now)}
        named = {
            ConsentKind.OPPOSITION_MEMBER: bool(consent.members),
            ConsentKind.OPPOSITION_CATEGORY: bool(consent.categories),
        }.get(consent.kind, True)
        if not named or not set(consent.members) <= lines.keys():
            return Done(refusal=Refusal.SCOPE)
        number = add_consent(unit, found.id, consent, by)
        if number is None:
            return Done(refusal=Refusal.PERIOD)
        version = found.version
        if consent.kind is ConsentKind.SHARE and consent.given:
            invited = [lines[one] for one in consent.members if lines[one].member.state is MemberState.PROPOSED]
            for seat in invited:
                write_member(unit, seat.id, seat.member.model_copy(update={"state": MemberState.ACTIVE}), by.now)
                version = keep_history(unit, found.id, "activate member", by, subject=seat.id, circle=True)
        return Done(number, version)

    return Change(change, note="record consent")


def add_consent(unit: Unit, dossier_id: int, consent: Consent, by: By) -> int | None:
    """Add a record to a dossier; None when its moments are none."""
    try:
        at = min(beginning(consent.at), by.now)
        until = None if consent.valid_until is None else ending(consent.valid_until)
    except ValueError:
        return None
    if until is not None and until <= at:
        return None
    values = {
        "dossier_id": dossier_id,
        "kind": consent.kind.value,
        "at": at,
        "until_at": until,
        "recorded_at": by.now,
        "recorded_by": by.actor[:120],
        "sealed_body": unit.sealer.seal(consent.model_dump_json().encode(), CONSENT_PLACE),
    }
    added = insert(tables.dossier_consent).values(values).returning(tables.dossier_consent.c.id)
    number: int = unit.connection.execute(added).scalar_one()
    action = "record opposition" if consent.kind in _OPPOSITIONS else "record consent"
    keep_history(unit, dossier_id, action, by, subject=number, detail={"kind": consent.kind.value})
    return number


def withdraw_consent(patient_id: int, number: int, *, by: By) -> Change[Done]:
    """Withdraw a consent, or lift an opposition: it counts no more from now on, and stays on record."""

    def change(unit: Unit) -> Done:
        found = opened(unit, patient_id)
        if isinstance(found, Done):
            return found
        column = tables.dossier_consent.c
        mine = select(column.withdrawn_at).where(column.id == number, column.dossier_id == found.id)
        row = unit.connection.execute(mine).one_or_none()
        if row is None or row.withdrawn_at is not None:
            return Done(refusal=Refusal.NO_RECORD if row is None else Refusal.WITHDRAWN)
        values = {"withdrawn_at": by.now, "withdrawn_by": by.actor[:120]}
        unit.connection.execute(update(tables.dossier_consent).where(column.id == number).values(values))
        return Done(number, keep_history(unit, found.id, "withdraw consent", by, subject=number))

    return Change(change, note="withdraw consent")


def consents_of(connection: Connection, sealer: Sealer, dossier_id: int) -> tuple[ConsentRecord, ...]:
    """Give every record of a dossier, oldest first."""
    rows = _CONSENTS.rows(connection, dossier=dossier_id)
    return tuple(
        ConsentRecord(
            row.id,
            Consent.model_validate_json(sealer.open(row.sealed_body, CONSENT_PLACE)),
            row.at,
            row.until_at,
            row.withdrawn_at,
        )
        for row in rows
    )


def open_emergency(patient_id: int, keys: frozenset[str], who: str, *, by: By, hours: float = 2.0) -> Change[Done]:
    """Open an emergency access ("bris de glace") for a health professional; the general practitioner is told.

    It opens what a health professional of the circle would read, and nothing that is masked, hidden or opposed.
    """
    length = min(round(hours * 3_600_000_000), LONGEST_EMERGENCY)

    def change(unit: Unit) -> Done:
        from router.dossier.telling import tell_emergency  # it loads what is consented from here

        found = opened(unit, patient_id)
        if isinstance(found, Done):
            return found
        if found.state is not DossierState.ACTIVE:
            return Done(refusal=Refusal.NO_DOSSIER)
        if not by.why.strip():
            return Done(refusal=Refusal.NO_REASON)
        if length <= 0 or not any(key.startswith("rpps|") for key in keys):
            return Done(refusal=Refusal.NOT_HEALTH)
        seats = tuple(line.seat for line in lines_of(unit.connection, unit.sealer, found, now=by.now))
        context = Context(by.now, found.state, seats, consents_of(unit.connection, unit.sealer, found.id))
        if context.agreed(ConsentKind.OPPOSITION_TOTAL) or opposed(context) & keys:
            return Done(refusal=Refusal.OPPOSED)
        until = by.now + length
        access = EmergencyAccess(who=who, why=by.why, at=moment(by.now).isoformat(), until=moment(until).isoformat())
        body = {"access": access.model_dump(mode="json"), "keys": sorted(keys)}
        values = {
            "dossier_id": found.id,
            "at": by.now,
            "until_at": until,
            "opened_by": by.actor[:120],
            "sealed_body": unit.sealer.seal(orjson.dumps(body), EMERGENCY_PLACE),
        }
        added = insert(tables.dossier_emergency).values(values).returning(tables.dossier_emergency.c.id)
        number: int = unit.connection.execute(added).scalar_one()
        keep_history(unit, found.id, "open emergency", by, subject=number)
        tell_emergency(unit, found, number, by)
        return Done(number, found.version)

    return Change(change, note="emergency access")


def emergencies_of(connection: Connection, sealer: Sealer, dossier_id: int) -> tuple[Emergency, ...]:
    """Give every emergency access of a dossier, oldest first."""
    return tuple(
        Emergency(row.id, frozenset(body["keys"]), row.at, row.until_at)
        for row, body in _emergencies(connection, sealer, dossier_id)
    )


def emergency_accesses(connection: Connection, sealer: Sealer, dossier_id: int) -> Sequence[EmergencyAccess]:
    """Give the emergency accesses of a dossier in words: who and why."""
    return [EmergencyAccess.model_validate(body["access"]) for _, body in _emergencies(connection, sealer, dossier_id)]


def _emergencies(connection: Connection, sealer: Sealer, dossier_id: int) -> list[tuple[Any, dict[str, Any]]]:
    rows = _EMERGENCIES.rows(connection, dossier=dossier_id)
    return [(row, orjson.loads(sealer.open(row.sealed_body, EMERGENCY_PLACE))) for row in rows]
