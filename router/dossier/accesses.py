"""Who asked for what in a dossier, and what was decided: every allow and every deny, with its rule."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from router.dossier.context import Reader
from router.dossier.may import Verdict
from router.dossier.readings import keep_readings
from router.journal import tables
from router.journal.operations import Change
from router.journal.unit import Unit
from router.journal.view import View
from schemas.habilitation import Action, DataCategory

_KEEP = insert(tables.dossier_access)


@dataclass(frozen=True, slots=True)
class Access:
    """One decision to keep: `category` None is the dossier itself; `item_id` None is a list.

    `opened`: it is about one thing, which the reader has before their eyes.
    """

    dossier_id: int
    reader: Reader
    action: Action
    category: DataCategory | None
    verdict: Verdict
    item_id: int | None = None
    thing: int | None = None
    opened: bool = False


def record_accesses(found: list[Access], *, now: int) -> Change[None]:
    """Keep decisions, and that who opened an Item has read it. What cannot be kept is not shown: submit this first."""

    def change(unit: Unit) -> None:
        keep_accesses(unit.connection, found, now)

    return Change(change, note="dossier access")


def keep_accesses(connection: Connection, found: list[Access], now: int) -> None:
    """Write decisions within a transaction."""
    rows = [
        {
            "at": now,
            "dossier_id": one.dossier_id,
            "reader": one.reader.name[:120],
            "member_id": one.verdict.member,
            "item_id": one.item_id,
            "thing": one.thing,
            "action": one.action.value,
            "category": one.category.value if one.category is not None else "",
            "allowed": one.verdict.allowed,
            "rule": one.verdict.rule.value,
            "tool": one.reader.tool[:80],
        }
        for one in found
    ]
    if rows:
        connection.execute(_KEEP, rows)
    for one in found:
        member = one.verdict.member
        if not one.verdict.allowed or one.action is not Action.READ or member is None or one.thing is None:
            continue
        if one.item_id is not None or one.opened:
            keep_readings(connection, [(one.thing, member)], now, read=True)


@dataclass(frozen=True, slots=True)
class AccessLine:
    """A decision as it was kept; `category` is empty for the dossier itself."""

    id: int
    at: int
    reader: str
    member_id: int | None
    item_id: int | None
    action: Action
    category: str
    allowed: bool
    rule: str
    tool: str


def accesses(view: View, dossier_id: int, *, before: int | None = None, limit: int = 50) -> list[AccessLine]:
    """Give the decisions about a dossier, newest first, from the cursor `before` on."""
    column = tables.dossier_access.c
    statement = select(tables.dossier_access).where(column.dossier_id == dossier_id)
    if before is not None:
        statement = statement.where(column.id < before)
    return [
        AccessLine(
            row.id,
            row.at,
            row.reader,
            row.member_id,
            row.item_id,
            Action(row.action),
            row.category,
            bool(row.allowed),
            row.rule,
            row.tool,
        )
        for row in view.connection.execute(statement.order_by(column.id.desc()).limit(limit))
    ]


def seen_by(connection: Connection, thing: int) -> frozenset[int]:
    """Give the members who have a thing, in whichever version: who opened it, or whose tool took it for them."""
    reading = tables.dossier_reading.c
    had = select(reading.member_id).where(reading.thing == thing)
    column = tables.dossier_access.c
    found = select(column.member_id).where(
        column.thing == thing,
        column.member_id.is_not(None),
        column.allowed.is_(True),
        column.action == Action.READ.value,
    )
    return frozenset(connection.execute(found.union(had)).scalars())
