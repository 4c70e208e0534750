"""Deliveries: failures by cause first, then the list, each with what can be done about it."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.bulk.jobs import MOST, BulkAction
from router.journal.actions import cancel_deliveries, replay_deliveries
from router.journal.queries_deliveries import (
    DeliveryFilters,
    FailureGroup,
    find_deliveries,
    find_delivery_ids,
)
from router.journal.queries_message import load_delivery
from router.journal.tables import DeliveryState
from router.journal.view import View
from router.web.access import Looking, Office, Posted
from router.web.answers import Values, go, local, page
from router.web.bulk import known_target, plan as make_plan, targets
from router.web.faults import NotThere
from router.web.filters import Query, delivery_chips, enum_of, query_of, row_number
from router.web.formatting import Formats
from router.web.troubles import cause_href

router = APIRouter()

PATH = "/deliveries"
WISHES = ("state", "destination", "cause")
_ACTIONS = {
    "replay": BulkAction.REPLAY_DELIVERIES,
    "cancel": BulkAction.CANCEL_DELIVERIES,
    "reroute": BulkAction.REROUTE,
}


@router.get(PATH)
async def deliveries(request: Request, desk: Office, visit: Looking) -> Response:
    """Show the failures by cause, and a page of Deliveries."""
    query = query_of(PATH, request.query_params, WISHES)
    before = row_number(request.query_params.get("before", ""))
    filters = _filters(query)

    def ask(view: View) -> Values:
        groups = desk.boards.situation(view, visit.now).failures
        chosen = next((group for group in groups.groups if group.cause == filters.cause), None)
        found = find_deliveries(view, filters, before=before)
        names = [status.name for status in desk.context.flows() if status.side == "destination"]
        return {
            "query": query,
            "chips": delivery_chips(query, Formats(visit.texts, visit.zone, visit.now), names),
            "groups": groups,
            "cause": chosen,
            "cause_href": cause_href,
            "rows": found.rows,
            "before": before,
            "following": found.before,
            "walked_to": found.walked_to,
            "refresh": query.with_(before=str(before) if before is not None else None),
            "most": MOST,
            "targets": targets(desk),
            "by_destination": by_destination(groups.groups),
        }

    return await page(desk, visit, "deliveries.html", ask)


@router.get(PATH + "/{number}")
async def delivery(number: int, desk: Office, visit: Looking) -> Response:
    """Go to where a Delivery is shown: its message."""
    found = await desk.look(lambda view: load_delivery(view, number))
    if found is None:
        raise NotThere
    return go(f"/messages/{found.message_id}/sent#delivery-{number}")


@router.post(PATH + "/{number}/{action}")
async def act(number: int, action: str, desk: Office, visit: Posted) -> Response:
    """Send one Delivery again, or set it aside."""
    if action not in {"replay", "cancel"}:
        raise NotThere
    change = replay_deliveries if action == "replay" else cancel_deliveries
    await desk.submit(change([number], actor=visit.account, now=desk.now()))
    desk.changed()
    return go(local(visit.posted("next"), PATH))


@router.post(PATH + "/plan")
async def plan(desk: Office, visit: Posted) -> Response:
    """Preview what would be done to the chosen Deliveries, or to all that match the filters."""
    query = query_of(PATH, {name: visit.posted(name) for name in WISHES}, WISHES)
    action = _ACTIONS.get(visit.posted("action"))
    target = known_target(desk, visit.posted("target")) if action is BulkAction.REROUTE else ""
    if action is None or (action is BulkAction.REROUTE and not target):
        raise NotThere
    if visit.posted("all"):
        filters = _filters(query)
        ids, more = await desk.look(lambda view: find_delivery_ids(view, filters, limit=MOST))
    else:
        chosen = {number for value in visit.form.get("id", ()) if (number := row_number(value)) is not None}
        ids, more = sorted(chosen)[:MOST], False
    if not ids:
        return go(query.with_())
    job = await make_plan(
        desk,
        action,
        ids,
        actor=visit.account,
        more=more,
        back=query.with_(),
        target=target,
        set_aside=bool(visit.posted("set_aside")),
        of_deliveries=True,
    )
    return go(f"/bulk/{job.id}")


def by_destination(groups: Sequence[FailureGroup]) -> list[tuple[str, int, int, list[FailureGroup]]]:
    """Give failures by destination, the worst first: its name, how many, since when, and their causes."""
    found: dict[str, list[FailureGroup]] = {}
    for group in groups:
        found.setdefault(group.destination, []).append(group)
    lines = [
        (name, sum(one.count for one in those), min(one.first_at for one in those), those)
        for name, those in found.items()
    ]
    return sorted(lines, key=lambda line: (-line[1], line[0]))


def _filters(query: Query) -> DeliveryFilters:
    state = enum_of(DeliveryState, query.get("state"))
    return DeliveryFilters(state, query.get("destination") or None, (query.get("cause") or None) if state else None)
