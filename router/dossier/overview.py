"""A dossier as it is shown to those who manage it: circle, consents, and who may see what, and why."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from router.dossier.circle import MemberLine, lines_of
from router.dossier.consents import emergency_accesses
from router.dossier.context import ConsentRecord, Context, Reader, Thing
from router.dossier.keeping import DossierLine, dossier_of
from router.dossier.leaving.board import NoticeLine, notice_lines
from router.dossier.loading import as_reader, context_for
from router.dossier.may import Rule, may
from router.dossier.restrictions import RestrictionLine, restriction_lines
from router.identity.patients import Patient, load_patients
from router.journal import tables
from router.journal.sealing import Sealer
from router.journal.view import View
from schemas.consent import EmergencyAccess
from schemas.habilitation import Action, DataCategory, Level


@dataclass(frozen=True, slots=True)
class Access:
    """What a member may do with a category, and the rule that says so (or says no)."""

    category: DataCategory
    level: Level
    rule: Rule
    reason: str


@dataclass(frozen=True, slots=True)
class MemberAccess:
    """A member and what they may do with each category, in the matrix's order."""

    line: MemberLine
    accesses: tuple[Access, ...]


@dataclass(frozen=True, slots=True)
class AlertLine:
    """An alert: what it was about, how many it was made for, and how many of those read it (microseconds: `at`)."""

    id: int
    at: int
    event: str
    level: str
    notices: int
    read: int
    annulled: bool
    told: tuple[NoticeLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """A dossier with everything around it, at one moment."""

    line: DossierLine
    patient: Patient
    members: tuple[MemberAccess, ...]
    consents: tuple[ConsentRecord, ...]
    restrictions: tuple[RestrictionLine, ...]
    emergencies: tuple[EmergencyAccess, ...]
    alerts: tuple[AlertLine, ...]


def overview(view: View, patient_id: int, *, now: int, alerts: int = 20) -> Overview | None:
    """Give a patient's dossier, None where there is none."""
    line = dossier_of(view.connection, view.sealer, patient_id)
    patient = load_patients(view.connection, view.sealer, [patient_id]).get(patient_id)
    if line is None or patient is None:
        return None
    context = context_for(view.connection, view.sealer, line, now=now)
    found = lines_of(view.connection, view.sealer, line, now=now)
    return Overview(
        line,
        patient,
        tuple(MemberAccess(one, accesses_of(one, context, view.sealer)) for one in found),
        context.consents,
        tuple(restriction_lines(view.connection, view.sealer, line.id)),
        tuple(emergency_accesses(view.connection, view.sealer, line.id)),
        tuple(_alerts(view, line.id, alerts)),
    )


def accesses_of(line: MemberLine, context: Context, sealer: Sealer) -> tuple[Access, ...]:
    """Give what a member may do with each category of what is new and unmarked; a structure's staff for a structure."""
    reader = as_reader(line, sealer)
    return tuple(_access(reader, category, context) for category in DataCategory)


def _access(reader: Reader, category: DataCategory, context: Context) -> Access:
    thing = Thing(category)
    for action, level in ((Action.WRITE, Level.ALL), (Action.READ, Level.READ), (Action.TELL, Level.EVENT)):
        found = may(reader, action, thing, context)
        if found.allowed:
            return Access(category, level, found.rule, found.reason)
    found = may(reader, Action.READ, thing, context)
    return Access(category, Level.NONE, found.rule, found.reason)


def _alerts(view: View, dossier_id: int, limit: int) -> list[AlertLine]:
    alert = tables.alert.c
    newest = select(tables.alert).where(alert.dossier_id == dossier_id).order_by(alert.id.desc()).limit(limit)
    rows = view.connection.execute(newest).all()
    told: dict[int, list[NoticeLine]] = {}
    if rows:
        for one in notice_lines(view, dossier_id, alerts=[row.id for row in rows], limit=500):
            told.setdefault(one.alert_id, []).insert(0, one)
    return [
        AlertLine(
            row.id,
            row.at,
            row.event,
            row.level,
            len(told.get(row.id, ())),
            sum(one.state == "read" for one in told.get(row.id, ())),
            row.annulled_at is not None,
            tuple(told.get(row.id, ())),
        )
        for row in rows
    ]
