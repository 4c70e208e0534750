"""The one place where a dossier's rows are read and its history is written, whoever changes it.

Every change is one operation of the journal: it happens whole, with its line of history and of audit, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, insert, select, update

from router.journal import tables
from router.journal.actions import record_audit
from router.journal.ready import Ready
from router.journal.sealing import Sealer
from router.journal.unit import Unit
from schemas.circle import Member
from schemas.dossier import Dossier, DossierState

BODY_PLACE = b"dossier.sealed_body"
MEMBER_PLACE = b"dossier_member.sealed_body"
HISTORY_PLACE = b"dossier_history.sealed_detail"
LONGEST_WHY = 400


class Refusal(StrEnum):
    """Why nothing was changed: stable codes, each with its sentence in `SENTENCES`."""

    NO_PATIENT = "no_patient"
    NO_DOSSIER = "no_dossier"
    OPEN_ALREADY = "open_already"
    MERGED_HAS_ONE = "merged_has_one"
    CLOSED = "closed"
    NO_CONSENT = "no_consent"
    NO_MEMBER = "no_member"
    MEMBER_ENDED = "member_ended"
    MEMBER_THERE = "member_there"
    NO_FAMILY = "no_family"
    NO_NUMBER = "no_number"
    PERIOD = "period"
    NO_RECORD = "no_record"
    WITHDRAWN = "withdrawn"
    SCOPE = "scope"
    NO_ENTRY = "no_entry"
    NOT_HEALTH = "not_health"
    NO_REASON = "no_reason"
    OPPOSED = "opposed"
    NOT_MERGED = "not_merged"
    STALE = "stale"


SENTENCES = {
    Refusal.NO_PATIENT: "there is no such patient in the register, or they were merged into another",
    Refusal.NO_DOSSIER: "this patient has no dossier that is open",
    Refusal.OPEN_ALREADY: "this patient has a dossier already: a person has one",
    Refusal.MERGED_HAS_ONE: "somebody merged into this patient has an open dossier: adopt it, or close it, first",
    Refusal.CLOSED: "the dossier is closed; open a new one",
    Refusal.NO_CONSENT: "a dossier becomes active when the person was informed of its opening and agreed",
    Refusal.NO_MEMBER: "there is no such member in this circle",
    Refusal.MEMBER_ENDED: "this membership has ended; somebody who comes back is a new member",
    Refusal.MEMBER_THERE: "this person or structure is a member of this circle already",
    Refusal.NO_FAMILY: "the profession does not say which role family this is; say it",
    Refusal.NO_NUMBER: "a professional or structure needs a number that recognises it (RPPS, FINESS, or its own)",
    Refusal.PERIOD: "the end of a period comes after its beginning, and both are days of the calendar",
    Refusal.NO_RECORD: "there is no such record in this dossier",
    Refusal.WITHDRAWN: "it was withdrawn or lifted already",
    Refusal.SCOPE: "an opposition to members or categories names them, and its members are of this circle",
    Refusal.NO_ENTRY: "there is no such document, result or event in this dossier",
    Refusal.NOT_HEALTH: "an emergency access is for a health professional with an RPPS number",
    Refusal.NO_REASON: "say why: an emergency access is never opened without its reason",
    Refusal.OPPOSED: "the person opposes sharing; an emergency does not lift that here",
    Refusal.NOT_MERGED: "this dossier's patient was not merged into another",
    Refusal.STALE: "somebody changed it meanwhile; look at it again",
}
"""One sentence for each refusal, without data."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a change: the number of what it made or touched, the circle's version; or why nothing was done."""

    number: int | None = None
    version: int | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class DossierLine:
    """A dossier as it is kept; times are microseconds since the epoch."""

    id: int
    patient_id: int
    state: DossierState
    opened_at: int
    closed_at: int | None
    updated_at: int
    version: int
    body: Dossier = field(repr=False)


