"""Deliveries by state, and failures grouped by what caused them: one cause is one decision, not a thousand."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, literal_column, select, text

from router.journal import tables
from router.journal.queries import BUDGET, PAGE
from router.journal.queries_lines import ItemLine, item_lines
from router.journal.queries_message import DeliveryLine, delivery_lines
from router.journal.tables import DeliveryState
from router.journal.view import Capped, View
from router.journal.walking import Clock, paced

# SQLite takes a partial index only when its very condition is in the statement.
FAILED = text("delivery.state IN ('retrying', 'held', 'dead', 'cancelled')")
OPEN = text("delivery.state IN ('pending', 'retrying')")

FAILED_STATES = (DeliveryState.RETRYING, DeliveryState.HELD, DeliveryState.DEAD, DeliveryState.CANCELLED)

GROUPED = 20_000
"""Failures that are grouped at most, the newest ones."""

MOST_CAUSES = 400

_VARIABLE = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\b[0-9a-fA-F]{12,}\b|\d{4,}")
"""Parts of a detail that differ from one failure to the next without being another cause."""


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures of one destination with one cause.

    `cause` names the group in an address, `detail` is its sentence with the varying parts left out. Times are
    microseconds. `messages` says how many different messages are concerned.
    """

    destination: str
    state: DeliveryState
    cause: str
    detail: str
    count: int
    messages: int
    first_at: int
    last_at: int


@dataclass(frozen=True, slots=True)
class FailureGroups:
    """Groups, largest first; `capped` when only the newest failures were looked at."""

    groups: tuple[FailureGroup, ...]
    capped: bool


@dataclass(frozen=True, slots=True)
class DeliveryFilters:
    """Which Deliveries are wanted; None is no wish. `cause` is that of a FailureGroup."""

    state: DeliveryState | None = None
    destination: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A Delivery in a list, with the Item that it carries."""

    delivery: DeliveryLine
    item: ItemLine | None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """A page, newest first; `before` and `walked_to` as for messages, the latter as a Delivery's number."""

    rows: tuple[DeliveryRow, ...]
    before: int | None = None
    walked_to: int | None = None


def failure_groups(view: View, state: DeliveryState = DeliveryState.DEAD) -> FailureGroups:
    """Group what is in a failed state by destination and cause."""
    column = tables.delivery.c
    newest = (
        select(column.destination, column.detail, column.message_id, column.created_at, column.ended_at)
        .where(*_in_state(state))
        .order_by(column.id.desc())
        .limit(GROUPED + 1)
        .subquery()
    ).c
    statement = select(
        newest.destination,
        newest.detail,
        func.count().label("number"),
        func.count(newest.message_id.distinct()).label("messages"),
        func.min(func.coalesce(newest.ended_at, newest.created_at)).label("first_at"),
        func.max(func.coalesce(newest.ended_at, newest.created_at)).label("last_at"),
    ).group_by(newest.destination, newest.detail)
    groups: dict[tuple[str, str], FailureGroup] = {}
    total = 0
    for row in view.connection.execute(statement):
        total += row.number
        detail = stripped(row.detail or "")
        group = FailureGroup(
            row.destination,
            state,
            cause_of(detail),
            detail,
            row.number,
            row.messages,
            row.first_at,
            row.last_at,
        )
        known = groups.get((row.destination, group.cause))
        groups[row.destination, group.cause] = group if known is None else _joined(known, group)
    ordered = sorted(groups.values(), key=lambda group: (-group.count, group.destination, group.detail))
    return FailureGroups(tuple(ordered), total > GROUPED)


def _joined(one: FailureGroup, other: FailureGroup) -> FailureGroup:
    return replace(
        one,
        count=one.count + other.count,
        messages=one.messages + other.messages,
        first_at=min(one.first_at, other.first_at),
        last_at=max(one.last_at, other.last_at),
    )


def stripped(detail: str) -> str:
    """Leave out of a detail what only differs from one failure to the next: long numbers, identifiers."""
    return _VARIABLE.sub("…", detail)


def cause_of(detail: str) -> str:
    """Name a cause by its stripped detail: 12 hex digits."""
    return hashlib.blake2b(detail.encode(), digest_size=6).hexdigest()


