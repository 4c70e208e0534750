"""The worklist: codes and units that no map answers; the mappings there are, and the messages that each concerns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, exists, select

from mappings.concept_map import MapEntry, Term, TermKind
from router.codes.maps import CodeMaps
from router.codes.reading import code_token
from router.journal import tables
from router.journal.tables import ItemState
from router.journal.view import Capped, View
from schemas.coding import Coding

LOOKED_AT = 5_000
"""Codes that a worklist looks at, the most frequent first."""


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A term to map: how often it was seen since `first_at`, the last message that used it, and what stood beside.

    Times are microseconds. `label` and `unit` are examples, empty when nothing stood there.
    """

    sender: str
    term: Term
    label: str
    unit: str
    seen: int
    first_at: int
    last_at: int
    last_message_id: int


@dataclass(frozen=True, slots=True)
class Decided:
    """A mapping that a person made: its number, by whom and when (microseconds)."""

    id: int
    entry: MapEntry
    author: str
    at: int


@dataclass(frozen=True, slots=True)
class Affected:
    """Messages that were read before a term had its present meaning; `more` when there are more than were asked."""

    ids: tuple[int, ...]
    more: bool


def unmapped_codes(view: View, maps: CodeMaps, *, sender: str | None = None, limit: int = 200) -> list[Unmapped]:
    """List what no map answers, the most frequent first. `maps` must have been refreshed."""
    found: list[Unmapped] = []
    for one in _seen(view, sender):
        if one.term not in maps.of(one.sender).targets:
            found.append(one)
            if len(found) == limit:
                break
    return found


def count_unmapped_codes(view: View, maps: CodeMaps) -> Capped:
    """Count what no map answers, up to 1,000."""
    return Capped.of(len(unmapped_codes(view, maps, limit=1_001)), 1_000)


def find_unmapped(view: View, sender: str, term: Term) -> Unmapped | None:
    """Give what is known of a term, mapped since or not."""
    column = tables.unmapped_code.c
    statement = select(tables.unmapped_code).where(column.sender == sender, *_is(column, term))
    return next((_unmapped(row) for row in view.connection.execute(statement)), None)


def senders(view: View) -> list[str]:
    """List the senders whose codes were seen without a standard one, or are mapped."""
    statement = select(tables.unmapped_code.c.sender).union(select(tables.concept_map.c.sender))
    return sorted(view.connection.execute(statement).scalars())


def decided_codes(
    view: View, *, sender: str | None = None, after: int | None = None, limit: int = 100
) -> list[Decided]:
    """List the mappings that persons made, the newest first; `after` goes on below a mapping's number."""
    column = tables.concept_map.c
    statement = select(tables.concept_map).order_by(column.id.desc()).limit(limit)
    if sender is not None:
        statement = statement.where(column.sender == sender)
    if after is not None:
        statement = statement.where(column.id < after)
    return [_decided(row) for row in view.connection.execute(statement)]


def find_decided(view: View, number: int) -> Decided | None:
    """Give one mapping."""
    statement = select(tables.concept_map).where(tables.concept_map.c.id == number)
    return next((_decided(row) for row in view.connection.execute(statement)), None)


def find_decision(view: View, sender: str, term: Term) -> Decided | None:
    """Give the mapping of a term."""
    column = tables.concept_map.c
    statement = select(tables.concept_map).where(column.sender == sender, *_is(column, term))
    return next((_decided(row) for row in view.connection.execute(statement)), None)


def affected(view: View, sender: str, term: Term, target: Coding | None, *, limit: int) -> Affected:
    """Find the messages whose present Items use a term and were not given `target` for it, oldest first.

    Without a target, those are all that use it. The newest are given when there are more than `limit`.
    """
    # Down the token's own index: a code that a million messages use costs no more than one that few do.
    rows = 2 * (limit + 1)
    statement = _using(view, sender, term, target).order_by(tables.item_token.c.item_id.desc()).limit(rows)
    found = list(view.connection.execute(statement).scalars())
    numbers = list(dict.fromkeys(found))
    return Affected(tuple(sorted(numbers[:limit])), len(numbers) > limit or len(found) == rows)


def count_affected(view: View, sender: str, term: Term, target: Coding | None, *, cap: int) -> Capped:
    """Count them, up to `cap`."""
    found = affected(view, sender, term, target, limit=cap)
    return Capped(len(found.ids), found.more)


def _using(view: View, sender: str, term: Term, target: Coding | None) -> Select[Any]:
    used, given = tables.item_token, tables.item_token.alias("given")
    statement = (
        select(tables.item.c.message_id)
        .select_from(used.join(tables.item, tables.item.c.id == used.c.item_id))
        .where(used.c.token == code_token(view.sealer, sender, term), tables.item.c.state != ItemState.REPLACED.value)
    )
    if target is None:
        return statement
    token = code_token(view.sealer, sender, term, target)
    return statement.where(~exists().where(given.c.token == token, given.c.item_id == used.c.item_id))


def _seen(view: View, sender: str | None) -> Iterator[Unmapped]:
    column = tables.unmapped_code.c
    statement = select(tables.unmapped_code).order_by(column.seen.desc(), column.sender, column.code)
    if sender is not None:
        statement = statement.where(column.sender == sender)
    for row in view.connection.execute(statement.limit(LOOKED_AT)):
        yield _unmapped(row)


def _is(column: Any, term: Term) -> tuple[Any, Any, Any]:
    return column.kind == term.kind.value, column.system == term.system, column.code == term.code


def _unmapped(row: Any) -> Unmapped:
    return Unmapped(
        row.sender,
        Term(TermKind(row.kind), row.system, row.code),
        row.label,
        row.unit,
        row.seen,
        row.first_at,
        row.last_at,
        row.last_message_id,
    )


def _decided(row: Any) -> Decided:
    target = Coding(system=row.target_system, code=row.target, display=row.display)
    return Decided(
        row.id, MapEntry(row.sender, Term(TermKind(row.kind), row.system, row.code), target), row.author, row.at
    )
