"""What is wrong, what waits, how much: the figures of the overview, all derived from the journal.

`counts` counts everything, for proofs; what the pages use is capped, so that it stays quick whatever the backlog.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Row, func, literal_column, select

from router.journal import tables
from router.journal.queries import CLOCK_SLACK, OPEN_MESSAGES, first_from
from router.journal.queries_deliveries import OPEN, FailureGroups, failure_groups
from router.journal.queries_lines import HELD_ITEMS
from router.journal.store import Store
from router.journal.tables import DeliveryState, MessageState
from router.journal.view import Capped, View

CAP = 1_000
BACKLOG_CAP = 20_000
NONE = Capped(0)


def counts(store: Store) -> dict[str, dict[str, int]]:
    """Count every row by its state: `messages`, `items`, `deliveries`. It reads whole tables: for proofs, not pages."""
    counted: dict[str, dict[str, int]] = {}
    with store.reading() as connection:
        for name, table in (
            ("messages", tables.message),
            ("items", tables.item),
            ("deliveries", tables.delivery),
        ):
            statement = select(table.c.state, func.count().label("number")).group_by(table.c.state)
            counted[name] = {row.state: row.number for row in connection.execute(statement)}
    return counted


@dataclass(frozen=True, slots=True)
class Waiting:
    """Things that wait: how many, and since when the oldest does (microseconds)."""

    count: Capped = NONE
    oldest_at: int | None = None

    def __bool__(self) -> bool:
        return self.count.count > 0


@dataclass(frozen=True, slots=True)
class HeldReason:
    """Held Items of one reason."""

    reason: str
    count: int
    oldest_at: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """Deliveries of one destination that wait for their (next) sending."""

    pending: Waiting
    retrying: int
    next_attempt_at: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """What an administrator asks first: is it flowing, what is stuck, since when, whose fault is it."""

    unread: Waiting
    held: Waiting
    held_reasons: tuple[HeldReason, ...]
    rejected: Capped
    rejected_by_source: dict[str, int]
    failures: FailureGroups
    held_deliveries: FailureGroups
    backlog: dict[str, Backlog]
    troubles: tuple[NoticeLine, ...]


@dataclass(frozen=True, slots=True)
class NoticeLine:
    """A Finding that belongs to no message."""

    id: int
    at: int
    component: str
    severity: str
    code: str
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class AuditLine:
    """Who did or saw what."""

    id: int
    at: int
    actor: str
    action: str
    target: str
    detail: str


def situation(view: View, destinations: Sequence[str], *, since: int, troubles_since: int) -> Situation:
    """Look at everything that may be wrong; rejected messages count from `since`, notices from `troubles_since`."""
    held = _waiting(view, tables.item.c.created_at, HELD_ITEMS, order=tables.item.c.id)
    rejected, by_source = _rejected(view, since)
    return Situation(
        _waiting(view, tables.message.c.received_at, *_open_message(MessageState.RECEIVED), order=tables.message.c.id),
        held,
        _held_reasons(view) if held else (),
        rejected,
        by_source,
        failure_groups(view),
        failure_groups(view, DeliveryState.HELD),
        {name: backlog(view, name) for name in dict.fromkeys((*destinations, *waiting_destinations(view)))},
        tuple(notices(view, severity="error", since=troubles_since, limit=5)),
    )


def waiting_destinations(view: View) -> list[str]:
    """Name the destinations for which something waits, configured or not: one step of the index for each."""
    column = tables.delivery.c
    found: list[str] = []
    wanted = select(func.min(column.destination)).where(OPEN)
    name = view.connection.execute(wanted).scalar()
    while name is not None:
        found.append(name)
        name = view.connection.execute(wanted.where(column.destination > name)).scalar()
    return found


def backlog(view: View, destination: str) -> Backlog:
    """Say what waits for one destination."""
    column = tables.delivery.c
    mine = (OPEN, column.destination == destination)
    pending = _waiting(view, column.created_at, *mine, order=column.id, cap=BACKLOG_CAP)
    if not pending:
        return Backlog(pending, 0)
    retrying = (
        select(column.next_attempt_at, column.detail)
        .where(*mine, column.state == DeliveryState.RETRYING.value)
        .order_by(column.id)
        .limit(CAP)
        .subquery()
        .c
    )
    row = view.connection.execute(
        select(func.count().label("number"), func.min(retrying.next_attempt_at).label("next_at"))
    ).one()
    detail = view.connection.execute(select(retrying.detail).limit(1)).scalar() if row.number else ""
    return Backlog(pending, row.number, row.next_at, detail or "")


def _waiting(view: View, moment: Column[Any], *conditions: Any, order: Column[Any], cap: int = CAP) -> Waiting:
    matching = select(order).where(*conditions).limit(cap + 1).subquery()
    found = view.connection.execute(select(func.count()).select_from(matching)).scalar_one()
    if not found:
        return Waiting()
    oldest = view.connection.execute(select(moment).where(*conditions).order_by(order).limit(1)).scalar()
    return Waiting(Capped.of(found, cap), oldest)


def _open_message(state: MessageState) -> tuple[Any, Any]:
    return tables.message.c.state == state.value, OPEN_MESSAGES


def _held_reasons(view: View) -> tuple[HeldReason, ...]:
    column = tables.item.c
    newest = select(column.reason, column.created_at).where(HELD_ITEMS).order_by(column.id.desc()).limit(CAP)
    held = newest.subquery().c
    statement = (
        select(held.reason, func.count().label("number"), func.min(held.created_at).label("oldest_at"))
        .group_by(held.reason)
        .order_by(func.count().desc())
    )
    return tuple(HeldReason(row.reason or "", row.number, row.oldest_at) for row in view.connection.execute(statement))


def _rejected(view: View, since: int) -> tuple[Capped, dict[str, int]]:
    column = tables.message.c
    first = first_from(view, since)
    if first is None:
        return NONE, {}
    # By number as well: those rejected long ago are in the same index, and would all be looked at.
    recent = (column.id >= first - CLOCK_SLACK, column.received_at + literal_column("0") >= since)
    matching = (
        select(column.source)
        .where(*_open_message(MessageState.REJECTED), *recent)
        .order_by(column.id.desc())
        .limit(CAP + 1)
        .subquery()
        .c
    )
    grouped = select(matching.source, func.count().label("number")).group_by(matching.source)
    by_source = {row.source: row.number for row in view.connection.execute(grouped)}
    return Capped.of(sum(by_source.values()), CAP), by_source


def notices(
    view: View, *, severity: str | None = None, since: int = 0, before: int | None = None, limit: int = 50
) -> list[NoticeLine]:
    """Give notices, newest first, from the cursor `before` on."""
    column = tables.notice.c
    statement = select(tables.notice).where(column.at >= since).order_by(column.id.desc()).limit(limit)
    if severity is not None:
        statement = statement.where(column.severity == severity)
    if before is not None:
        statement = statement.where(column.id < before)
    return [_notice(row) for row in view.connection.execute(statement)]


def _notice(row: Row[Any]) -> NoticeLine:
    return NoticeLine(row.id, row.at, row.component, row.severity, row.code, row.where_, row.message)
