"""Actions on many rows: plan, look at what would happen, start, follow, stop, undo."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from router.bulk.jobs import BulkAction, Job, JobState, list_jobs, load_job, start_job, stop_job
from router.bulk.undoing import plan_undo
from router.web.access import Office, Operator, Watcher
from router.web.api.models_bulk import BulkIn, BulkOut, StartIn, bulk_out
from router.web.api.problems import Refused
from router.web.bulk import known_mappings, known_target, plan
from router.web.desk import Desk
from router.web.faults import NotThere

router = APIRouter(tags=["bulk"])


@router.get("/bulk")
async def list_bulk(
    desk: Office,
    _caller: Watcher,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[BulkOut]:
    """List the actions that were started, newest first."""
    found = await desk.look(lambda view: list_jobs(view.connection, before=before, limit=limit))
    return [bulk_out(job) for job in found]


@router.post("/bulk", status_code=201)
async def plan_bulk(wanted: BulkIn, desk: Office, caller: Operator) -> BulkOut:
    """Plan an action, and count what it would do; nothing happens before it is started."""
    action = BulkAction(wanted.action)
    target, of_deliveries = "", bool(wanted.deliveries)
    if action is BulkAction.REROUTE:
        said = f"destination:{wanted.destination}" if wanted.destination else f"route:{wanted.route}"
        target = known_target(desk, said)
        if not target:
            raise Refused(422, "Rerouting needs the name of a configured `destination` or `route`.")
    elif of_deliveries is (action is BulkAction.REPLAY_MESSAGES):
        raise Refused(422, "This action takes `messages` or `deliveries`, as its name says.")
    if bool(wanted.messages) is of_deliveries:
        raise Refused(422, "Name either `messages` or `deliveries`.")
    if wanted.mappings is not None:
        if action is not BulkAction.REPLAY_MESSAGES:
            raise Refused(422, "Only messages are read again with a version of the `mappings`.")
        target = await known_mappings(desk, wanted.mappings)
        if not target:
            raise Refused(422, "There is no such version of the mappings.")
    ids = sorted(set(wanted.deliveries if of_deliveries else wanted.messages))
    job = await plan(
        desk,
        action,
        ids,
        actor=caller.name,
        back="/bulk",
        target=target,
        set_aside=wanted.set_aside,
        of_deliveries=of_deliveries,
    )
    return bulk_out(job)


@router.get("/bulk/{number}")
async def one_bulk(number: int, desk: Office, _caller: Watcher) -> BulkOut:
    """Give an action with its preview, and how far it is."""
    return bulk_out(await _job(desk, number))


@router.post("/bulk/{number}/start", status_code=202)
async def start_bulk(number: int, wanted: StartIn, desk: Office, caller: Operator) -> BulkOut:
    """Do what was planned."""
    job = await _job(desk, number)
    if job.state is not JobState.PLANNED:
        raise Refused(409, "This action was started already.")
    if job.final and not wanted.confirm:
        raise Refused(409, "This cannot be taken back, or gives receivers twice what they have: send `confirm: true`.")
    await desk.submit(start_job(number, actor=caller.name, now=desk.now()))
    desk.changed()
    return bulk_out(await _job(desk, number))


@router.post("/bulk/{number}/stop", status_code=202)
async def stop_bulk(number: int, desk: Office, caller: Operator) -> BulkOut:
    """Stop an action that runs; what was done stays done."""
    await _job(desk, number)
    if not await desk.submit(stop_job(number, actor=caller.name, now=desk.now())):
        raise Refused(409, "This action does not run.")
    return bulk_out(await _job(desk, number))


@router.post("/bulk/{number}/undo", status_code=202)
async def undo_bulk(number: int, desk: Office, caller: Operator) -> BulkOut:
    """Take back what can be taken back: what has not left. Gives the action that does."""
    await _job(desk, number)
    made = await desk.submit(plan_undo(number, actor=caller.name, now=desk.now()))
    if made is None:
        raise Refused(409, "There is nothing (more) to take back.")
    desk.changed()
    return bulk_out(await _job(desk, made))


async def _job(desk: Desk, number: int) -> Job:
    job = await desk.look(lambda view: load_job(view.connection, number))
    if job is None:
        raise NotThere
    return job