def find_deliveries(
    view: View,
    filters: DeliveryFilters,
    *,
    before: int | None = None,
    limit: int = PAGE,
    budget: float = BUDGET,
    clock: Clock = time.monotonic,
) -> DeliveryPage:
    """Give the page of Deliveries that follows the cursor `before` (a Delivery's number)."""
    found: list[DeliveryLine] = []
    bottom = 0
    for conditions, bottom in _slices(view, filters, before, clock, budget):  # noqa: B007 - read after the loop
        wanted = limit + 1 - len(found)
        found += delivery_lines(view, *conditions, limit=wanted, newest_first=True)
        if len(found) > limit:
            break
    shown = found[:limit]
    items = {line.item_id for line in shown}
    lines = {line.id: line for line in item_lines(view, tables.item.c.id.in_(items), replaced=True)} if items else {}
    rows = tuple(DeliveryRow(line, lines.get(line.item_id)) for line in shown)
    if len(found) > limit:
        return DeliveryPage(rows, shown[-1].id)
    return DeliveryPage(rows) if bottom <= 0 else DeliveryPage(rows, bottom, bottom)


def find_delivery_ids(
    view: View, filters: DeliveryFilters, *, limit: int, budget: float = 2.0, clock: Clock = time.monotonic
) -> tuple[list[int], bool]:
    """Give the numbers of the oldest Deliveries that match, in order, and whether there are (or may be) more."""
    column = tables.delivery.c
    statement = select(column.id).where(*_wishes(view, filters)).order_by(column.id).limit(limit + 1)
    if _indexed(filters):
        found = list(view.connection.execute(statement).scalars())
        return found[:limit], len(found) > limit
    found = []
    bottom = 0
    for conditions, bottom in _slices(view, filters, None, clock, budget):  # noqa: B007 - read after the loop
        narrow = select(column.id).where(*conditions).order_by(column.id.desc()).limit(limit + 1 - len(found))
        found += view.connection.execute(narrow).scalars()
        if len(found) > limit:
            break
    return sorted(found[:limit]), len(found) > limit or bottom > 0


def count_deliveries(view: View, filters: DeliveryFilters, *, cap: int) -> Capped:
    """Count Deliveries of an indexed state, up to a cap."""
    column = tables.delivery.c
    matching = select(column.id).where(*_wishes(view, filters)).limit(cap + 1)
    found = view.connection.execute(select(func.count()).select_from(matching.subquery())).scalar_one()
    return Capped.of(found, cap)


def _slices(
    view: View, filters: DeliveryFilters, before: int | None, clock: Clock, budget: float
) -> Iterator[tuple[list[Any], int]]:
    column = tables.delivery.c
    wishes = _wishes(view, filters)
    top = before
    if top is None:
        top = (view.connection.execute(select(func.max(column.id))).scalar() or 0) + 1
    if _indexed(filters):
        yield [column.id < top, *wishes], 0
        return
    for low, high in paced(top, 0, clock, budget):
        yield [column.id < high, column.id >= low, *wishes], low


def _indexed(filters: DeliveryFilters) -> bool:
    """Say whether a walk is short: no filter at all, or a state that has a partial index."""
    if filters.state is None:
        return filters.destination is None
    if filters.state is DeliveryState.PENDING:
        return filters.destination is not None  # the index of open Deliveries begins with their destination
    return filters.state in FAILED_STATES


def _wishes(view: View, filters: DeliveryFilters) -> list[Any]:
    column = tables.delivery.c
    wishes: list[Any] = []
    if filters.state is not None:
        wishes += _in_state(filters.state)
    if filters.destination is not None:
        wishes.append(column.destination == filters.destination)
    if filters.cause is not None and filters.state is not None:
        wishes.append(func.coalesce(column.detail, "").in_(_details(view, filters)))
    return wishes


def _details(view: View, filters: DeliveryFilters) -> list[str]:
    """Give the details that a cause stands for."""
    column = tables.delivery.c
    assert filters.state is not None  # noqa: S101 - `_wishes` asked
    newest = (
        select(column.detail, column.destination).where(*_in_state(filters.state)).order_by(column.id.desc())
    ).limit(GROUPED)
    details = view.connection.execute(select(newest.subquery().c.detail).distinct()).scalars()
    return [detail or "" for detail in details if cause_of(stripped(detail or "")) == filters.cause][:MOST_CAUSES]


def _in_state(state: DeliveryState) -> list[Any]:
    column = tables.delivery.c
    # Written out, not bound: a state is a value of our own enumeration, and the partial index needs it so.
    wishes: list[Any] = [column.state == literal_column(f"'{state.value}'")]
    if state in FAILED_STATES:
        wishes.append(FAILED)
    elif state is DeliveryState.PENDING:
        wishes.append(OPEN)
    return wishes
