"""One message, whole: what it says, what was made of it, where it went, and every byte on request."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Row, select

from router.journal import tables
from router.journal.mapping_versions import MappingVersion, mapping_version
from router.journal.operations import (
    ANSWER_PLACE,
    BODY_PLACE,
    CONTENT_PLACE,
    DETAIL_PLACE,
    PARCEL_DETAIL_PLACE,
    PARCEL_PLACE,
    REPORT_PLACE,
)
from router.journal.queries_lines import ItemLine, MessageLine, item_lines, message_line
from router.journal.queries_receipts import NameLine, ReceiptLine, names_of, receipts_of
from router.journal.routing import SEEN, RouteKept, RoutingSeen, kept_routings
from router.journal.store import JournalFault
from router.journal.tables import DeliveryState, ItemState
from router.journal.view import Json, View
from schemas.finding import Finding, Unread

MOST_ITEMS = 200
"""Items and Deliveries of one message that are loaded at most; a batch of more is looked at through the lists."""


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """One sending of a Delivery; times are microseconds. `answered` says that the peer's answer was kept."""

    number: int
    started_at: int
    ended_at: int
    outcome: str
    detail: str
    answered: bool


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """A Delivery without its bytes; `attempts`, `receipts` and `names` are loaded only with its message."""

    id: int
    item_id: int
    message_id: int
    destination: str
    route: str
    state: DeliveryState
    identity: str
    format: str
    media_type: str
    filename: str
    size: int
    created_at: int
    ended_at: int | None
    next_attempt_at: int | None
    tries: int
    detail: str
    worst: int
    replay_of: int | None
    attempts: tuple[AttemptLine, ...] = ()
    receipts: tuple[ReceiptLine, ...] = ()
    names: tuple[NameLine, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteLine:
    """What one route's condition gave for an Item: True, False, or None with the error in `detail`.

    `when` is the condition as it was then and `to` its destinations; None for an Item from before these were kept.
    """

    name: str
    matched: bool | None
    detail: str = ""
    when: str | None = None
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemDetail:
    """An Item, the end of its routing, and the Deliveries that it has."""

    line: ItemLine
    routes: tuple[RouteLine, ...]
    deliveries: tuple[DeliveryLine, ...]
    seen: RoutingSeen | None = None

    @property
    def replaced(self) -> bool:
        """Whether a replay of the message made a newer one."""
        return self.line.state is ItemState.REPLACED


@dataclass(frozen=True, slots=True)
class MessageDetail:
    """A message and everything that hangs on it, except contents."""

    line: MessageLine
    items: tuple[ItemDetail, ...]
    findings: tuple[Finding, ...]
    unread: tuple[Unread, ...]
    charset: str
    mappings: MappingVersion | None = None
    """What it was, or is to be, read with; None for a message from before that was noted."""

    @property
    def current(self) -> tuple[ItemDetail, ...]:
        """The Items that no replay replaced."""
        return tuple(item for item in self.items if not item.replaced)

    @property
    def deliveries(self) -> tuple[DeliveryLine, ...]:
        """Every Delivery, in the order in which they were made."""
        found = [delivery for item in self.items for delivery in item.deliveries]
        return tuple(sorted(found, key=lambda delivery: delivery.id))


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes as they came or as they are sent, and the files beside them."""

    content: bytes
    media_type: str
    filename: str
    beside: dict[str, bytes]
    findings: tuple[Finding, ...] = ()


def load_message(view: View, number: int) -> MessageDetail | None:
    """Give a message by its number, or None when there is none."""
    row = view.connection.execute(select(tables.message).where(tables.message.c.id == number)).one_or_none()
    if row is None:
        return None
    column = tables.delivery.c
    deliveries = delivery_lines(view, column.message_id == number, limit=MOST_ITEMS, attempts=True)
    by_item: dict[int, list[DeliveryLine]] = {}
    states: dict[DeliveryState, int] = {}
    for delivery in deliveries:
        by_item.setdefault(delivery.item_id, []).append(delivery)
        states[delivery.state] = states.get(delivery.state, 0) + 1
    lines = list(item_lines(view, tables.item.c.message_id == number, limit=MOST_ITEMS, replaced=True))
    routes = _routes(view, [line.id for line in lines])
    nothing: tuple[tuple[RouteLine, ...], None] = ((), None)
    items = tuple(
        ItemDetail(line, lines_of, tuple(by_item.get(line.id, ())), seen)
        for line in lines
        for lines_of, seen in [routes.get(line.id, nothing)]
    )
    present = tuple(line for line in lines if line.state is not ItemState.REPLACED)
    sealed = view.connection.execute(
        select(tables.reading.c.sealed_report).where(tables.reading.c.message_id == number)
    ).scalar()
    report = view.json_object(sealed, REPORT_PLACE)
    return MessageDetail(
        message_line(row, present, states),
        items,
        findings_of(report.get("findings")),
        tuple(_unread(report.get("unread"))),
        _text(report.get("charset")),
        mapping_version(view.connection, row.mappings) if row.mappings is not None else None,
    )


def load_delivery(view: View, number: int) -> DeliveryLine | None:
    """Give a Delivery by its number with its attempts, or None."""
    return next(iter(delivery_lines(view, tables.delivery.c.id == number, attempts=True)), None)


def delivery_lines(
    view: View, *conditions: Any, limit: int | None = None, newest_first: bool = False, attempts: bool = False
) -> list[DeliveryLine]:
    """Give Deliveries in the order of their numbers."""
    column = tables.delivery.c
    statement = select(tables.delivery).where(*conditions).limit(limit)
    rows = view.connection.execute(statement.order_by(column.id.desc() if newest_first else column.id)).all()
    if not attempts:
        return [_delivery_line(row) for row in rows]
    numbers = [row.id for row in rows]
    tried, said, named = _attempts(view, numbers), receipts_of(view, numbers), names_of(view, numbers)
    return [
        replace(
            _delivery_line(row),
            attempts=tuple(tried.get(row.id, ())),
            receipts=said.get(row.id, ()),
            names=named.get(row.id, ()),
        )
        for row in rows
    ]


def message_content(view: View, number: int) -> Content | None:
    """Give a message's bytes as they came, with the files that came beside; None when there is no such message."""
    kept, row = tables.message_content.c, tables.message.c
    found = view.connection.execute(
        select(row.blob, row.format, kept.sealed_content, kept.sealed_detail)
        .outerjoin(tables.message_content, kept.message_id == row.id)
        .where(row.id == number)
    ).one_or_none()
    if found is None:
        return None
    detail = view.json_object(found.sealed_detail, DETAIL_PLACE)
    return Content(
        _bytes(view, found.sealed_content, found.blob, CONTENT_PLACE),
        "application/octet-stream",
        _text(detail.get("filename")),
        _files(detail.get("siblings")),
    )


def delivery_content(view: View, number: int) -> Content | None:
    """Give the exact bytes of a Delivery and the files that travel beside; None when there is no such Delivery."""
    kept, row = tables.delivery_content.c, tables.delivery.c
    found = view.connection.execute(
        select(row.blob, row.media_type, row.filename, kept.sealed_content, kept.sealed_detail)
        .outerjoin(tables.delivery_content, kept.delivery_id == row.id)
        .where(row.id == number)
    ).one_or_none()
    if found is None:
        return None
    detail = view.json_object(found.sealed_detail, PARCEL_DETAIL_PLACE)
    return Content(
        _bytes(view, found.sealed_content, found.blob, PARCEL_PLACE),
        found.media_type,
        found.filename,
        _files(detail.get("attachments")),
        findings_of(detail.get("findings")),
    )


def delivery_findings(view: View, number: int) -> tuple[Finding, ...]:
    """Give what was noticed when a Delivery was written, and when it was checked."""
    column = tables.delivery_content.c
    sealed = view.connection.execute(select(column.sealed_detail).where(column.delivery_id == number)).scalar()
    return findings_of(view.json_object(sealed, PARCEL_DETAIL_PLACE).get("findings"))


def attempt_answer(view: View, delivery: int, number: int) -> bytes | None:
    """Give what the peer answered to one sending, or None when nothing was kept."""
    column = tables.attempt.c
    sealed = view.connection.execute(
        select(column.sealed_answer).where(column.delivery_id == delivery, column.number == number)
    ).scalar()
    return None if sealed is None else view.sealer.open(sealed, ANSWER_PLACE)


def item_body(view: View, number: int) -> bytes | None:
    """Give the canonical JSON of an Item, or None when there is none."""
    statement = select(tables.item.c.sealed_body).where(tables.item.c.id == number)
    sealed = view.connection.execute(statement).scalar()
    return None if sealed is None else view.sealer.open(sealed, BODY_PLACE)


def findings_of(found: Json) -> tuple[Finding, ...]:
    """Read Findings as they are kept: a list of objects."""
    return tuple(Finding.model_validate(entry) for entry in _list(found))


def _unread(found: Json) -> Iterator[Unread]:
    """Read what was left aside: pairs of where and text."""
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, list) and len(entry) == 2:
            yield Unread(where=_text(entry[0]), text=_text(entry[1]))


