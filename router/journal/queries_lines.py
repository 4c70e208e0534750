"""One line of a list: what a message or an Item is, without its content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, func, select, text

from router.journal import tables
from router.journal.operations import SUMMARY_PLACE
from router.journal.tables import DeliveryState, ItemState, MessageState
from router.journal.view import Json, View
from schemas.identity import PatientIdentity

HELD_ITEMS = text("item.state = 'held'")
"""The partial index's own condition: SQLite takes it only when the statement has it, without parameters."""


@dataclass(frozen=True, slots=True)
class PatientLine:
    """The little of a patient that a list needs; the dashboard masks it."""

    family: str = ""
    given: str = ""
    birth_date: str = ""
    sex: str = ""

    @classmethod
    def of(cls, identity: PatientIdentity) -> PatientLine:
        """Give that of an identity: the names in use, else those of birth."""
        return cls(
            identity.used_name or identity.birth_name or identity.family_name or "",
            identity.used_given_name or identity.first_given_name or identity.given_name or "",
            identity.birth_date or "",
            identity.sex.value if identity.sex is not None else "",
        )

    def __bool__(self) -> bool:
        return bool(self.family or self.given or self.birth_date)


@dataclass(frozen=True, slots=True)
class ItemLine:
    """An Item in a list. `line` says what it is in one line; `abnormal` is its gravest flag (table 0078)."""

    id: int
    message_id: int
    kind: str
    state: ItemState
    reason: str | None
    patient_id: int | None
    created_at: int
    patient: PatientLine
    line: str = ""
    abnormal: str = ""
    title: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message in a list, with its present Items and how many of its Deliveries are in each state."""

    id: int
    received_at: int
    source: str
    state: MessageState
    control_id: str
    message_type: str
    format: str
    peer: str
    size: int
    processed_at: int | None
    worst: int
    unread: int
    duplicates: int
    replays: int
    items: tuple[ItemLine, ...] = ()
    deliveries: dict[DeliveryState, int] = field(default_factory=dict)
    mappings: int | None = None
    """The version of the mappings that it was read with; of one that waits, the one that it is to be read with."""


def message_lines(view: View, rows: Sequence[Row[Any]]) -> Iterator[MessageLine]:
    """Give rows of `message` as lines, in their order, with three statements however many they are."""
    ids = [row.id for row in rows]
    items: dict[int, list[ItemLine]] = {number: [] for number in ids}
    deliveries: dict[int, dict[DeliveryState, int]] = {number: {} for number in ids}
    if ids:
        for item in item_lines(view, tables.item.c.message_id.in_(ids)):
            items[item.message_id].append(item)
        column = tables.delivery.c
        grouped = (
            select(column.message_id, column.state, func.count().label("number"))
            .where(column.message_id.in_(ids))
            .group_by(column.message_id, column.state)
        )
        for row in view.connection.execute(grouped):
            deliveries[row.message_id][DeliveryState(row.state)] = row.number
    for row in rows:
        yield message_line(row, tuple(items[row.id]), deliveries[row.id])


def message_line(row: Row[Any], items: tuple[ItemLine, ...], deliveries: dict[DeliveryState, int]) -> MessageLine:
    """Make a line of a row of `message`."""
    return MessageLine(
        row.id,
        row.received_at,
        row.source,
        MessageState(row.state),
        row.control_id,
        row.message_type,
        row.format or "",
        row.peer,
        row.size,
        row.processed_at,
        row.worst,
        row.unread,
        row.duplicates,
        row.replays,
        items,
        deliveries,
        row.mappings,
    )


_ITEM_LINE = select(
    tables.item.c.id,
    tables.item.c.message_id,
    tables.item.c.kind,
    tables.item.c.state,
    tables.item.c.reason,
    func.coalesce(tables.patient.c.merged_into, tables.item.c.patient_id).label("patient_id"),
    tables.item.c.created_at,
    tables.item.c.sealed_summary,
).select_from(tables.item.outerjoin(tables.patient, tables.patient.c.id == tables.item.c.patient_id))


def item_lines(
    view: View, *conditions: Any, newest_first: bool = False, limit: int | None = None, replaced: bool = False
) -> Iterable[ItemLine]:
    """Give Items as lines; those that a replay replaced only when asked."""
    columns = tables.item.c
    statement = _ITEM_LINE.where(*conditions).order_by(columns.id.desc() if newest_first else columns.id)
    if not replaced:
        statement = statement.where(columns.state != ItemState.REPLACED.value)
    for row in view.connection.execute(statement.limit(limit)).all():
        summary = view.json_object(row.sealed_summary, SUMMARY_PLACE)
        yield ItemLine(
            row.id,
            row.message_id,
            row.kind,
            ItemState(row.state),
            row.reason,
            row.patient_id,
            row.created_at,
            _patient_line(summary.get("patient")),
            *(_text(summary.get(name)) for name in ("line", "abnormal", "title", "status")),
        )


def _patient_line(found: Json) -> PatientLine:
    if not isinstance(found, dict):
        return PatientLine()
    return PatientLine(*(_text(found.get(name)) for name in ("family", "given", "birth_date", "sex")))


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
