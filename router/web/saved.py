"""Searches kept by name: whose they are, whether the team sees them, and what of a person they look for, sealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from sqlalchemy import Connection, delete, func, insert, or_, select, update

from router.journal import tables
from router.journal.actions import record_audit
from router.journal.operations import Change
from router.journal.sealing import Sealer
from router.journal.unit import Unit

TEXT_PLACE = b"saved_search.sealed_text"
MOST = 100
"""Searches that one account keeps."""

LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A search by name. `wishes` are the filters of its address; `about_somebody` says that it looks for a person."""

    id: int
    owner: str
    name: str
    shared: bool
    pinned: bool
    wishes: Mapping[str, str]
    about_somebody: bool
    sealed_text: bytes | None = field(default=None, repr=False)

    def text(self, sealer: Sealer) -> str:
        """Give what it looks for, an empty text when it only filters."""
        return sealer.open(self.sealed_text, TEXT_PLACE).decode() if self.sealed_text is not None else ""


def saved_searches(connection: Connection, account: str) -> list[SavedSearch]:
    """Give an account's searches and those of the team, the pinned ones first, by name."""
    column = tables.saved_search.c
    mine = or_(column.owner == account, column.shared)
    order = (column.pinned.desc(), func.lower(column.name), column.id)
    return [_of(row) for row in connection.execute(select(tables.saved_search).where(mine).order_by(*order))]


def saved_search(connection: Connection, number: int, account: str) -> SavedSearch | None:
    """Give one that this account may use."""
    column = tables.saved_search.c
    mine = or_(column.owner == account, column.shared)
    row = connection.execute(select(tables.saved_search).where(column.id == number, mine)).first()
    return _of(row) if row is not None else None


def _of(row: object) -> SavedSearch:
    wishes = orjson.loads(getattr(row, "wishes"))  # noqa: B009 - a row has its columns for attributes
    sealed = getattr(row, "sealed_text")  # noqa: B009 - the same
    values = {name: getattr(row, name) for name in ("id", "owner", "name", "shared", "pinned")}
    return SavedSearch(**values, wishes=wishes, about_somebody=sealed is not None, sealed_text=sealed)


def save_search(
    name: str, wishes: Mapping[str, str], text: str, *, owner: str, shared: bool, pinned: bool, now: int
) -> Change[bool]:
    """Keep a search; one of the same name and owner is replaced. False when the account has too many, or no name."""

    def change(unit: Unit) -> bool:
        row = tables.saved_search
        given = " ".join(name.split())[:LONGEST_NAME]
        held = select(func.count()).select_from(row).where(row.c.owner == owner)
        same = row.c.name == given
        if not given or unit.connection.execute(held.where(~same)).scalar_one() >= MOST:
            return False
        values = {
            "at": now,
            "shared": shared,
            "pinned": pinned,
            "wishes": orjson.dumps(dict(wishes)).decode(),
            "sealed_text": unit.sealer.seal(text.encode(), TEXT_PLACE) if text else None,
        }
        again = update(row).where(row.c.owner == owner, same).values(**values)
        if not unit.connection.execute(again).rowcount:
            unit.connection.execute(insert(row).values(owner=owner, name=given, page="messages", **values))
        said = "shared" if shared else "private"
        record_audit(owner, "save search", "messages", now=now, detail=said).apply(unit)
        return True

    return Change(change, note="save search")


def pin_search(number: int, *, owner: str) -> Change[bool]:
    """Pin a search of one's own, or take the pin out."""

    def change(unit: Unit) -> bool:
        row = tables.saved_search
        statement = update(row).where(row.c.id == number, row.c.owner == owner)
        return bool(unit.connection.execute(statement.values(pinned=~row.c.pinned)).rowcount)

    return Change(change, note="pin search")


def forget_search(number: int, *, owner: str, now: int) -> Change[bool]:
    """Forget a search of one's own."""

    def change(unit: Unit) -> bool:
        row = tables.saved_search
        gone = unit.connection.execute(delete(row).where(row.c.id == number, row.c.owner == owner)).rowcount
        if gone:
            record_audit(owner, "forget search", "messages", now=now).apply(unit)
        return bool(gone)

    return Change(change, note="forget search")