DOSSIER_OF = (
    select(tables.dossier)
    .where(tables.dossier.c.patient_id == bindparam("patient"))
    .order_by(tables.dossier.c.closed_at.is_not(None), tables.dossier.c.id.desc())
    .limit(1)
)
"""The dossier of a `patient`: the one that is not closed, else the last that was."""

_OF_PATIENT = Ready(DOSSIER_OF)


def dossier_of(connection: Connection, sealer: Sealer, patient_id: int) -> DossierLine | None:
    """Give a patient's dossier: the one that is not closed, else the last that was."""
    row = _OF_PATIENT.first(connection, patient=patient_id)
    return None if row is None else dossier_line(row, sealer)


def dossier_line(row: Any, sealer: Sealer) -> DossierLine:
    """Open a row of `dossier`."""
    body = Dossier.model_validate_json(sealer.open(row.sealed_body, BODY_PLACE))
    return DossierLine(
        row.id,
        row.patient_id,
        DossierState(row.state),
        row.opened_at,
        row.closed_at,
        row.updated_at,
        row.version,
        body,
    )


def opened(unit: Unit, patient_id: int) -> DossierLine | Done:
    """Give the dossier of a patient that may be changed, or the refusal."""
    unit.flush()
    line = dossier_of(unit.connection, unit.sealer, patient_id)
    if line is None:
        return Done(refusal=Refusal.NO_DOSSIER)
    return Done(refusal=Refusal.CLOSED) if line.state is DossierState.CLOSED else line


def write_body(unit: Unit, line: DossierLine, body: Dossier, **values: object) -> None:
    """Write a dossier's body, and the columns that go with it."""
    sealed = unit.sealer.seal(body.model_dump_json().encode(), BODY_PLACE)
    statement = update(tables.dossier).where(tables.dossier.c.id == line.id)
    unit.connection.execute(statement.values(sealed_body=sealed, state=body.state.value, **values))


@dataclass(frozen=True, slots=True)
class By:
    """Who changes a dossier, when (microseconds), and why in their own words."""

    actor: str
    now: int
    why: str = ""


def keep_history(
    unit: Unit,
    dossier_id: int,
    action: str,
    by: By,
    *,
    subject: int | None = None,
    circle: bool = False,
    merge_id: int | None = None,
    detail: dict[str, Any] | None = None,
) -> int:
    """Write a line of history and of audit; where the circle changed, with the whole circle, as a new version of it.

    Gives the version of the circle after it.
    """
    column = tables.dossier.c
    version: int = unit.connection.execute(select(column.version).where(column.id == dossier_id)).scalar_one()
    version += circle
    statement = update(tables.dossier).where(column.id == dossier_id)
    unit.connection.execute(statement.values(version=version, updated_at=by.now))
    kept = {"why": by.why[:LONGEST_WHY], **(detail or {})}
    if circle:
        kept["circle"] = _circle(unit.connection, unit.sealer, dossier_id)
    values = {
        "dossier_id": dossier_id,
        "at": by.now,
        "actor": by.actor[:120],
        "action": action,
        "subject": subject,
        "version": version,
        "merge_id": merge_id,
        "sealed_detail": unit.sealer.seal(orjson.dumps(kept), HISTORY_PLACE),
    }
    unit.connection.execute(insert(tables.dossier_history).values(values))
    about = f"number {subject}" if subject is not None else ""
    record_audit(by.actor, action, f"dossier {dossier_id}", now=by.now, detail=about).apply(unit)
    return version


def _circle(connection: Connection, sealer: Sealer, dossier_id: int) -> list[dict[str, Any]]:
    column = tables.dossier_member.c
    rows = connection.execute(
        select(column.id, column.sealed_body).where(column.dossier_id == dossier_id).order_by(column.id)
    )
    return [
        {
            "id": row.id,
            "member": Member.model_validate_json(sealer.open(row.sealed_body, MEMBER_PLACE)).model_dump(mode="json"),
        }
        for row in rows
    ]
