"""What was prepared or published under an INS, when that INS may leave no more.

What is still to be sent is stopped, and its Item prepared anew without the INS. What had left cannot be taken back: its
Delivery gets a Finding, and an identity officer a task for each (PAM 6.6.15: receivers are told by A47).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select, update

from router.identity.patients import load_patients
from router.identity.standing import allows, barred
from router.identity.tasks import TaskKind, open_task
from router.journal import tables
from router.journal.actions import record_audit
from router.journal.attempts import keep_findings
from router.journal.parted import parted
from router.journal.sealing import Sealer
from router.journal.tables import OPEN_DELIVERIES, DeliveryState, ItemState, MessageState
from router.journal.unit import Unit
from schemas.finding import Finding, Severity
from schemas.identity import PatientIdentity

WITHDRAWN = "ins_withdrawn"
"""Reason of an Item that is prepared anew because the INS under which it was to leave was withdrawn."""

ACTION = "withdraw INS"
"""What the audit calls it; the engine reads anew what waits when it finds such a line."""

_STOPPED = "the INS under which it was prepared was withdrawn: it is prepared anew"
_FINDING = Finding(
    severity=Severity.WARNING,
    code="identity.ins.withdrawn",
    where="patient.ins",
    message="left under an INS that was withdrawn since; its receiver must be told",
)
WAITING = frozenset({*(state.value for state in OPEN_DELIVERIES), DeliveryState.HELD.value})
LEFT = frozenset({DeliveryState.DELIVERED.value, DeliveryState.ACKNOWLEDGED.value})
_ROUTED = frozenset({ItemState.ROUTED.value})


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a patient changes: when (microseconds), a stable word for it, and the Item that said so."""

    now: int
    why: str
    item_id: int | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What waits and is stopped, and what had left or may have: (Item, Delivery)."""

    waiting: list[tuple[int, int]]
    left: list[tuple[int, int]]


def revise_published(
    unit: Unit, patient_id: int, before: PatientIdentity, after: PatientIdentity, cause: Cause
) -> bool:
    """Stop and report what may not leave any more; True when Deliveries were stopped."""
    if (before.ins, barred(before)) == (after.ins, barred(after)):
        return False
    unit.flush()  # what was prepared within this transaction counts as well
    patient = tables.patient.c
    absorbed = select(patient.id).where(patient.merged_into == patient_id)
    whose = (tables.item.c.patient_id == patient_id) | tables.item.c.patient_id.in_(absorbed)
    found = published(unit.connection, unit.sealer, whose, before, after)
    stopped, left = [delivery_id for _, delivery_id in found.waiting], len(found.left)
    for item_id, delivery_id in found.left:
        tell_of(unit, patient_id, item_id, delivery_id, now=cause.now)
    if stopped:
        stop_deliveries(unit, stopped, _STOPPED, now=cause.now)
        hold_items(unit, {item_id for item_id, _ in found.waiting}, WITHDRAWN)
    if stopped or left:
        detail = f"{cause.why}: {len(stopped)} stopped, {left} had left"
        record_audit("passerelle", ACTION, f"patient {patient_id}", now=cause.now, detail=detail).apply(unit)
    return bool(stopped)


def published(
    connection: Connection, sealer: Sealer, whose: ColumnElement[bool], before: PatientIdentity, after: PatientIdentity
) -> Published:
    """Give what was prepared for the Items of one patient (`whose`, a condition) and may leave no more."""
    item, delivery = tables.item.c, tables.delivery.c
    found = (
        select(delivery.id, delivery.item_id, delivery.state, delivery.attempts, delivery.ins_token)
        .join(tables.item, item.id == delivery.item_id)
        .where(whose, delivery.ins_token.is_not(None))
        .order_by(delivery.id)
    )
    stopped: list[tuple[int, int]] = []
    left: list[tuple[int, int]] = []
    for row in connection.execute(found).all():
        if allows(sealer, after, row.ins_token):
            continue
        waiting = row.state in WAITING
        if waiting:
            stopped.append((row.item_id, row.id))
        # One that was tried may have arrived, whatever became of its answer.
        arrived = row.state in LEFT or (waiting and row.attempts > 0)
        if arrived and allows(sealer, before, row.ins_token):
            left.append((row.item_id, row.id))
    return Published(stopped, left)


def arrived_all_the_same(unit: Unit, deliveries: Sequence[int], *, now: int) -> None:
    """Report what was being sent when its INS was withdrawn, or turned out to be another patient's, and arrived."""
    delivery, item, patient = tables.delivery.c, tables.item.c, tables.patient.c
    found = (
        select(
            delivery.id,
            delivery.item_id,
            delivery.ins_token,
            func.coalesce(patient.merged_into, patient.id).label("patient_id"),
        )
        .join(tables.item, item.id == delivery.item_id)
        .join(tables.patient, patient.id == item.patient_id)
        .where(delivery.id.in_(deliveries), delivery.ins_token.is_not(None))
    )
    others = parted(unit.connection, unit.sealer, deliveries)
    for row in unit.connection.execute(found).all():
        identity = load_patients(unit.connection, unit.sealer, [row.patient_id])[row.patient_id].identity
        another = row.id in others and identity.ins is None
        if another or not allows(unit.sealer, identity, row.ins_token):
            tell_of(unit, row.patient_id, row.item_id, row.id, now=now)


def tell_of(unit: Unit, patient_id: int, item_id: int, delivery_id: int, *, now: int) -> None:
    """Say of a Delivery that it left under an INS that is withdrawn."""
    keep_findings(unit, delivery_id, [_FINDING])
    open_task(unit, patient_id, TaskKind.PUBLISHED, now=now, item_id=item_id, delivery_id=delivery_id)


def stop_deliveries(unit: Unit, deliveries: Sequence[int], why: str, *, now: int) -> None:
    """Cancel Deliveries whose Items are prepared anew; `why` is what is said of them."""
    if deliveries:
        unit.connection.execute(
            update(tables.delivery)
            .where(tables.delivery.c.id.in_(deliveries))
            .values(state=DeliveryState.CANCELLED.value, ended_at=now, next_attempt_at=None, detail=why)
        )


def hold_items(unit: Unit, items: Set[int], reason: str, *, states: Set[str] = _ROUTED) -> None:
    """Hold those of these Items that are in one of the states, with their messages: the engine prepares them anew."""
    item, message = tables.item.c, tables.message.c
    if not items:
        return
    unit.connection.execute(
        update(tables.item)
        .where(item.id.in_(items), item.state.in_(states))
        .values(state=ItemState.HELD.value, reason=reason)
    )
    owners = select(item.message_id).where(item.id.in_(items), item.state == ItemState.HELD.value)
    unit.connection.execute(
        update(tables.message)
        .where(message.id.in_(owners), message.state == MessageState.PROCESSED.value)
        .values(state=MessageState.HELD.value)
    )
