"""How sources and destinations are doing."""

from __future__ import annotations

from fastapi import APIRouter

from router.web.access import Office, Watcher
from router.web.api.models import FlowOut, moment
from router.web.boards import FlowLine

router = APIRouter(tags=["flows"])


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