def _routes(view: View, items: list[int]) -> dict[int, tuple[tuple[RouteLine, ...], RoutingSeen | None]]:
    """Give each Item's routes with what their conditions knew."""
    if not items:
        return {}
    column = tables.item.c
    rows = view.connection.execute(select(column.id, column.routes).where(column.id.in_(items), column.routes != ""))
    found = {row.id: orjson.loads(row.routes) for row in rows}
    seen = {number: RoutingSeen.load(kept.get(SEEN)) for number, kept in found.items() if isinstance(kept, dict)}
    kept = kept_routings(view.connection, sorted({one.digest for one in seen.values() if one is not None}))
    empty: Mapping[str, RouteKept] = {}
    told = {}
    for number, verdicts in found.items():
        saw = seen.get(number)
        told[number] = (_verdicts(verdicts, kept.get(saw.digest, empty) if saw is not None else empty), saw)
    return told


def _verdicts(found: Json, kept: Mapping[str, RouteKept]) -> tuple[RouteLine, ...]:
    """Read what each route's condition gave: true, false, or the sentence that says why it could not be told."""
    if not isinstance(found, dict):
        return ()
    lines = []
    for name, verdict in found.items():
        if name == SEEN:
            continue
        was = kept.get(name)
        when, to = (was.when, was.to) if was is not None else (None, ())
        if isinstance(verdict, bool):
            lines.append(RouteLine(name, verdict, "", when, to))
        else:
            lines.append(RouteLine(name, None, _text(verdict), when, to))
    return tuple(lines)


