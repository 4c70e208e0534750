"""Conversations: the mails that came and left, by thread, the newest first, and how far each that left has come."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Row, Select, exists, func, literal_column, or_, select

from router.journal import tables
from router.journal.correspondence import HEAD_PLACE
from router.journal.queries import BUDGET, PAGE
from router.journal.queries_deliveries import FAILED
from router.journal.queries_lines import ItemLine, item_lines
from router.journal.queries_receipts import ReceiptLine, receipts_of
from router.journal.receipts import reference_token
from router.journal.tables import DeliveryState, ItemState
from router.journal.view import Capped, Json, View
from router.journal.walking import Clock, paced
from schemas.receipt import ReceiptStage

MOST_SHOWN = 200
"""Mails of one conversation that are shown, the newest ones."""

LOOKED_AT = 12
"""Mails of one conversation that a line of the list is made of."""

WATCHED = 20_000
"""Mails that left, the newest ones, among which those that wait for a receipt are counted."""

CAP = 1_000
NONE = Capped(0)
MOST_THREADS = 500


class Way(StrEnum):
    """How far a mail has come: `received` is one that came in, `sending` waits to be taken by the operator."""

    RECEIVED = "received"
    SENDING = "sending"
    HELD = "held"
    TAKEN = "taken"
    ARRIVED = "arrived"
    READ = "read"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class MailWish(StrEnum):
    """Which conversations are wanted: those with a mail that is so; `waiting` is for a receipt, and for too long."""

    WAITING = "waiting"
    REFUSED = "refused"
    READ = "read"
    HELD = "held"
    RECEIVED = "received"
    SENT = "sent"


_FAILED = {MailWish.REFUSED: DeliveryState.DEAD, MailWish.HELD: DeliveryState.HELD}


@dataclass(frozen=True, slots=True)
class MailHead:
    """Who writes to whom about what, as the mail says it: it may name a patient, and pages mask it."""

    message_id: str = ""
    sender: str = ""
    name: str = ""
    recipients: tuple[str, ...] = ()
    subject: str = ""


@dataclass(frozen=True, slots=True)
class MailLine:
    """One mail. `message_id` is the message that it is or that it says; `delivery_id` is None for one that came.

    `late` is one that was taken and about which nobody has said anything for longer than wished. Times are
    microseconds: `taken_at` is when the operator took it, `ended_at` when the last was heard of it.
    """

    id: int
    thread: int
    at: int
    flow: str
    message_id: int
    delivery_id: int | None
    head: MailHead
    way: Way
    late: bool = False
    ended_at: int | None = None
    taken_at: int | None = None
    detail: str = ""
    receipts: tuple[ReceiptLine, ...] = ()
    items: tuple[ItemLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A thread: its mails, oldest first, and how many there are in all (`mails` may hold the newest ones only)."""

    mails: tuple[MailLine, ...]
    count: int

    @property
    def newest(self) -> MailLine:
        """The last mail."""
        return self.mails[-1]


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """A page, newest first. `before` is the cursor of what follows; `walked` when the time was up before it was full.

    A search that found more than it looks at says so by `capped`.
    """

    rows: tuple[Conversation, ...]
    before: int | None = None
    walked: bool = False
    capped: bool = False


@dataclass(frozen=True, slots=True)
class MailFilters:
    """Which conversations; `flow` is a source or destination, `search` what a person typed (a Message-ID).

    `late_at`: what was taken before that moment, and not spoken of since, waits for too long.
    """

    flow: str | None = None
    wish: MailWish | None = None
    search: str | None = None
    late_at: int | None = None


@dataclass(frozen=True, slots=True)
class MailTroubles:
    """What is wrong with mails that left: how many wait for a receipt, since when, and how many were refused."""

    waiting: Capped = NONE
    waiting_since: int | None = None
    refused: Capped = NONE


def find_conversations(
    view: View,
    filters: MailFilters,
    *,
    before: int | None = None,
    limit: int = PAGE,
    budget: float = BUDGET,
    clock: Clock = time.monotonic,
) -> ConversationPage:
    """Give the page of conversations that follows the cursor `before` (a mail's number)."""
    threads, capped = _sought(view, filters.search) if filters.search else (None, False)
    found: list[Row[Any]] = []
    bottom = 0
    failed = _FAILED.get(filters.wish) if filters.wish is not None else None
    for low, top in _slices(view, before, clock, budget, whole=failed is not None):
        mail, delivery = tables.mail.alias("m"), tables.delivery.alias("d")
        newer, newer_delivery = tables.mail.alias("n"), tables.delivery.alias("e")
        again = select(newer.c.id).select_from(_joined(newer, newer_delivery))
        again = again.where(newer.c.thread == mail.c.thread, newer.c.id > mail.c.id)
        statement = (
            select(mail.c.id, mail.c.thread)
            .select_from(_joined(mail, delivery))
            .where(mail.c.id >= low, mail.c.id < top, *_wishes(filters, mail, delivery, threads))
            .where(*([mail.c.delivery_id.in_(_newest_failed(failed))] if failed is not None else []))
            .where(~exists(again.where(*_wishes(filters, newer, newer_delivery, None))))
            .order_by(mail.c.id.desc())
            .limit(limit + 1 - len(found))
        )
        found += view.connection.execute(statement)
        bottom = low
        if len(found) > limit:
            break
    shown = found[:limit]
    rows = tuple(_conversations(view, [row.thread for row in shown], filters.late_at))
    if len(found) > limit:
        return ConversationPage(rows, shown[-1].id, capped=capped)
    return ConversationPage(rows, bottom if bottom > 0 else None, bottom > 0, capped)


