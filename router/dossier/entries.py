"""The entries of a dossier: one row beside each Item that says what it is there, so that a query can choose by it.

An entry is written with its Item where the patient has a dossier, and for those of before when one is opened. The Item
says whose it is, and whether it still counts; its entry does not.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, insert, or_, select

from router.dossier.classifying import Entry, entry_of
from router.journal import tables
from router.journal.operations import BODY_PLACE
from router.journal.tables import ItemState
from router.journal.unit import Unit
from schemas.item import ITEM

COUNTED = (ItemState.ROUTED.value, ItemState.UNROUTED.value)
"""States of Items that belong to their patient: not those held, refused, or replaced by a replay."""


def keep_entry(unit: Unit, item_id: int, entry: Entry, now: int) -> Entry:
    """Keep the entry of an Item, and give it as it was kept: a new version is the thing that it replaces."""
    kept = replace(entry, thing=_thing(unit.connection, entry), at=now if entry.at is None else entry.at)
    column = tables.dossier_entry.c
    if unit.connection.execute(select(column.item_id).where(column.item_id == item_id)).first() is None:
        unit.connection.execute(
            insert(tables.dossier_entry).values(
                item_id=item_id,
                category=kept.category.value,
                marks=int(kept.marks),
                at=kept.at,
                author=kept.author,
                name=kept.name,
                thing=kept.thing,
            )
        )
    return kept


def _thing(connection: Connection, entry: Entry) -> int:
    if entry.replaces is None:
        return entry.thing
    column = tables.dossier_entry.c
    former = select(column.thing).where(or_(column.name == entry.replaces, column.thing == entry.replaces))
    found: int | None = connection.execute(former.order_by(column.item_id.desc()).limit(1)).scalar()
    return entry.thing if found is None else found


def index_entries(unit: Unit, patient_id: int) -> int:
    """Make the entries that a patient's Items lack, oldest first; gives how many."""
    unit.flush()
    item, entry = tables.item.c, tables.dossier_entry.c
    missing = (
        select(item.id, item.sealed_body, item.created_at)
        .outerjoin(tables.dossier_entry, entry.item_id == item.id)
        .where(governed_by(unit.connection, patient_id), entry.item_id.is_(None))
        .order_by(item.id)
    )
    count = 0
    for row in unit.connection.execute(missing).all():
        try:
            read = ITEM.validate_json(unit.sealer.open(row.sealed_body, BODY_PLACE))
        except ValidationError:
            continue  # kept under an older model: nobody in a circle sees it, the message's page does
        found = entry_of(read, unit.sealer)
        if found is not None:
            keep_entry(unit, row.id, found, row.created_at)
            count += 1
    return count


def governed_by(connection: Connection, patient_id: int) -> ColumnElement[bool]:
    """Give the condition on `item` for what a patient's dossier holds.

    That is the patient's own Items, and those of people merged into them who have no dossier of their own: whoever has
    one keeps it, with its circle and consents, until a person decides.
    """
    return tables.item.c.patient_id.in_(governed(connection, patient_id))


def governed(connection: Connection, patient_id: int) -> list[int]:
    """Give the numbers of the patients whose Items a dossier holds."""
    column = tables.patient.c
    own = select(tables.dossier.c.patient_id).where(tables.dossier.c.patient_id == column.id).exists()
    merged = select(column.id).where(column.merged_into == patient_id, ~own)
    return [patient_id, *connection.execute(merged).scalars()]
