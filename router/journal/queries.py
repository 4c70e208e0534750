"""Lists of messages: filters, search by blind tokens, pages that cost the same however long the journal is.

A page is a walk down the primary key from a cursor. Where a filter has an index the walk follows it; where it has none
the walk goes by slices and stops when its time is up, saying how far it came: no list ever scans the whole journal.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, exists, func, literal_column, select, text

from router.journal import tables
from router.journal.queries_lines import MessageLine, message_lines
from router.journal.queries_search import Search, by_control_id, candidates
from router.journal.tables import ItemState, MessageState
from router.journal.view import Capped, View
from router.journal.walking import FIRST_SLICE, Clock, paced

PAGE = 50
BUDGET = 0.08
"""Seconds that a list may walk before it says how far it came."""

COUNTED = 10_000
"""Messages that are counted at most for a list."""

NEWER = 64_000
"""Messages, the newest ones, among which those that came since are counted."""

COUNT_BUDGET = 0.03
"""Seconds that counting them may take."""

# SQLite takes a partial index only when its very condition is in the statement: a bound parameter hides it.
OPEN_MESSAGES = text("message.state <> 'processed'")


@dataclass(frozen=True, slots=True)
class MessageFilters:
    """Which messages are wanted; None is no wish. Times are microseconds, `worst` the least gravity wanted."""

    state: MessageState | None = None
    source: str | None = None
    format: str | None = None
    message_type: str | None = None
    kind: str | None = None
    worst: int | None = None
    since: int | None = None
    until: int | None = None
    search: Search | None = None
    control: str | None = None
    """A control id; its beginning when it ends with `*`."""
    sender: int | None = None
    """The token of a sender's name or number (`router.engine.searchable.sender_token`)."""


@dataclass(frozen=True, slots=True)
class MessagePage:
    """A page, newest first.

    `before` is the cursor of what follows, or None at the end. `walked_to` is the reception time down to which was
    looked when the time was up before the page was full. `candidates_capped` says that a search found more than it
    looks at.
    """

    rows: tuple[MessageLine, ...]
    before: int | None = None
    walked_to: int | None = None
    candidates_capped: bool = False


def find_messages(
    view: View,
    filters: MessageFilters,
    *,
    before: int | None = None,
    limit: int = PAGE,
    budget: float = BUDGET,
    clock: Clock = time.monotonic,
) -> MessagePage:
    """Give the page of messages that follows the cursor `before` (a message's number)."""
    columns = tables.message.c
    found: list[Row[Any]] = []
    bottom = 0
    capped = False
    for statement, bottom, capped in _slices(view, filters, before, clock, budget):  # noqa: B007 - read after the loop
        wanted = limit + 1 - len(found)
        found.extend(view.connection.execute(statement.order_by(columns.id.desc()).limit(wanted)))
        if len(found) > limit:
            break
    rows = tuple(message_lines(view, found[:limit]))
    if len(found) > limit:
        return MessagePage(rows, rows[-1].id, None, capped)
    if bottom <= _floor(view, filters):
        return MessagePage(rows, None, None, capped)
    return MessagePage(rows, bottom, received_near(view, bottom), capped)


def find_message_ids(
    view: View,
    filters: MessageFilters,
    *,
    limit: int,
    budget: float = 2.0,
    clock: Clock = time.monotonic,
) -> tuple[list[int], bool]:
    """Give the numbers of the newest messages that match, oldest first, and whether there are (or may be) more."""
    columns = tables.message.c
    found: list[int] = []
    bottom = 0
    for statement, bottom, _ in _slices(view, filters, None, clock, budget):  # noqa: B007 - read after the loop
        narrow = statement.with_only_columns(columns.id).order_by(columns.id.desc()).limit(limit + 1 - len(found))
        found.extend(view.connection.execute(narrow).scalars())
        if len(found) > limit:
            break
    more = len(found) > limit or bottom > _floor(view, filters)
    return sorted(found[:limit]), more


def count_messages(
    view: View,
    filters: MessageFilters,
    *,
    cap: int = COUNTED,
    budget: float = COUNT_BUDGET,
    clock: Clock = time.monotonic,
) -> Capped:
    """Count the messages that match, up to a cap, and as far as the time allows; `more` when it stopped there."""
    columns = tables.message.c
    found = bottom = 0
    for statement, bottom, capped in _slices(view, filters, None, clock, budget):  # noqa: B007 - read after the loop
        narrow = statement.with_only_columns(columns.id).limit(cap + 1 - found).subquery()
        found += view.connection.execute(select(func.count()).select_from(narrow)).scalar_one()
        if found > cap or capped:
            return Capped(min(found, cap), more=True)
    return Capped(found, bottom > _floor(view, filters))


def window(view: View, newest: int, oldest: int, filters: MessageFilters) -> tuple[MessageLine, ...]:
    """Give the messages of a page again, from its newest to its oldest: what changed in what is on the screen.

    The search is not asked again: the messages that it found stay the same.
    """
    columns = tables.message.c
    statement = select(tables.message).where(columns.id <= newest, columns.id >= oldest, *_wishes(filters))
    rows = view.connection.execute(statement.order_by(columns.id.desc()).limit(PAGE * 2)).all()
    return tuple(message_lines(view, rows))