def load_conversation(view: View, number: int, late_at: int | None = None) -> Conversation | None:
    """Give the whole conversation that a mail belongs to, or None when there is no such mail."""
    column = tables.mail.c
    thread = view.connection.execute(select(column.thread).where(column.id == number)).scalar()
    return next(_conversations(view, [thread], late_at, MOST_SHOWN), None) if thread is not None else None


def load_head(view: View, number: int) -> MailHead | None:
    """Give the head of one mail, or None when there is no such mail."""
    column = tables.mail.c
    sealed = view.connection.execute(select(column.sealed_head).where(column.id == number)).scalar()
    return _head(view, sealed) if sealed is not None else None


def mail_troubles(view: View, *, late_at: int | None, since: int) -> MailTroubles:
    """Count the mails that wait for a receipt too long, and those that were refused since a moment."""
    mail, delivery = tables.mail.c, tables.delivery.c
    waiting, oldest = NONE, None
    if late_at is not None:
        # By their delivery's number, which has an index without the mails that came.
        left = select(mail.delivery_id).where(mail.delivery_id.is_not(None)).order_by(mail.delivery_id.desc())
        late = (
            select(delivery.ended_at)
            .where(delivery.id.in_(left.limit(WATCHED)), *_late(tables.delivery, late_at))
            .limit(CAP + 1)
            .subquery()
        )
        count, oldest = view.connection.execute(select(func.count(), func.min(late.c.ended_at))).one()
        waiting = Capped.of(count, CAP)
    # Among the newest that are dead: all it needs is in their index, however many ended since.
    dead = (
        select(delivery.id, delivery.ended_at)
        .where(FAILED, delivery.state == literal_column(f"'{DeliveryState.DEAD.value}'"))
        .order_by(delivery.id.desc())
        .limit(WATCHED)
        .subquery()
        .c
    )
    mails = exists().where(mail.delivery_id == dead.id)
    refused = select(dead.id).where(dead.ended_at >= since, mails).limit(CAP + 1).subquery()
    bounced = view.connection.execute(select(func.count()).select_from(refused)).scalar_one()
    return MailTroubles(waiting, oldest, Capped.of(bounced, CAP))


# --- walking


def _newest_failed(state: DeliveryState) -> Select[Any]:
    """Give the newest Deliveries of a state that has an index: few, where mails are many."""
    column = tables.delivery.c
    there = exists().where(tables.mail.c.delivery_id == column.id)
    wanted = select(column.id).where(FAILED, column.state == literal_column(f"'{state.value}'"), there)
    return wanted.order_by(column.id.desc()).limit(WATCHED)


def _slices(view: View, before: int | None, clock: Clock, budget: float, *, whole: bool) -> Iterator[tuple[int, int]]:
    top = before if before is not None else (view.connection.execute(select(func.max(tables.mail.c.id))).scalar() or 0)
    top += 0 if before is not None else 1
    if whole:
        yield 0, top
        return
    yield from paced(top, 0, clock, budget)


def _joined(mail: FromClause, delivery: FromClause) -> FromClause:
    return mail.outerjoin(delivery, delivery.c.id == mail.c.delivery_id)


def _wishes(
    filters: MailFilters, mail: FromClause, delivery: FromClause, threads: Sequence[int] | None
) -> list[ColumnElement[bool]]:
    wishes: list[ColumnElement[bool]] = []
    if filters.flow is not None:
        wishes.append(mail.c.flow == filters.flow)
    if threads is not None:
        wishes.append(mail.c.thread.in_(threads))
    state = delivery.c.state
    match filters.wish:
        case MailWish.WAITING:
            wishes += _late(delivery, filters.late_at or 0)
        case MailWish.REFUSED:
            wishes.append(state == DeliveryState.DEAD.value)
        case MailWish.READ:
            wishes.append(state == DeliveryState.ACKNOWLEDGED.value)
        case MailWish.HELD:
            wishes.append(state == DeliveryState.HELD.value)
        case MailWish.RECEIVED:
            wishes.append(mail.c.message_id.is_not(None))
        case MailWish.SENT:
            wishes.append(mail.c.delivery_id.is_not(None))
        case None:
            pass
    return wishes


def _late(delivery: FromClause, late_at: int) -> list[ColumnElement[bool]]:
    receipt = tables.delivery_receipt.c
    return [
        delivery.c.state == DeliveryState.DELIVERED.value,
        delivery.c.ended_at < late_at,
        ~exists().where(receipt.delivery_id == delivery.c.id),
    ]


