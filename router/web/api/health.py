"""Whether the router lives, and whether it can take and pass on messages: for a supervisor or a load balancer.

The same under `/health/…` and under the API's prefix; no key is needed, and only counts are told.
"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import delete, insert

from router.journal import tables
from router.journal.operations import Change
from router.journal.store import JournalFault
from router.journal.unit import Unit
from router.web.access import Office
from router.web.api.problems import problem
from router.web.desk import Desk
from router.web.probing import PROBED_SECONDS
from router.web.states import DOWN

router = APIRouter(tags=["health"])

MICROS = 1_000_000


@router.get("/health/live")
async def live() -> JSONResponse:
    """Say that the process answers; it asks nothing of the journal, and needs no key."""
    return JSONResponse({"status": "live"})


@router.get("/health/ready")
async def ready(desk: Office) -> JSONResponse:
    """Say whether the journal takes writes, every source is open, and the backlog is young; needs no key."""
    now = desk.now()
    try:
        await _probe(desk, now)
        unread = await desk.look(lambda view: desk.boards.situation(view, now).unread)
    except JournalFault as fault:
        return problem(503, f"The journal does not take writes: {fault}.")
    sources = [flow for flow in desk.context.flows_here() if flow.side == "source" and not flow.paused]
    starting = sum(flow.state == "starting" for flow in sources)
    closed = sum(flow.state in DOWN for flow in sources)
    age = 0.0 if unread.oldest_at is None else max(0.0, (now - unread.oldest_at) / MICROS)
    if starting:
        return problem(503, "Some sources are still starting.")
    if closed:
        return problem(503, f"{closed} of {len(sources)} source(s) are not open; the page of notices says why.")
    limit = desk.context.ready_seconds
    if limit and age > limit:
        return problem(
            503, f"The oldest message that was not read yet has waited for {age:.0f} s, longer than {limit} s."
        )
    return JSONResponse(
        {"status": "ready", "journal": "writable", "sources": len(sources), "backlog_age_seconds": round(age, 1)}
    )


async def _probe(desk: Desk, now: int) -> None:
    """Write a row and take it away again, in one commit. Raises JournalFault."""
    probe = desk.probe
    if now - probe.at < PROBED_SECONDS * MICROS:
        return

    def change(unit: Unit) -> None:
        row = tables.connector_memory
        unit.connection.execute(insert(row).values(owner="health", token=0, at=now, sealed_value=b""))
        unit.connection.execute(delete(row).where(row.c.owner == "health"))

    await desk.submit(Change(change, note="health"))
    probe.at = now
