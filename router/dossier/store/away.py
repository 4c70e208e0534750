"""Visits to somebody who is in hospital: marked «patient hospitalisé», never cancelled (fact sheet S28).

Whoever planned a visit decides what becomes of it. Booked Appointments from the admission on, up to two days ahead, get
a tag; it goes when the person comes home, or the admission is annulled. A reader who may not see stays sees no tag.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, or_, select

from router.dossier.context import Thing
from router.dossier.keeping import dossier_of
from router.dossier.loading import context_for
from router.dossier.store.drafts import LIVE
from router.dossier.store.elements import Json, Resource, child, children, dates, said
from router.dossier.store.writing import FOUND, Keeper, body_of
from router.journal import tables
from router.journal.unit import Unit
from schemas.consent import ConsentKind
from schemas.habilitation import DataCategory
from schemas.visibility import Mark

FLAGS = "https://passerelle.example/fhir/CodeSystem/flag"
AWAY: Resource = {"system": FLAGS, "code": "hospitalised", "display": "patient hospitalisé"}
AHEAD = 48 * 3600 * 1_000_000
"""How far ahead of now visits are marked, in microseconds."""

A_STAY = Thing(DataCategory.EVENTS)
"""What a reader must be allowed to see for the mark to be shown to them."""

_IN_HOSPITAL = frozenset({"IMP", "ACUTE", "NONAC", "EMER", "SS"})
"""Classes of an Encounter (v3 ActCode) by which somebody is not at home; HAD is at home."""

_STAYED = frozenset({"in-progress", "finished"})
_R, _T, _D = tables.resource.c, tables.resource_token.c, tables.resource_date.c


@dataclass(frozen=True, slots=True)
class Absence:
    """A time in hospital in microseconds; `until` is open while it lasts."""

    since: int
    until: int | None


def absences_of(unit: Unit, patient: int, now: int, *, past: bool) -> list[Absence]:
    """Give the stays that may be told of: none where the person does not wish hospital events to be told."""
    found = _absences(unit, patient, past=past)
    line = dossier_of(unit.connection, unit.sealer, patient) if found else None
    if line is None:
        return []
    context = context_for(unit.connection, unit.sealer, line, now=now)
    return [] if context.agreed(ConsentKind.HOSPITAL) is False else found


def _absences(unit: Unit, patient: int, *, past: bool) -> list[Absence]:
    """Give the stays of a patient in hospital, with `past` those that ended too; protected ones are nobody's news."""
    where = [_R.type == "Encounter", _R.patient_id == patient, _R.state == LIVE]
    where.append(_R.marks.bitwise_and(int(Mark.RESTRICTED | Mark.VERY_RESTRICTED)) == 0)
    if not past:
        where.append(_has(unit, "Encounter", "status", "c", "in-progress"))
    found = []
    for row in unit.connection.execute(FOUND.where(*where)).all():
        stay = body_of(unit.connection, unit, row.id, row.version)
        period = child(stay, "period") or {}
        times = dates(period)
        if "partOf" in stay or said(stay, "status") not in _STAYED or times is None or not said(period, "start"):
            continue
        if said(child(stay, "class"), "code") in _IN_HOSPITAL:
            found.append(Absence(times[0], times[1] if said(period, "end") else None))
    return found


def mark_visits(unit: Unit, keeper: Keeper, patient: int, now: int) -> int:
    """Mark the visits of a patient who is in hospital, and those no more of one who is not; gives how many changed."""
    marked = _has(unit, "Appointment", "away.tag", "sc", FLAGS, "hospitalised")
    rows = _visits(unit, patient, marked)
    here = absences_of(unit, patient, now, past=bool(rows))
    current = [one for one in here if one.until is None]
    if current:
        since = min(one.since for one in current)
        soon = exists().where(_D.resource_id == _R.id, _D.name == "start", _D.low >= since, _D.low < now + AHEAD)
        rows = [*rows, *_visits(unit, patient, and_(soon, ~marked))]
    changed = 0
    for row in rows:
        visit = body_of(unit.connection, unit, row.id, row.version)
        fresh = marked_as(visit, is_away(visit, here, now))
        if fresh != visit:
            keeper.change(row, fresh, digest=bytes(row.digest), same=True)
            changed += 1
    return changed


def marked_by_stays(unit: Unit, visit: Resource, patient: int, now: int) -> Resource:
    """Give an Appointment that is about to be kept as the stays of its patient mark it."""
    return marked_as(visit, is_away(visit, absences_of(unit, patient, now, past=False), now))


def is_away(visit: Resource, here: Iterable[Absence], now: int) -> bool:
    """Say whether the person is in hospital when a booked visit begins."""
    start = dates(visit.get("start"))
    if said(visit, "status") != "booked" or start is None:
        return False
    return any(one.since <= start[0] < (now + AHEAD if one.until is None else one.until) for one in here)


def marked_as(visit: Resource, away: bool) -> Resource:
    """Give a visit with the mark, or without it."""
    meta = child(visit, "meta") or {}
    tags: list[Json] = [one for one in children(meta, "tag") if said(one, "system") != FLAGS]
    tags += [dict(AWAY)] if away else []
    kept = {name: value for name, value in meta.items() if name != "tag"} | ({"tag": tags} if tags else {})
    rest = {name: value for name, value in visit.items() if name != "meta"}
    return {**rest, "meta": kept} if kept else rest


def is_marked(visit: Resource) -> bool:
    """Say whether a visit bears the mark."""
    return any(said(one, "system") == FLAGS for one in children(child(visit, "meta"), "tag"))


def in_hospital(unit: Unit) -> Sequence[int]:
    """Give the patients with a stay that lasts, or with a visit that is marked."""
    lasts = and_(_R.type == "Encounter", _has(unit, "Encounter", "status", "c", "in-progress"))
    marked = and_(_R.type == "Appointment", _has(unit, "Appointment", "away.tag", "sc", FLAGS, "hospitalised"))
    found = select(_R.patient_id).where(_R.state == LIVE, _R.patient_id.is_not(None), or_(lasts, marked)).distinct()
    return unit.connection.execute(found.order_by(_R.patient_id)).scalars().all()


def _visits(unit: Unit, patient: int, where: ColumnElement[bool]) -> list[Row[Any]]:
    mine = (_R.type == "Appointment", _R.patient_id == patient, _R.state == LIVE)
    return list(unit.connection.execute(FOUND.where(*mine, where).order_by(_R.id)).all())


def _has(unit: Unit, kind: str, name: str, *form: str) -> ColumnElement[bool]:
    token = unit.sealer.token("fhir", kind, name, *form)
    return exists().where(_T.resource_id == _R.id, _T.token == token)
