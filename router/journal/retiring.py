"""A message that is read again: what its earlier readings made is set aside."""

from __future__ import annotations

from sqlalchemy import delete, select, update

from router.journal import tables
from router.journal.tables import DeliveryState, ItemState
from router.journal.unit import Unit

NOTICES = "(notice to a member of the circle)"
"""The route of Deliveries that carry a notice: no route of the configuration made them."""


def followed_before(unit: Unit, numbers: list[int]) -> frozenset[int]:
    """Give the replayed messages whose events were applied by an earlier reading: they would undo what came later."""
    column = tables.item.c
    found = select(column.message_id).where(column.message_id.in_(numbers), column.patient_id.is_not(None))
    return frozenset(unit.connection.execute(found).scalars())


def retire(unit: Unit, numbers: list[int], now: int) -> None:
    """Set aside what earlier readings of replayed messages made: Items are replaced, open Deliveries cancelled."""
    connection = unit.connection
    connection.execute(delete(tables.reading).where(tables.reading.c.message_id.in_(numbers)))
    connection.execute(
        update(tables.item).where(tables.item.c.message_id.in_(numbers)).values(state=ItemState.REPLACED.value)
    )
    open_states = [state.value for state in (*tables.OPEN_DELIVERIES, DeliveryState.HELD)]
    connection.execute(
        update(tables.delivery)
        .where(tables.delivery.c.message_id.in_(numbers), tables.delivery.c.state.in_(open_states))
        # A notice to a member is told once, and is not made anew by a replay.
        .where(tables.delivery.c.route != NOTICES)
        .values(state=DeliveryState.CANCELLED.value, ended_at=now, detail="replaced by a replay of its message")
    )
