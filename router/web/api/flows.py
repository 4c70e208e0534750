"""How sources and destinations are doing, and whether the router lives and is ready."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import text

from router.journal.store import JournalFault
from router.web.access import Office, Watcher
from router.web.api.models import FlowOut, moment
from router.web.api.problems import problem
from router.web.boards import FlowLine

router = APIRouter(tags=["health"])


@router.get("/flows")
async def flows(desk: Office, _caller: Watcher) -> list[FlowOut]:
    """List sources and destinations with their state, rates, backlogs and failures."""
    now = desk.now()
    board = await desk.look(lambda view: desk.boards.board(view, now))
    return [_flow(line) for line in (*board.sources, *board.destinations)]


def _flow(line: FlowLine) -> FlowOut:
    status = line.status
    return FlowOut(
        name=status.name,
        side=status.side,
        connector=status.connector,
        state=status.state,
        detail=status.detail,
        address=status.address,
        paused=status.paused,
        last_at=moment(line.last_at),
        per_minute=round(line.per_minute, 2),
        last_hour=line.hour,
        waiting=line.backlog.pending.count.count,
        waiting_capped=line.backlog.pending.count.more,
        failures=line.failures,
        figures=dict(status.figures),
    )


@router.get("/health/live")
async def live() -> JSONResponse:
    """Say that the process answers; it asks nothing of the journal, and needs no key."""
    return JSONResponse({"status": "live"})


@router.get("/health/ready")
async def ready(desk: Office) -> JSONResponse:
    """Say whether the journal answers, and every source has started; needs no key."""
    try:
        await desk.look(lambda view: view.connection.execute(text("SELECT 1")).scalar())
    except JournalFault:
        return problem(503, "The journal does not answer.")
    starting = [flow.name for flow in desk.context.flows() if flow.state == "starting"]
    if starting:
        return problem(503, "Some sources are still starting.")
    return JSONResponse({"status": "ready"})
