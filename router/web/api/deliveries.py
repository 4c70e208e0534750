"""Deliveries: lists by state and destination, one with its attempts, sending again and setting aside."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from router.journal.actions import cancel_deliveries, replay_deliveries, sendable
from router.journal.operations import Change
from router.journal.queries_deliveries import DeliveryFilters, find_deliveries
from router.journal.queries_message import load_delivery
from router.journal.tables import DeliveryState
from router.web.access import Office, Operator, Watcher
from router.web.api.models import DeliveriesOut, DeliveryOut, DoneOut, delivery_out
from router.web.api.problems import Refused
from router.web.desk import Desk
from router.web.faults import NotThere

router = APIRouter(tags=["deliveries"])


@router.get("/deliveries")
async def list_deliveries(
    desk: Office,
    _caller: Watcher,
    state: DeliveryState | None = None,
    destination: str | None = None,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DeliveriesOut:
    """List Deliveries, newest first; `before` is the `next` of the page above."""
    filters = DeliveryFilters(state, destination)
    found = await desk.look(lambda view: find_deliveries(view, filters, before=before, limit=limit))
    return DeliveriesOut(deliveries=[delivery_out(row.delivery) for row in found.rows], next=found.before)


@router.get("/deliveries/{number}")
async def one_delivery(number: int, desk: Office, _caller: Watcher) -> DeliveryOut:
    """Give a Delivery with its attempts."""
    found = await desk.look(lambda view: load_delivery(view, number))
    if found is None:
        raise NotThere
    return delivery_out(found)


@router.post("/deliveries/{number}/replay", status_code=202)
async def replay(number: int, desk: Office, caller: Operator) -> DoneOut:
    """Send a Delivery again: a failed one under its identity, a delivered one anew under another."""
    barred = await desk.look(lambda view: sendable(view.connection, view.sealer, [number]))
    refusal = barred[number].sentence if number in barred else "This delivery is on its way already."
    return await _do(desk, number, replay_deliveries([number], actor=caller.name, now=desk.now()), refusal)


@router.post("/deliveries/{number}/cancel", status_code=202)
async def cancel(number: int, desk: Office, caller: Operator) -> DoneOut:
    """Set a Delivery aside: it will not be sent."""
    change = cancel_deliveries([number], actor=caller.name, now=desk.now())
    return await _do(desk, number, change, "This delivery was sent or set aside already.")


async def _do(desk: Desk, number: int, change: Change[int], refusal: str) -> DoneOut:
    if await desk.look(lambda view: load_delivery(view, number)) is None:
        raise NotThere
    changed = await desk.submit(change)
    if not changed:
        raise Refused(409, refusal)
    desk.changed()
    return DoneOut(changed=changed)
