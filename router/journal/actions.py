"""What a person may ask of the journal: replay, resend, cancel; each is one `Change` that audits itself."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID, uuid5

from sqlalchemy import Connection, func, insert, or_, select, update

from router.identity.patients import load_patients
from router.identity.standing import allows
from router.journal import tables
from router.journal.auditing import append_audit
from router.journal.correspondence import mail_again
from router.journal.mapping_versions import MappingVersion, mapping_version
from router.journal.operations import Change
from router.journal.parted import parted
from router.journal.readers import ReaderChoice, choose_reader
from router.journal.sealing import Sealer
from router.journal.tables import DeliveryState, ItemState, MessageState
from router.journal.unit import Unit

REPLAY_NAMESPACE = UUID("6f0d0c0e-7b1f-5a43-9d2e-50415353524c")
"""Namespace of the identities that a resent Delivery gets: a deliberate second sending is not a retry."""

REPLAYABLE = (MessageState.PROCESSED, MessageState.HELD, MessageState.REJECTED)
REOPENED = (DeliveryState.DEAD, DeliveryState.CANCELLED, DeliveryState.HELD, DeliveryState.RETRYING)
CANCELLABLE = (DeliveryState.PENDING, DeliveryState.RETRYING, DeliveryState.HELD, DeliveryState.DEAD)


def replay_messages(
    ids: Sequence[int], *, actor: str, now: int, reader: ReaderChoice | None = None, mappings: int | None = None
) -> Change[int]:
    """Read these messages again with today's routes; their former Items are marked as replaced.

    With `reader`, by the format and charset that it names from now on; without, as before. With `mappings`, this once
    with the mappings of that version; without, with today's. Gives how many will be read again: those still being
    processed are left alone, and all where there is no such version.
    """

    def change(unit: Unit) -> int:
        version = mapping_version(unit.connection, mappings) if mappings is not None else None
        if mappings is not None and version is None:
            return 0
        column = tables.message.c
        result = unit.connection.execute(
            update(tables.message)
            .where(column.id.in_(ids), column.state.in_([state.value for state in REPLAYABLE]))
            .values(state=MessageState.RECEIVED.value, replays=column.replays + 1, processed_at=None, worst=0, unread=0)
            .values(mappings=mappings)
        )
        if reader is not None:
            for number in ids:
                choose_reader(unit, number, reader)
        if len(ids) == 1:
            detail = replay_words(reader, version)
            append_audit(unit, actor=actor, action="replay message", target=f"message {ids[0]}", detail=detail, now=now)
        else:
            _audit(unit, actor, "replay message", ids, now)
        return result.rowcount

    return Change(change, note="replay messages")


def replay_words(reader: ReaderChoice | None, mappings: MappingVersion | None) -> str:
    """Say for the audit how a message is read again: `hl7v2, cp1252, mappings 12`."""
    said = (reader.words if reader is not None else "", f"mappings {mappings.id}" if mappings is not None else "")
    return ", ".join(part for part in said if part)


def replay_deliveries(ids: Sequence[int], *, actor: str, now: int) -> Change[int]:
    """Send these Deliveries again, and give how many.

    One that failed, was held or cancelled is reopened and keeps its identity, like any retry. One that was delivered
    is sent anew under a new identity, in a new row: the receiver must not take it for the old one. One that may not be
    sent as it is (`sendable`) is left alone: its message is replayed instead.
    """

    def change(unit: Unit) -> int:
        column = tables.delivery.c
        connection = unit.connection
        barred = sendable(connection, unit.sealer, ids)
        allowed = [number for number in ids if number not in barred]
        reopened = connection.execute(
            update(tables.delivery)
            .where(column.id.in_(allowed), column.state.in_([state.value for state in REOPENED]))
            .values(
                state=DeliveryState.PENDING.value, ended_at=None, next_attempt_at=None, attempts_before=column.attempts
            )
        ).rowcount
        done = (DeliveryState.DELIVERED.value, DeliveryState.ACKNOWLEDGED.value)
        again = connection.execute(
            select(tables.delivery).where(column.id.in_(allowed), column.state.in_(done)).order_by(column.id)
        ).all()
        for row in again:
            number = unit.next_id(tables.delivery)
            values = dict(row._mapping)
            values.update(
                id=number,
                state=DeliveryState.PENDING.value,
                identity=str(uuid5(REPLAY_NAMESPACE, f"{row.identity}/{number}")),
                created_at=now,
                ended_at=None,
                next_attempt_at=None,
                attempts=0,
                attempts_before=0,
                detail=None,
                replay_of=row.id,
            )
            connection.execute(insert(tables.delivery).values(values))
            content = tables.delivery_content
            connection.execute(
                insert(content).from_select(
                    ["delivery_id", "sealed_content", "sealed_detail"],
                    select(
                        tables.delivery.c.id,
                        select(content.c.sealed_content).where(content.c.delivery_id == row.id).scalar_subquery(),
                        select(content.c.sealed_detail).where(content.c.delivery_id == row.id).scalar_subquery(),
                    ).where(tables.delivery.c.id == number),
                )
            )
            mail_again(connection, row.id, number, now)
        _audit(unit, actor, "replay delivery", ids, now)
        return reopened + len(again)

    return Change(change, note="replay deliveries")


CHUNK = 5_000
"""Numbers in one statement."""


class Barred(StrEnum):
    """Why a Delivery cannot be sent as it is; its message is replayed instead."""

    UNWRITTEN = "unwritten"
    """It has nothing to send: nobody to write to, or a format that refused."""
    PARTED = "parted"
    """It was prepared for a patient who is no longer its Item's (`router.journal.parted`)."""
    UNDECIDED = "undecided"
    """Its Item waits: to be prepared anew, or for a person to decide whose it is."""
    WITHDRAWN = "withdrawn"
    """It was prepared under an INS that may leave no more about its patient."""

    @property
    def sentence(self) -> str:
        """Give one sentence for who asked to send it: why not, and what to do."""
        return _SENTENCES[self]


