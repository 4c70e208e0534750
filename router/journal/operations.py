"""What can be written to the journal: each operation is a value that applies itself to a Unit.

An operation either happens whole or not at all; those that meet in the writer share one transaction and one sync.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import orjson
from sqlalchemy import select, update

from router.journal import tables
from router.journal.appending import (
    CONTENT_PLACE as CONTENT_PLACE,
    DETAIL_PLACE as DETAIL_PLACE,
    REPORT_PLACE as REPORT_PLACE,
    Appended as Appended,
    AppendMessage as AppendMessage,
)
from router.journal.correspondence import keep_mail
from router.journal.decisions import BLOCKING, newest_decisions
from router.journal.fencing import Fence, Fences, fenced, takings_of
from router.journal.following import Follow, Followed, Patients, Tell, questions_of, tell_all
from router.journal.mapping_versions import keep_mappings, versions_known
from router.journal.prepared import (
    PreparedDelivery as PreparedDelivery,
    PreparedItem as PreparedItem,
    PreparedMessage as PreparedMessage,
    Queued as Queued,
)
from router.journal.receipts import keep_receipt
from router.journal.retiring import NOTICES as NOTICES, followed_before, retire
from router.journal.store import Store
from router.journal.tables import DeliveryState, ItemState, MessageState
from router.journal.unit import PROCESS_MESSAGE, Question, Unit, last_id, messages_waiting
from router.journal.unmapped import Seen, count_unmapped

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

SUMMARY_PLACE = b"item.sealed_summary"
BODY_PLACE = b"item.sealed_body"
PARCEL_PLACE = b"delivery_content.sealed_content"
PARCEL_DETAIL_PLACE = b"delivery_content.sealed_detail"
ANSWER_PLACE = b"attempt.sealed_answer"
IDENTITY_PLACE = b"patient.sealed_identity"


class Operation(Protocol[R_co]):
    """One change of the journal; its result is given to whoever submitted it, after the commit."""

    def apply(self, unit: Unit) -> R_co:
        """Apply it. Raises to undo the whole transaction."""


@dataclass(slots=True)
class CommitReadings:
    """Keep what messages said, and the Deliveries that follow; a message no longer `received` is left alone.

    After the commit, `stale` are the messages that were left alone because a patient changed since they were prepared:
    they are to be prepared again, before anything that came after them. `stopped` is true when Deliveries that waited
    were stopped. `refused` are the takings of lanes (`fences`, by message) that no longer hold: what was read under
    them was left alone, and is another node's.
    """

    messages: Sequence[PreparedMessage]
    now: int
    stale: list[int] = field(default_factory=list)
    stopped: bool = False
    fences: Fences = field(default_factory=dict)
    refused: frozenset[Fence] = frozenset()

    def questions(self) -> Iterable[Question]:
        """Give what `apply` will ask of messages that nothing particular follows from."""
        if self.fences:
            yield takings_of(self.fences.values())
        yield messages_waiting([prepared.message_id for prepared in self.messages])
        yield from questions_of(item for prepared in self.messages for item in prepared.items)
        read_with = {prepared.mappings.digest for prepared in self.messages if prepared.mappings is not None}
        if read_with:
            yield versions_known(read_with)
        yield last_id(tables.item)
        yield last_id(tables.delivery)

    def apply(self, unit: Unit) -> list[Queued]:
        """Insert Items and Deliveries in the messages' order."""
        self.stale, self.stopped = [], False
        messages = self.messages
        if self.fences:
            self.refused = fenced(unit, set(self.fences.values()))
            messages = [one for one in messages if self.fences.get(one.message_id) not in self.refused]
            if not messages:
                return []
        numbers = [prepared.message_id for prepared in messages]
        waiting = unit.waiting(numbers)
        patients = Patients(unit, (item for prepared in messages for item in prepared.items))
        replayed = [number for number, replays in waiting.items() if replays]
        followed = followed_before(unit, replayed) if replayed else frozenset()
        read_with = (prepared.mappings for prepared in messages if prepared.mappings is not None)
        versions = keep_mappings(unit, read_with, self.now)
        queued: list[Queued] = []
        seen: list[Seen] = []
        told: list[tuple[Tell, int, int]] = []
        for prepared in messages:
            if prepared.message_id not in waiting:
                continue
            if patients.stale(prepared.items):
                self.stale.append(prepared.message_id)
                continue
            if waiting[prepared.message_id]:
                retire(unit, [prepared.message_id], self.now)
            if prepared.unmapped:
                seen.append(Seen(prepared.message_id, waiting[prepared.message_id] > 0, prepared.unmapped))
            state = prepared.state
            for item in prepared.items:
                number = unit.next_id(tables.item)
                if item.follow is not None and prepared.message_id not in followed:
                    item = self._followed(unit, patients, item, item.follow, number)
                    if item.state is ItemState.HELD:
                        state = MessageState.HELD
                unit.add(tables.item, _item_row(number, prepared.message_id, item, self.now))
                for token in item.tokens:
                    unit.add(tables.item_token, {"token": token, "item_id": number})
                queued.extend(_add_deliveries(unit, number, prepared.message_id, item, self.now))
                if item.tell is not None and item.patient_id is not None:
                    told.append((item.tell, number, item.patient_id))
                # A message that is read again says nothing new of what was sent.
                if item.receipt is not None and not waiting[prepared.message_id]:
                    self.stopped = keep_receipt(unit, item.receipt, number, self.now) or self.stopped
            unit.change(
                PROCESS_MESSAGE,
                {
                    "b_id": prepared.message_id,
                    "state": state.value,
                    "processed_at": self.now,
                    "format": prepared.format,
                    "worst": prepared.worst,
                    "unread": prepared.unread,
                    "mappings": versions[prepared.mappings.digest] if prepared.mappings is not None else None,
                },
            )
            if prepared.mail is not None:
                keep_mail(unit, prepared.mail, prepared.received_at, message_id=prepared.message_id)
            if prepared.sealed_report is not None:
                row = {"message_id": prepared.message_id, "sealed_report": prepared.sealed_report}
                unit.add(tables.reading, row)
        if seen:
            count_unmapped(unit, seen, self.now)
        tell_all(unit, told, self.now)
        return queued

    def _followed(
        self, unit: Unit, patients: Patients, item: PreparedItem, follow: Follow, number: int
    ) -> PreparedItem:
        followed = follow.apply(unit, number, self.now)
        patients.changed(followed.changed)
        self.stopped = self.stopped or followed.stopped
        if followed.hold is None:
            return item
        return replace(
            item,
            state=ItemState.HELD,
            reason=followed.hold,
            candidates=_numbers(followed),
            patient_id=None,
            deliveries=(),
        )