def _attempts(view: View, deliveries: list[int]) -> dict[int, list[AttemptLine]]:
    if not deliveries:
        return {}
    column = tables.attempt.c
    statement = (
        select(
            column.delivery_id,
            column.number,
            column.started_at,
            column.ended_at,
            column.outcome,
            column.detail,
            column.sealed_answer.is_not(None).label("answered"),
        )
        .where(column.delivery_id.in_(deliveries))
        .order_by(column.delivery_id, column.number)
    )
    tried: dict[int, list[AttemptLine]] = {}
    for row in view.connection.execute(statement):
        line = AttemptLine(row.number, row.started_at, row.ended_at, row.outcome, row.detail, bool(row.answered))
        tried.setdefault(row.delivery_id, []).append(line)
    return tried


def _delivery_line(row: Row[Any]) -> DeliveryLine:
    return DeliveryLine(
        row.id,
        row.item_id,
        row.message_id,
        row.destination,
        row.route,
        DeliveryState(row.state),
        row.identity,
        row.format,
        row.media_type,
        row.filename,
        row.size,
        row.created_at,
        row.ended_at,
        row.next_attempt_at,
        row.attempts,
        row.detail or "",
        row.worst,
        row.replay_of,
    )


def _bytes(view: View, sealed: bytes | None, blob: str | None, place: bytes) -> bytes:
    if blob is not None:
        try:
            return view.blobs.get(blob)
        except FileNotFoundError:
            raise JournalFault("this content is no longer in the blob store; restore the blobs from a backup") from None
    return b"" if sealed is None else view.sealer.open(sealed, place)


def _files(found: Json) -> dict[str, bytes]:
    """Give the files kept beside a content: base64 by name."""
    files: dict[str, bytes] = {}
    for name, kept in found.items() if isinstance(found, dict) else ():
        try:
            files[name] = base64.b64decode(_text(kept), validate=True)
        except binascii.Error:
            files[name] = _text(kept).encode()  # shown as it was kept rather than hidden
    return files


def _list(found: Json) -> list[dict[str, Json]]:
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