_SENTENCES = {
    Barred.UNWRITTEN: "This delivery has nothing to send: replay its message.",
    Barred.PARTED: (
        "This delivery was prepared for a patient whom it is no longer about, and is not sent as it is: replay its"
        " message."
    ),
    Barred.UNDECIDED: "The item of this delivery waits to be prepared anew, or for the identity desk: see to it first.",
    Barred.WITHDRAWN: "This delivery was prepared under an INS that may leave no more: replay its message.",
}


def sendable(connection: Connection, sealer: Sealer, ids: Sequence[int]) -> dict[int, Barred]:
    """Say which of these Deliveries cannot be sent as they are, and why."""
    barred: dict[int, Barred] = {}
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        written = set(_written(connection, part))
        allowed = set(_without_withdrawn(connection, sealer, part))
        barred |= {number: Barred.WITHDRAWN for number in part if number not in allowed}
        barred |= dict.fromkeys(_undecided(connection, part), Barred.UNDECIDED)
        barred |= dict.fromkeys(parted(connection, sealer, part), Barred.PARTED)
        barred |= {number: Barred.UNWRITTEN for number in part if number not in written}
    return barred


def _undecided(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Give those of these Deliveries whose Item waits, or was refused at the identity desk."""
    delivery, item = tables.delivery.c, tables.item.c
    found = select(delivery.id).join(tables.item, item.id == delivery.item_id).where(delivery.id.in_(ids))
    waits = item.state.in_([ItemState.HELD.value, ItemState.REFUSED.value])
    return list(connection.execute(found.where(waits)).scalars())


def _written(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Leave out Deliveries that have nothing to send."""
    column, content = tables.delivery.c, tables.delivery_content.c
    found = (
        select(column.id)
        .join(tables.delivery_content, content.delivery_id == column.id)
        .where(column.id.in_(ids), or_(column.blob.is_not(None), content.sealed_content.is_not(None)))
    )
    written = set(connection.execute(found).scalars())
    return [number for number in ids if number in written]


def _without_withdrawn(connection: Connection, sealer: Sealer, ids: Sequence[int]) -> list[int]:
    """Leave out Deliveries whose bytes carry an INS that may not leave about their patient (any more)."""
    delivery, item, patient = tables.delivery.c, tables.item.c, tables.patient.c
    found = (
        select(delivery.id, delivery.ins_token, func.coalesce(patient.merged_into, patient.id).label("patient_id"))
        .join(tables.item, item.id == delivery.item_id)
        .join(tables.patient, patient.id == item.patient_id)
        .where(delivery.id.in_(ids), delivery.ins_token.is_not(None))
    )
    rows = connection.execute(found).all()
    people = load_patients(connection, sealer, {row.patient_id for row in rows})
    barred = {row.id for row in rows if not allows(sealer, people[row.patient_id].identity, row.ins_token)}
    return [number for number in ids if number not in barred]


def cancel_deliveries(ids: Sequence[int], *, actor: str, now: int) -> Change[int]:
    """Set these Deliveries aside: they will not be sent. Gives how many; those already sent are left alone."""

    def change(unit: Unit) -> int:
        column = tables.delivery.c
        result = unit.connection.execute(
            update(tables.delivery)
            .where(column.id.in_(ids), column.state.in_([state.value for state in CANCELLABLE]))
            .values(
                state=DeliveryState.CANCELLED.value, ended_at=now, next_attempt_at=None, detail=f"cancelled by {actor}"
            )
        )
        _audit(unit, actor, "cancel delivery", ids, now)
        return result.rowcount

    return Change(change, note="cancel deliveries")


def record_audit(actor: str, action: str, target: str, *, now: int, detail: str = "") -> Change[None]:
    """Keep who did or saw what; `target` names a row (`message 12`), never a person's data."""

    def change(unit: Unit) -> None:
        append_audit(unit, actor=actor, action=action, target=target, detail=detail, now=now)

    return Change(change, note="audit")


def _audit(unit: Unit, actor: str, action: str, ids: Sequence[int], now: int) -> None:
    shown = ", ".join(str(number) for number in ids[:20])
    append_audit(unit, actor=actor, action=action, target=f"{len(ids)} rows", detail=shown, now=now)