def count_newer(view: View, filters: MessageFilters, than: int, *, cap: int = 99) -> int:
    """Say how many matching messages came after number `than`: at most `cap` + 1, among the newest ones."""
    columns = tables.message.c
    last = view.connection.execute(select(func.max(columns.id))).scalar() or 0
    low = max(than, last - NEWER)
    matching = select(columns.id).where(columns.id > low, *_wishes(filters)).limit(cap + 1)
    return view.connection.execute(select(func.count()).select_from(matching.subquery())).scalar_one()


def received_near(view: View, message_id: int) -> int | None:
    """Give the reception time of the message with this number, or of the first one after it."""
    columns = tables.message.c
    statement = select(columns.received_at).where(columns.id >= message_id).order_by(columns.id).limit(1)
    return view.connection.execute(statement).scalar()


_Slice = tuple[Select[Any], int, bool]


def _slices(view: View, filters: MessageFilters, before: int | None, clock: Clock, budget: float) -> Iterator[_Slice]:
    """Give statements for ever older ranges, with the number that each goes down to, until the time is up."""
    columns = tables.message.c
    wishes = _wishes(filters)
    statement = select(tables.message).where(*wishes)
    floor, ceiling = _floor(view, filters), _ceiling(view, filters)
    top = min(ceiling, before) if before is not None else ceiling
    if filters.search is not None or filters.control is not None:
        ids, capped = _named(view, filters, floor, ceiling)
        yield statement.where(columns.id.in_(ids), columns.id < top), 0, capped
        return
    if not _walks(filters):
        yield statement.where(columns.id < top, columns.id >= floor), floor, False
        return
    for low, high in paced(top, floor, clock, budget, first=FIRST_SLICE):
        yield statement.where(columns.id < high, columns.id >= low), low, False


def _named(view: View, filters: MessageFilters, low: int, high: int) -> tuple[list[int], bool]:
    """Give the messages that a search and a control id mean, and whether some were left out."""
    found: set[int] | None = None
    capped = False
    if filters.search is not None:
        ids, capped = candidates(view, filters.search, low=low, high=high)
        found = set(ids)
    if filters.control is not None:
        ids, more = by_control_id(view, filters.control)
        found = set(ids) if found is None else found & set(ids)
        capped = capped or more
    return sorted(found or (), reverse=True), capped


def _walks(filters: MessageFilters) -> bool:
    """Say whether a filter has no index, so that a walk could be long."""
    unindexed = (filters.source, filters.format, filters.message_type, filters.kind, filters.worst, filters.sender)
    return filters.state is MessageState.PROCESSED or any(wish is not None for wish in unindexed)


def _wishes(filters: MessageFilters) -> list[Any]:
    columns = tables.message.c
    wishes: list[Any] = []
    if filters.state is not None:
        # The state is a value of our own enumeration; written out so that the partial index can be used.
        wishes.append(columns.state == literal_column(f"'{filters.state.value}'"))
        if filters.state is not MessageState.PROCESSED:
            wishes.append(OPEN_MESSAGES)
    # Walks are bounded by ranges of numbers. With the bare columns that the index of moments has, PostgreSQL may read
    # all of that index, or a whole period of it, beside the range of each slice.
    source = columns.source.op("||")(literal_column("''"))
    moment = columns.received_at + literal_column("0")
    if filters.source is not None:
        wishes.append(source == filters.source)
    for column, wish in ((columns.format, filters.format), (columns.message_type, filters.message_type)):
        if wish is not None:
            wishes.append(column == wish)
    if filters.worst is not None:
        wishes.append(columns.worst >= filters.worst)
    if filters.since is not None:
        wishes.append(moment >= filters.since)
    if filters.until is not None:
        wishes.append(moment < filters.until)
    item, token = tables.item.c, tables.item_token.c
    if filters.sender is not None:
        sent = exists().where(token.token == filters.sender, token.item_id == item.id)
        wishes.append(_has_item(sent))
    if filters.kind is not None:
        wishes.append(_has_item(item.kind == filters.kind, item.state != ItemState.REPLACED.value))
    return wishes


def _has_item(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Ask of each message of a slice whether one of its Items is such.

    Not by EXISTS, which PostgreSQL may turn into a join and then read every Item there is.
    """
    item = tables.item.c
    found = select(item.id).where(item.message_id == tables.message.c.id, *conditions).limit(1)
    return found.correlate(tables.message).scalar_subquery().is_not(None)


CLOCK_SLACK = 10_000
"""Numbers follow commits, not clocks: a bound found by time is loosened by this many messages."""


def _floor(view: View, filters: MessageFilters) -> int:
    """Give the lowest number that a filter by time leaves; 0 without one."""
    if filters.since is None:
        return 0
    first = first_from(view, filters.since)
    return _last(view) + 1 if first is None else max(0, first - CLOCK_SLACK)


def _ceiling(view: View, filters: MessageFilters) -> int:
    """Give the number above everything that a filter by time leaves."""
    if filters.until is not None:
        first = first_from(view, filters.until)
        if first is not None:
            return first + CLOCK_SLACK
    return _last(view) + 1


def _last(view: View) -> int:
    return view.connection.execute(select(func.max(tables.message.c.id))).scalar() or 0


def first_from(view: View, moment: int) -> int | None:
    """Give the number of the first message received at this moment or later; None when none was."""
    columns = tables.message.c
    statement = select(columns.id).where(columns.received_at >= moment).order_by(columns.received_at).limit(1)
    return view.connection.execute(statement).scalar()
