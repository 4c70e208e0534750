"""How notices end that were handed over: as the Delivery ends, or the events of subscriptions, that carry them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from router.dossier.queue import settle_within
from router.journal import tables
from router.journal.tables import DeliveryState
from router.journal.unit import Unit

AT_ONCE = 200

_OF_DELIVERY = {
    DeliveryState.DELIVERED.value: "sent",
    DeliveryState.ACKNOWLEDGED.value: "read",
    DeliveryState.DEAD.value: "failed",
    DeliveryState.CANCELLED.value: "cancelled",
}
"""What a notice is when its Delivery is this: a mail that was taken is sent, one whose reading is notified is read."""


def events_ended(unit: Unit, notice_id: int, now: int) -> None:
    """Settle a notice by the events that carry it: the first that is accepted makes it delivered."""
    column = tables.subscription_event.c
    rows = unit.connection.execute(select(column.state, column.detail).where(column.notice_id == notice_id)).all()
    states = {row.state for row in rows}
    if "delivered" in states:
        settle_within(unit, notice_id, "delivered", now=now, detail="by_tool")
    elif "pending" not in states and states:
        dead = next((row.detail for row in rows if row.state == "dead"), "")
        detail = dead or next(row.detail for row in rows)
        settle_within(unit, notice_id, "failed" if dead or "dead" in states else "cancelled", now=now, detail=detail)


def deliveries_changed() -> Select[tuple[Any, ...]]:
    """Select the notices whose Delivery is no longer what they say of it."""
    notice, delivery = tables.alert_notice.c, tables.delivery.c
    return (
        select(notice.id, notice.state, delivery.state.label("delivery_state"), delivery.detail)
        .join(tables.delivery, delivery.id == notice.delivery_id)
        .where(
            notice.state.in_(("leaving", "sent")),
            delivery.state.in_(tuple(_OF_DELIVERY)),
            ~((notice.state == "sent") & (delivery.state == DeliveryState.DELIVERED.value)),
        )
        .limit(AT_ONCE)
    )


def settle_deliveries(unit: Unit, now: int) -> int:
    """Settle the notices whose Delivery came to an end, or went on; gives how many."""
    rows = unit.connection.execute(deliveries_changed()).all()
    for row in rows:
        detail = (row.detail or "") if _OF_DELIVERY[row.delivery_state] in {"failed", "cancelled"} else ""
        settle_within(unit, row.id, _OF_DELIVERY[row.delivery_state], now=now, detail=detail)
    return len(rows)
