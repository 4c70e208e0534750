"""Keeping messages as they came: what an acknowledgement rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, update

from router.journal import tables
from router.journal.tables import MessageState
from router.journal.unit import Question, Unit, identities_known, last_id

CONTENT_PLACE = b"message_content.sealed_content"
DETAIL_PLACE = b"message_content.sealed_detail"
REPORT_PLACE = b"reading.sealed_report"


@dataclass(frozen=True, slots=True)
class Appended:
    """What AppendMessage gives: the message's id, and whether it was there already."""

    message_id: int
    duplicate: bool


@dataclass(slots=True)
class AppendMessage:
    """Keep a message as it came. `identity` recognises a resend, which is counted and not doubled."""

    identity: bytes
    received_at: int
    source: str
    control_id: str
    message_type: str
    peer: str
    size: int
    content: bytes | None
    blob: str | None
    detail: bytes | None = None
    rejected: bytes | None = None
    """JSON of the Finding for which the message is kept but will never be processed."""

    def apply(self, unit: Unit) -> Appended:
        """Append one message alone; the writer prefers `append_messages` for many."""
        return append_messages(unit, [self], look_first=True)[0]


_COUNT_DUPLICATE = (
    update(tables.message)
    .where(tables.message.c.id == bindparam("b_id"))
    .values(duplicates=tables.message.c.duplicates + 1)
)


def questions_of_appends(operations: Sequence[AppendMessage], *, look_first: bool) -> Iterable[Question]:
    """Give what `append_messages` will ask."""
    if look_first:
        yield identities_known([(operation.control_id, operation.identity) for operation in operations])
    yield last_id(tables.message)


def append_messages(unit: Unit, operations: Sequence[AppendMessage], *, look_first: bool) -> list[Appended]:
    """Append messages, with one look-up for resends among the journal's when `look_first`, always among themselves.

    Without the look-up, a resend makes the transaction fail as `Repeated`: resends are rare, look-ups are not free.
    """
    known: dict[bytes, int] = {}
    if look_first:
        known = unit.known_identities([(operation.control_id, operation.identity) for operation in operations])
    results: list[Appended] = []
    fresh: set[int] = set()
    repeated: list[dict[str, int]] = []
    for operation in operations:
        number = known.get(operation.identity)
        if number is not None:
            results.append(Appended(number, duplicate=True))
            repeated.append({"b_id": number})
            continue
        number = unit.next_id(tables.message)
        known[operation.identity] = number
        fresh.add(number)
        _add_message(unit, number, operation)
        results.append(Appended(number, duplicate=False))
    if repeated:
        if fresh:
            unit.flush()  # a duplicate within the group updates a row of the group
        unit.connection.execute(_COUNT_DUPLICATE, repeated)
    return results


def _add_message(unit: Unit, number: int, operation: AppendMessage) -> None:
    refused = operation.rejected is not None
    unit.add(
        tables.message,
        {
            "id": number,
            "received_at": operation.received_at,
            "source": operation.source,
            "state": (MessageState.REJECTED if refused else MessageState.RECEIVED).value,
            "control_id": operation.control_id,
            "message_type": operation.message_type,
            "peer": operation.peer,
            "size": operation.size,
            "identity": operation.identity,
            "blob": operation.blob,
            "processed_at": operation.received_at if refused else None,
            "worst": 3 if refused else 0,
        },
    )
    sealer = unit.sealer
    unit.add(
        tables.message_content,
        {
            "message_id": number,
            "sealed_content": None if operation.content is None else sealer.seal(operation.content, CONTENT_PLACE),
            "sealed_detail": None if operation.detail is None else sealer.seal(operation.detail, DETAIL_PLACE),
        },
    )
    if operation.rejected is not None:
        report = sealer.seal(b'{"findings":[' + operation.rejected + b"]}", REPORT_PLACE)
        unit.add(tables.reading, {"message_id": number, "sealed_report": report})