def _item_row(number: int, message_id: int, item: PreparedItem, now: int) -> dict[str, Any]:
    return {
        "id": number,
        "message_id": message_id,
        "ordinal": item.ordinal,
        "item_key": item.key,
        "kind": item.kind,
        "state": item.state.value,
        "reason": item.reason,
        "patient_id": item.patient_id,
        "lane": item.lane,
        "created_at": now,
        "routes": item.routes,
        "blobs": item.blobs,
        "sealed_summary": item.sealed_summary,
        "sealed_body": item.sealed_body,
        "decision": item.decision,
        "candidates": item.candidates,
    }


def _add_deliveries(unit: Unit, item_id: int, message_id: int, item: PreparedItem, now: int) -> Iterable[Queued]:
    for prepared in item.deliveries:
        queued = add_delivery(unit, item_id, message_id, item.lane, prepared, now)
        if prepared.state in tables.OPEN_DELIVERIES:
            yield queued


def add_delivery(unit: Unit, item_id: int, message_id: int, lane: int, prepared: PreparedDelivery, now: int) -> Queued:
    """Keep a Delivery of an Item; what is given tells a dispatcher of it, if its state is an open one."""
    number = unit.next_id(tables.delivery)
    ended = prepared.state not in tables.OPEN_DELIVERIES and prepared.state is not DeliveryState.HELD
    unit.add(
        tables.delivery,
        {
            "id": number,
            "item_id": item_id,
            "message_id": message_id,
            "destination": prepared.destination,
            "route": prepared.route,
            "lane": lane,
            "state": prepared.state.value,
            "identity": prepared.identity,
            "format": prepared.format,
            "media_type": prepared.media_type,
            "filename": prepared.filename,
            "size": prepared.size,
            "blob": prepared.blob,
            "created_at": now,
            "ended_at": now if ended else None,
            "detail": prepared.detail,
            "worst": prepared.worst,
            "ins_token": prepared.ins_token,
        },
    )
    unit.add(
        tables.delivery_content,
        {
            "delivery_id": number,
            "sealed_content": prepared.sealed_content,
            "sealed_detail": prepared.sealed_detail,
        },
    )
    if prepared.mail is not None:
        keep_mail(unit, prepared.mail, now, delivery_id=number)
    return Queued(number, prepared.destination, lane, prepared)


