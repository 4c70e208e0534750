"""What happened to messages, read from the journal after it was committed: plain values, none of them health data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from router.journal import tables
from router.journal.tables import ItemState

GROUP = 500


@dataclass(frozen=True, slots=True)
class MessageRead:
    """A message was read and routed. Times are microseconds; `deliveries` are those that were made of it."""

    message_id: int
    source: str
    message_type: str
    format: str
    state: str
    size: int
    received_at: int
    processed_at: int
    replays: int
    items: int
    deliveries: int


@dataclass(frozen=True, slots=True)
class Attempted:
    """A Delivery was tried once."""

    message_id: int
    delivery_id: int
    destination: str
    format: str
    number: int
    outcome: str
    started_at: int
    ended_at: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A partner said later what became of a Delivery; `by_message_id` is the message that said so."""

    message_id: int
    receipt_id: int
    delivery_id: int
    destination: str
    stage: str
    positive: bool
    at: int
    by_message_id: int


Happening = MessageRead | Attempted | Answered


def messages_read(connection: Connection, numbers: Sequence[int]) -> list[Happening]:
    """Tell of messages that were read, and of the receipts that they brought."""
    found: list[Happening] = []
    for some in _groups(numbers):
        found += _messages(connection, some)
        found += _receipts(connection, tables.item.c.message_id.in_(some))
    return found


def attempts_made(connection: Connection, tried: Sequence[tuple[int, int]]) -> list[Happening]:
    """Tell of attempts, each a Delivery's number and its own, and of receipts that had waited for them."""
    wanted, found = set(tried), list[Happening]()
    row, attempt = tables.delivery.c, tables.attempt.c
    for some in _groups(sorted({delivery for delivery, _ in tried})):
        statement = (
            select(row.message_id, row.id, row.destination, row.format, attempt.number, attempt.outcome,
                   attempt.started_at, attempt.ended_at)
            .join(tables.attempt, attempt.delivery_id == row.id)
            .where(row.id.in_(some))
            .order_by(row.id, attempt.number)
        )  # fmt: skip
        rows = connection.execute(statement)
        found += [Attempted(*one) for one in rows if (one.id, one.number) in wanted]
        found += _receipts(connection, tables.delivery_receipt.c.delivery_id.in_(some))
    return found


def _messages(connection: Connection, numbers: Sequence[int]) -> list[Happening]:
    row, item, delivery = tables.message.c, tables.item.c, tables.delivery.c
    present = item.state != ItemState.REPLACED.value
    items = dict(_counted(connection, select(item.message_id, func.count()).where(present), item.message_id, numbers))
    made = dict(_counted(connection, select(delivery.message_id, func.count()), delivery.message_id, numbers))
    rows = connection.execute(select(tables.message).where(row.id.in_(numbers)).order_by(row.id))
    return [
        MessageRead(
            one.id,
            one.source,
            one.message_type,
            one.format or "",
            one.state,
            one.size,
            one.received_at,
            one.processed_at,
            one.replays,
            items.get(one.id, 0),
            made.get(one.id, 0),
        )
        for one in rows
        if one.processed_at is not None
    ]


def _counted(
    connection: Connection, statement: object, column: object, numbers: Sequence[int]
) -> list[tuple[int, int]]:
    rows = connection.execute(statement.where(column.in_(numbers)).group_by(column))  # type: ignore[attr-defined]  # SQLAlchemy's own types are wider
    return [(row[0], row[1]) for row in rows]


def _receipts(connection: Connection, condition: object) -> list[Happening]:
    receipt, row, item = tables.delivery_receipt.c, tables.delivery.c, tables.item.c
    statement = (
        select(row.message_id, receipt.id, row.id, row.destination, receipt.stage, receipt.positive, receipt.at,
               item.message_id)
        .select_from(tables.delivery_receipt)
        .join(tables.delivery, row.id == receipt.delivery_id)
        .join(tables.item, item.id == receipt.item_id)
        .where(condition)  # type: ignore[arg-type]  # a condition of SQLAlchemy
        .order_by(receipt.id)
    )  # fmt: skip
    return [Answered(*one) for one in connection.execute(statement)]


def _groups(numbers: Iterable[int]) -> Iterable[Sequence[int]]:
    whole = list(numbers)
    return (whole[start : start + GROUP] for start in range(0, len(whole), GROUP))