def _sought(view: View, text: str) -> tuple[list[int], bool]:
    """Give the conversations that have a mail of this name, whoever gave it."""
    token, mail, name = reference_token(view.sealer, text), tables.mail.c, tables.delivery_reference.c
    named = select(name.delivery_id).where(name.token == token)
    wanted = or_(mail.token == token, mail.thread == token, mail.delivery_id.in_(named))
    found = view.connection.execute(select(mail.thread).where(wanted).distinct().limit(MOST_THREADS + 1)).scalars()
    threads = list(found)
    return threads[:MOST_THREADS], len(threads) > MOST_THREADS


# --- making lines


def _conversations(
    view: View, threads: Iterable[int], late_at: int | None, most: int = LOOKED_AT
) -> Iterator[Conversation]:
    wanted, column = list(threads), tables.mail.c
    rows: dict[int, list[Row[Any]]] = {}
    delivery = tables.delivery.c
    sent = (delivery.state, delivery.item_id, delivery.ended_at, delivery.detail)
    of = delivery.message_id.label("of_message")
    for thread in wanted:
        statement = (
            select(tables.mail, of, *sent)
            .outerjoin(tables.delivery, delivery.id == column.delivery_id)
            .where(column.thread == thread)
            .order_by(column.id.desc())
            .limit(most)
        )
        rows[thread] = list(view.connection.execute(statement))[::-1]
    counted = select(column.thread, func.count().label("number")).where(column.thread.in_(wanted))
    counts = {row.thread: row.number for row in view.connection.execute(counted.group_by(column.thread))}
    lines = {line.id: line for line in _lines(view, [row for thread in wanted for row in rows[thread]], late_at)}
    for thread in wanted:
        yield Conversation(tuple(lines[row.id] for row in rows[thread]), counts[thread])


def _lines(view: View, rows: Sequence[Row[Any]], late_at: int | None) -> Iterator[MailLine]:
    said_of = [row.delivery_id for row in rows if row.delivery_id is not None]
    said = receipts_of(view, said_of)
    taken = _taken(view, said_of)
    item = tables.item.c
    came = [row.message_id for row in rows if row.message_id is not None]
    by_message: dict[int, list[ItemLine]] = {}
    if came:
        for line in item_lines(view, item.message_id.in_(came), item.state != ItemState.REPLACED.value):
            by_message.setdefault(line.message_id, []).append(line)
    left = [row.item_id for row in rows if row.item_id is not None]
    by_item = {line.id: line for line in item_lines(view, item.id.in_(left), replaced=True)} if left else {}
    for row in rows:
        head = _head(view, row.sealed_head)
        if row.delivery_id is None:
            items = tuple(by_message.get(row.message_id, ()))
            yield MailLine(row.id, row.thread, row.at, row.flow, row.message_id, None, head, Way.RECEIVED, items=items)
            continue
        receipts = said.get(row.delivery_id, ())
        carried = by_item.get(row.item_id)
        silent = row.state == DeliveryState.DELIVERED.value and not receipts
        yield MailLine(
            row.id,
            row.thread,
            row.at,
            row.flow,
            row.of_message,
            row.delivery_id,
            head,
            way_of(DeliveryState(row.state), receipts),
            silent and late_at is not None and row.ended_at is not None and row.ended_at < late_at,
            row.ended_at,
            taken.get(row.delivery_id),
            row.detail or "",
            receipts,
            (carried,) if carried is not None else (),
        )


def _taken(view: View, deliveries: Sequence[int]) -> dict[int, int]:
    """Say when the operator took these mails, by Delivery."""
    column = tables.attempt.c
    took = (DeliveryState.DELIVERED.value, DeliveryState.ACKNOWLEDGED.value)
    statement = select(column.delivery_id, func.max(column.ended_at).label("at")).where(
        column.delivery_id.in_(deliveries), column.outcome.in_(took)
    )
    return {row.delivery_id: row.at for row in view.connection.execute(statement.group_by(column.delivery_id))}


def way_of(state: DeliveryState, receipts: Sequence[ReceiptLine]) -> Way:
    """Say how far a mail that leaves has come."""
    match state:
        case DeliveryState.PENDING | DeliveryState.RETRYING:
            return Way.SENDING
        case DeliveryState.HELD:
            return Way.HELD
        case DeliveryState.CANCELLED:
            return Way.CANCELLED
        case DeliveryState.DEAD:
            return Way.REFUSED
        case DeliveryState.ACKNOWLEDGED:
            return Way.READ
        case DeliveryState.DELIVERED:
            arrived = any(one.positive and one.stage == ReceiptStage.DELIVERED.value for one in receipts)
            return Way.ARRIVED if arrived else Way.TAKEN


def _head(view: View, sealed: bytes) -> MailHead:
    found = view.json_object(sealed, HEAD_PLACE)
    to = found.get("to")
    recipients = tuple(one for one in to if isinstance(one, str)) if isinstance(to, list) else ()
    texts = (_text(found.get(name)) for name in ("message_id", "from", "name"))
    message_id, sender, name = texts
    return MailHead(message_id, sender, name, recipients, _text(found.get("subject")))


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