@dataclass(slots=True)
class ReleaseItems:
    """Let held Items go on: they are attached, and their Deliveries kept.

    Left alone are Items no longer held, and those about which a person decided otherwise while this was prepared; all
    of them when the taking of the lane under which it was prepared (`fence`) no longer holds: `refused` then.
    """

    items: Sequence[PreparedItem]
    now: int
    stopped: bool = False
    fence: Fence | None = None
    refused: bool = False

    def apply(self, unit: Unit) -> list[Queued]:
        """Update the Items, insert their Deliveries, and settle the messages that wait no more."""
        self.stopped = False
        if self.fence is not None:
            self.refused = bool(fenced(unit, [self.fence]))
            if self.refused:
                return []
        column = tables.item.c
        numbers = [item.item_id for item in self.items]
        found = select(column.id, column.message_id, column.patient_id).where(
            column.id.in_(numbers), column.state == ItemState.HELD.value
        )
        rows = unit.connection.execute(found).all()
        held = {row.id: row.message_id for row in rows}
        # One that was attached before and is only prepared anew has done to its patient what it had to.
        followed_before = {row.id for row in rows if row.patient_id is not None}
        newest = newest_decisions(unit.connection, held)
        patients = Patients(unit, self.items)
        queued: list[Queued] = []
        told: list[tuple[Tell, int, int]] = []
        for item in self.items:
            if item.item_id is None or item.item_id not in held:
                continue
            decided = newest.get(item.item_id)
            if item.decision_id is None and decided is not None and decided.action in BLOCKING:
                continue
            if item.decision_id is not None and (decided is None or decided.id != item.decision_id):
                continue
            if patients.stale([item]):
                continue  # it is looked at again, as the patient has changed
            if item.state is ItemState.HELD:
                _still_held(unit, item.item_id, item.reason, item.candidates)
                continue
            if item.follow is not None and item.item_id not in followed_before:
                followed = item.follow.apply(unit, item.item_id, self.now)
                patients.changed(followed.changed)
                self.stopped = self.stopped or followed.stopped
                if followed.hold is not None:
                    _still_held(unit, item.item_id, followed.hold, _numbers(followed))
                    continue
            unit.connection.execute(
                update(tables.item)
                .where(column.id == item.item_id)
                .values(
                    state=item.state.value,
                    reason=item.reason,
                    patient_id=item.patient_id,
                    lane=item.lane,
                    routes=item.routes,
                    decision=item.decision,
                    candidates=item.candidates,
                )
            )
            fresh = replace(item, deliveries=_not_there(unit, item.item_id, item.deliveries))
            queued.extend(_add_deliveries(unit, item.item_id, held[item.item_id], fresh, self.now))
            if item.tell is not None and item.patient_id is not None:
                told.append((item.tell, item.item_id, item.patient_id))
        settle_messages(unit, set(held.values()))
        tell_all(unit, told, self.now)
        return queued


def _still_held(unit: Unit, item_id: int, reason: str | None, candidates: str | None) -> None:
    statement = update(tables.item).where(tables.item.c.id == item_id)
    unit.connection.execute(statement.values(reason=reason, candidates=candidates))


def _numbers(followed: Followed) -> str | None:
    return " ".join(map(str, followed.candidates)) or None


def _not_there(unit: Unit, item_id: int, deliveries: Sequence[PreparedDelivery]) -> tuple[PreparedDelivery, ...]:
    """Leave out who has this Item already: it is prepared anew for the destinations, or recipients, that it missed."""
    if not deliveries:
        return ()
    column, content = tables.delivery.c, tables.delivery_content.c
    there = (
        select(column.destination, content.sealed_detail)
        .outerjoin(tables.delivery_content, content.delivery_id == column.id)
        .where(column.item_id == item_id, column.state != DeliveryState.CANCELLED.value)
    )
    addressed = {one.destination for one in deliveries if one.recipient}
    have = {
        (row.destination, _recipient(unit, row.sealed_detail) if row.destination in addressed else "")
        for row in unit.connection.execute(there)
    }
    return tuple(one for one in deliveries if (one.destination, one.recipient) not in have)


def _recipient(unit: Unit, sealed: bytes | None) -> str:
    """Give for whom a Delivery is, empty where its destination does not tell recipients apart."""
    detail = orjson.loads(unit.sealer.open(sealed, PARCEL_DETAIL_PLACE)) if sealed is not None else {}
    return str(detail.get("recipient", ""))


def settle_messages(unit: Unit, message_ids: set[int]) -> None:
    """Mark as processed the held messages that have no held Item left."""
    if not message_ids:
        return
    still = select(tables.item.c.message_id).where(
        tables.item.c.message_id.in_(message_ids), tables.item.c.state == ItemState.HELD.value
    )
    unit.connection.execute(
        update(tables.message)
        .where(
            tables.message.c.id.in_(message_ids),
            tables.message.c.state == MessageState.HELD.value,
            tables.message.c.id.not_in(still),
        )
        .values(state=MessageState.PROCESSED.value)
    )


@dataclass(slots=True)
class Notice:
    """Keep a Finding that belongs to no message."""

    at: int
    component: str
    severity: str
    code: str
    where: str
    message: str

    def apply(self, unit: Unit) -> None:
        """Insert it."""
        unit.add(
            tables.notice,
            {
                "at": self.at,
                "component": self.component[:80],
                "severity": self.severity,
                "code": self.code[:80],
                "where_": self.where[:160],
                "message": self.message[:400],
            },
        )


@dataclass(slots=True)
class Change(Generic[R]):
    """Any other change, as a function of the Unit; `note` says what it is for."""

    change: Callable[[Unit], R]
    note: str = field(default="")

    def apply(self, unit: Unit) -> R:
        """Run the function."""
        return self.change(unit)


def apply_at_once(store: Store, operation: Operation[R]) -> R:
    """Apply an operation in a transaction of its own, beside a router that may be running: for the command line."""
    with store.writing() as connection:
        unit = Unit(connection, store.sealer)
        result = operation.apply(unit)
        unit.flush()
    return result
