"""What a person may do to the maps of the journal: map a term, take a mapping back, bring a file of them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update

from mappings.concept_map import MapEntry, TermKind
from router.codes.maps import VERSION
from router.journal import tables
from router.journal.auditing import append_audit
from router.journal.operations import Change
from router.journal.unit import Unit


def map_terms(entries: Sequence[MapEntry], *, actor: str, now: int, action: str = "map code") -> Change[int]:
    """Keep what these terms mean, in the place of what was said of them before; gives how many are new or changed.

    `action` names it in the audit: one line for one mapping, one with its count for many.
    """

    def change(unit: Unit) -> int:
        changed = [entry for entry in entries if _keep(unit, entry, actor, now)]
        if changed:
            _count_change(unit)
            _audit(unit, actor, action, changed, now)
        return len(changed)

    return Change(change, note="map codes")


def unmap_term(number: int, *, actor: str, now: int) -> Change[bool]:
    """Take a mapping back: its term is on the worklist again. False when there is no such mapping."""

    def change(unit: Unit) -> bool:
        column = tables.concept_map.c
        row = unit.connection.execute(select(tables.concept_map).where(column.id == number)).one_or_none()
        if row is None:
            return False
        unit.connection.execute(delete(tables.concept_map).where(column.id == number))
        _count_change(unit)
        _note(unit, actor, "unmap code", _named(row.kind, row.sender, row.code), f"was {row.target}", now)
        return True

    return Change(change, note="unmap code")


def _keep(unit: Unit, entry: MapEntry, actor: str, now: int) -> bool:
    column = tables.concept_map.c
    sender, term, target = entry
    same = (
        column.sender == sender,
        column.kind == term.kind.value,
        column.system == term.system,
        column.code == term.code,
    )
    values = {
        "target_system": target.system,
        "target": target.code,
        "display": target.display,
        "author": actor[:120],
        "at": now,
    }
    row = unit.connection.execute(
        select(column.id, column.target_system, column.target, column.display).where(*same)
    ).one_or_none()
    if row is None:
        key = {"sender": sender, "kind": term.kind.value, "system": term.system, "code": term.code}
        unit.connection.execute(insert(tables.concept_map).values(**key, **values))
        return True
    if tuple(row[1:]) == (target.system, target.code, target.display):
        return False
    unit.connection.execute(update(tables.concept_map).where(column.id == row.id).values(values))
    return True


def _count_change(unit: Unit) -> None:
    """Raise the number by which workers see that the maps changed."""
    column = tables.setting.c
    found = unit.connection.execute(select(column.value).where(column.name == VERSION)).scalar()
    if found is None:
        unit.connection.execute(insert(tables.setting).values(name=VERSION, value="1"))
    else:
        following = str(int(found) + 1)
        unit.connection.execute(update(tables.setting).where(column.name == VERSION).values(value=following))


def _audit(unit: Unit, actor: str, action: str, entries: Sequence[MapEntry], now: int) -> None:
    if len(entries) > 1:
        _note(unit, actor, action, f"{len(entries)} codes", "", now)
        return
    sender, term, target = entries[0]
    _note(unit, actor, action, _named(term.kind.value, sender, term.code), f"is {target.code}", now)


def _named(kind: str, sender: str, code: str) -> str:
    return f"{'unit' if kind == TermKind.UNIT.value else 'code'} {code} of {sender}"


def _note(unit: Unit, actor: str, action: str, target: str, detail: str, now: int) -> None:
    append_audit(unit, actor=actor, action=action, target=target, detail=detail, now=now)
