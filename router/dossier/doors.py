"""The two doors to what a dossier holds: the list that a reader may see, and one thing of it.

Both decide by `router.dossier.may`, and give what is to be kept of the decision: whoever opens a door submits it first
(`accesses.record_accesses`) and shows nothing if that fails. What a reader may not see is counted nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select

from router.dossier.accesses import Access
from router.dossier.circle import lines_of
from router.dossier.context import Context, Reader, Thing
from router.dossier.entries import COUNTED, governed_by
from router.dossier.keeping import DossierLine, dossier_of
from router.dossier.loading import as_reader, context_for
from router.dossier.may import Rule, Verdict, may, standings_of, verdict
from router.dossier.visible import Visible, visible
from router.journal import tables
from router.journal.sealing import Sealer
from router.journal.view import View
from schemas.habilitation import Action, DataCategory
from schemas.visibility import Mark


@dataclass(frozen=True, slots=True)
class EntryLine:
    """An entry of a dossier: the number and kind of its Item, what it is, when it happened and came (microseconds).

    `superseded`: a later version of the same thing is in the dossier, and this reader may see it.
    """

    item_id: int
    kind: str
    item_key: str
    thing: Thing
    received_at: int
    superseded: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """What a list shows: a page of entries, how many there are in all for this reader, and the decision to keep."""

    entries: tuple[EntryLine, ...]
    total: int
    verdict: Verdict
    access: Access | None


@dataclass(frozen=True, slots=True)
class Opened:
    """One entry, None where it may not be seen or is not there: the two are told apart nowhere but in `access`."""

    entry: EntryLine | None
    verdict: Verdict
    access: Access | None


def entries_shown(
    view: View,
    reader: Reader,
    patient_id: int,
    *,
    now: int,
    category: DataCategory | None = None,
    after: int = 0,
    limit: int = 50,
) -> Shown:
    """Give what a reader may read of a patient's dossier, in the order in which it came, from the cursor `after` on."""
    found = _loaded(view.connection, view.sealer, patient_id, now)
    if found is None:
        return Shown((), 0, verdict(Rule.NO_DOSSIER), None)
    line, context = found
    shows = visible(reader, context)
    where = and_(shown_where(view.connection, patient_id, shows), *_of_category(category))
    count = select(func.count()).select_from(tables.dossier_entry.join(tables.item)).where(where)
    total: int = view.connection.execute(count).scalar_one()
    page = _entries(shows).where(where, tables.item.c.id > after).order_by(tables.item.c.id).limit(limit)
    rows = view.connection.execute(page).all()
    said = _of_list(reader, context, shows)
    return Shown(tuple(_line(row) for row in rows), total, said, Access(line.id, reader, Action.READ, category, said))


def entry_opened(view: View, reader: Reader, patient_id: int, item_id: int, *, now: int) -> Opened:
    """Give one entry of a patient's dossier, if the reader may read it."""
    found = _loaded(view.connection, view.sealer, patient_id, now)
    if found is None:
        return Opened(None, verdict(Rule.NO_DOSSIER), None)
    line, context = found
    item = tables.item.c
    shows = visible(reader, context)
    own = and_(item.id == item_id, governed_by(view.connection, patient_id), item.state.in_(COUNTED))
    row = view.connection.execute(_entries(shows).where(own)).one_or_none()
    if row is None:
        return Opened(None, verdict(Rule.NOT_MEMBER), None)
    entry = _line(row)
    said = may(reader, Action.READ, entry.thing, context)
    access = Access(line.id, reader, Action.READ, entry.thing.category, said, item_id, entry.thing.thing)
    return Opened(entry if said.allowed else None, said, access)


def shown_where(connection: Connection, patient_id: int, shows: Visible) -> ColumnElement[bool]:
    """Give the condition on `dossier_entry` joined with `item` for what is shown of a patient's dossier.

    Every query about a dossier takes it: pages, counts, includes.
    """
    return and_(governed_by(connection, patient_id), tables.item.c.state.in_(COUNTED), shows.where())


def _loaded(connection: Connection, sealer: Sealer, patient_id: int, now: int) -> tuple[DossierLine, Context] | None:
    line = dossier_of(connection, sealer, patient_id)
    return None if line is None else (line, context_for(connection, sealer, line, now=now))


def _of_category(category: DataCategory | None) -> list[ColumnElement[bool]]:
    return [] if category is None else [tables.dossier_entry.c.category == category.value]


def _of_list(reader: Reader, context: Context, shows: Visible) -> Verdict:
    """Give the verdict of a list: that of the dossier itself, or of what the reader may see at most."""
    standings = standings_of(reader, Action.READ, context)
    if isinstance(standings, Verdict):
        return standings
    if shows.categories:
        first = standings[0]
        return verdict(Rule.EMERGENCY if first.emergency else Rule.MATRIX, allowed=True, member=first.member)
    return may(reader, Action.READ, Thing(DataCategory.IDENTITY), context)


def _entries(shows: Visible) -> Select[tuple[object, ...]]:
    item, entry = tables.item.c, tables.dossier_entry.c
    later = tables.dossier_entry.alias("later")
    standing = tables.item.alias("standing")
    newer = (
        select(later.c.item_id)
        .join(standing, standing.c.id == later.c.item_id)
        .where(later.c.thing == entry.thing, later.c.item_id > entry.item_id, standing.c.state.in_(COUNTED))
        .where(standing.c.patient_id == item.patient_id, shows.where(later))
        .exists()
    )
    return select(
        item.id,
        item.kind,
        item.item_key,
        item.created_at,
        entry.category,
        entry.marks,
        entry.at,
        entry.author,
        entry.thing,
        newer.label("superseded"),
    ).select_from(tables.dossier_entry.join(tables.item))


def _line(row: Row[tuple[object, ...]]) -> EntryLine:
    values = row._mapping
    thing = Thing(
        DataCategory(values["category"]), Mark(values["marks"]), values["at"], values["author"], values["thing"]
    )
    return EntryLine(
        values["id"], values["kind"], values["item_key"], thing, values["created_at"], bool(values["superseded"])
    )


@dataclass(frozen=True, slots=True)
class Explained:
    """What a member may do with an Item, and why, for those who manage the dossier."""

    category: DataCategory
    verdict: Verdict


def explained(
    view: View, patient_id: int, member_id: int, item_id: int, action: Action, *, now: int
) -> Explained | None:
    """Say what `may` decides for a member and an Item; None where one of them is not of this dossier."""
    found = _loaded(view.connection, view.sealer, patient_id, now)
    if found is None:
        return None
    line, context = found
    members = {one.seat.id: one for one in lines_of(view.connection, view.sealer, line, now=now)}
    item = tables.item.c
    own = and_(item.id == item_id, governed_by(view.connection, patient_id), item.state.in_(COUNTED))
    row = view.connection.execute(_entries(Visible()).where(own)).one_or_none()
    if row is None or member_id not in members:
        return None
    thing = _line(row).thing
    return Explained(thing.category, may(as_reader(members[member_id], view.sealer), action, thing, context))
