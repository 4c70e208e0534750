"""Who asked for what in a dossier, and what was decided: every allow and every deny, with its rule."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from router.dossier.context import Reader
from router.dossier.may import Verdict
from router.journal import tables
from router.journal.operations import Change
from router.journal.unit import Unit
from router.journal.view import View
from schemas.habilitation import Action, DataCategory


@dataclass(frozen=True, slots=True)
class Access:
    """One decision to keep: `category` None is the dossier itself; `item_id` None is a list."""

    dossier_id: int
    reader: Reader
    action: Action
    category: DataCategory | None
    verdict: Verdict
    item_id: int | None = None
    thing: int | None = None


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
        connection.execute(insert(tables.dossier_access), rows)
    for one in found:
        if one.verdict.allowed and one.action is Action.READ and one.item_id is not None:
            _mark_read(connection, one.item_id, one.verdict.member, now)


def _mark_read(connection: Connection, item_id: int, member: int | None, now: int) -> None:
    """Mark what a member was told of an Item as read: they have opened it."""
    notice, alert = tables.alert_notice.c, tables.alert.c
    about = select(alert.id).where(alert.item_id == item_id)
    told = update(tables.alert_notice).where(
        notice.alert_id.in_(about), notice.member_id == member, notice.read_at.is_(None), notice.state != "cancelled"
    )
    connection.execute(told.values(state="read", read_at=now, changed_at=now))


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
    """Give the members who read a thing, in whichever version."""
    column = tables.dossier_access.c
    found = select(column.member_id).where(
        column.thing == thing,
        column.member_id.is_not(None),
        column.allowed.is_(True),
        column.action == Action.READ.value,
    )
    return frozenset(connection.execute(found.distinct()).scalars())
