"""Hiding something of a dossier from some, or keeping it to some: by what it is, whatever the version."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, bindparam, insert, select, update

from router.dossier.circle import lines_of
from router.dossier.entries import COUNTED, governed_by
from router.dossier.keeping import By, Done, Refusal, keep_history, opened
from router.journal import tables
from router.journal.operations import Change
from router.journal.ready import Ready
from router.journal.sealing import Sealer
from router.journal.unit import Unit
from schemas.visibility import Restriction

RESTRICTION_PLACE = b"dossier_restriction.sealed_body"
_STANDING = Ready(
    select(tables.dossier_restriction)
    .where(
        tables.dossier_restriction.c.dossier_id == bindparam("dossier"),
        tables.dossier_restriction.c.lifted_at.is_(None),
    )
    .order_by(tables.dossier_restriction.c.id)
)


@dataclass(frozen=True, slots=True)
class RestrictionLine:
    """A restriction as it stands: its number, the thing's token, who decided it and when (microseconds)."""

    id: int
    thing: int
    restriction: Restriction
    at: int
    by: str


def restrict(patient_id: int, item_id: int, restriction: Restriction, *, by: By) -> Change[Done]:
    """Hide a thing, or keep it to some. What comes later as a new version of it is restricted alike."""

    def change(unit: Unit) -> Done:
        found = opened(unit, patient_id)
        if isinstance(found, Done):
            return found
        item, entry = tables.item.c, tables.dossier_entry.c
        of_dossier = (
            select(entry.thing)
            .join(tables.item, item.id == entry.item_id)
            .where(entry.item_id == item_id, governed_by(unit.connection, patient_id), item.state.in_(COUNTED))
        )
        thing = unit.connection.execute(of_dossier).scalar()
        if thing is None:
            return Done(refusal=Refusal.NO_ENTRY)
        there = {line.seat.id for line in lines_of(unit.connection, unit.sealer, found, now=by.now)}
        if not set(restriction.members) <= there:
            return Done(refusal=Refusal.NO_MEMBER)
        sealed = unit.sealer.seal(restriction.model_dump_json().encode(), RESTRICTION_PLACE)
        values = {"dossier_id": found.id, "thing": thing, "at": by.now, "by": by.actor[:120], "sealed_body": sealed}
        added = insert(tables.dossier_restriction).values(values).returning(tables.dossier_restriction.c.id)
        number: int = unit.connection.execute(added).scalar_one()
        return Done(number, keep_history(unit, found.id, "restrict entry", by, subject=number))

    return Change(change, note="restrict")


def lift_restriction(patient_id: int, number: int, *, by: By) -> Change[Done]:
    """Lift a restriction: it counts no more from now on, and stays on record."""

    def change(unit: Unit) -> Done:
        found = opened(unit, patient_id)
        if isinstance(found, Done):
            return found
        column = tables.dossier_restriction.c
        mine = select(column.lifted_at).where(column.id == number, column.dossier_id == found.id)
        row = unit.connection.execute(mine).one_or_none()
        if row is None or row.lifted_at is not None:
            return Done(refusal=Refusal.NO_RECORD if row is None else Refusal.WITHDRAWN)
        values = {"lifted_at": by.now, "lifted_by": by.actor[:120]}
        unit.connection.execute(update(tables.dossier_restriction).where(column.id == number).values(values))
        return Done(number, keep_history(unit, found.id, "lift restriction", by, subject=number))

    return Change(change, note="lift restriction")


def restriction_lines(connection: Connection, sealer: Sealer, dossier_id: int) -> list[RestrictionLine]:
    """Give the restrictions that stand in a dossier, oldest first."""
    return [
        RestrictionLine(
            row.id,
            row.thing,
            Restriction.model_validate(orjson.loads(sealer.open(row.sealed_body, RESTRICTION_PLACE))),
            row.at,
            row.by,
        )
        for row in _STANDING.rows(connection, dossier=dossier_id)
    ]


def restrictions_of(connection: Connection, sealer: Sealer, dossier_id: int) -> dict[int, tuple[Restriction, ...]]:
    """Give the standing restrictions by the thing that they are about."""
    found: dict[int, tuple[Restriction, ...]] = {}
    for line in restriction_lines(connection, sealer, dossier_id):
        found[line.thing] = (*found.get(line.thing, ()), line.restriction)
    return found
