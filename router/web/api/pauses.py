"""Pauses: what a person stopped for a while, why, and letting it go on. Rights are those of the pages."""

from __future__ import annotations

from fastapi import APIRouter

from router.journal.pauses import FlowSide, PauseFault, load_pauses, pause_flow, resume_flow
from router.web.access import Office, Operator, Watcher
from router.web.api.models import DoneOut
from router.web.api.models_running import PauseIn, PauseOut, pause_out
from router.web.api.problems import Refused
from router.web.desk import Desk

router = APIRouter(tags=["flows"])


@router.get("/pauses")
async def list_pauses(desk: Office, _caller: Watcher) -> list[PauseOut]:
    """List what persons paused, the oldest first."""
    found = await desk.look(lambda view: load_pauses(view.connection))
    return [pause_out(one) for one in found.values()]


@router.put("/pauses/{side}/{name:path}")
async def pause(side: FlowSide, name: str, given: PauseIn, desk: Office, caller: Operator) -> PauseOut:
    """Pause a source, a destination or a route. What is paused already stays paused, for its first reason."""
    if name not in _names(desk, side):
        raise Refused(404, f"There is no {side.value} of this name.")
    try:
        change = pause_flow(side, name, given.reason, actor=caller.name, now=desk.now())
    except PauseFault as fault:
        raise Refused(422, f"{str(fault)[:1].upper()}{str(fault)[1:]}.") from None
    await desk.submit(change)
    desk.changed()
    found = await desk.look(lambda view: load_pauses(view.connection))
    return pause_out(found[side, name])


@router.delete("/pauses/{side}/{name:path}")
async def resume(side: FlowSide, name: str, desk: Office, caller: Operator) -> DoneOut:
    """Let it go on; also what is paused and no longer configured."""
    done = await desk.submit(resume_flow(side, name, actor=caller.name, now=desk.now()))
    if not done:
        raise Refused(404, "Nobody paused it.")
    desk.changed()
    return DoneOut(changed=1)


def _names(desk: Desk, side: FlowSide) -> set[str]:
    if side is FlowSide.ROUTE:
        return {one.name for one in desk.context.routes()}
    return {one.name for one in desk.context.flows() if one.side == side.value}
