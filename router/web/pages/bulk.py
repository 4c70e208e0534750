"""Actions on many rows: the preview with its figures, the progress with a stop, the result, and the way back."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.bulk.doing import open_rows
from router.bulk.jobs import BulkAction, Job, JobState, list_jobs, load_job, start_job, stop_job, undone_by
from router.bulk.outcomes import left_by_reason
from router.bulk.planning import choose_mappings
from router.bulk.undoing import plan_undo, undoable
from router.journal.mapping_versions import mapping_version, mapping_versions
from router.journal.view import View
from router.web.access import Looking, Office, Operating, Posted
from router.web.answers import Values, go, page
from router.web.bulk import confirmed
from router.web.desk import Desk
from router.web.faults import NotThere
from router.web.filters import row_number
from router.web.rereading import reread_many, version_asked
from router.web.visits import Visit

router = APIRouter()

PAGE = 50
COMPARED = 20
"""Messages of a planned replay that are read to show what it would change."""


@router.get("/bulk")
async def jobs(request: Request, desk: Office, visit: Looking) -> Response:
    """List what was done to many rows at once."""
    before = row_number(request.query_params.get("before", ""))

    def ask(view: View) -> Values:
        rows = list_jobs(view.connection, before=before, limit=PAGE + 1)
        return {"rows": rows[:PAGE], "following": rows[PAGE - 1].id if len(rows) > PAGE else None}

    return await page(desk, visit, "bulk_jobs.html", ask)


@router.get("/bulk/{number}")
async def job_page(number: int, desk: Office, visit: Looking) -> Response:
    """Show where a job is."""
    return await _shown(desk, visit, await _job(desk, visit, number))


async def _shown(desk: Desk, visit: Visit, job: Job, *, unconfirmed: bool = False) -> Response:
    def ask(view: View) -> Values:
        ended = job.state in {JobState.DONE, JobState.STOPPED, JobState.FAILED}
        undone = undone_by(view.connection, job.id) if ended else None
        return {
            "job": job,
            "states": JobState,
            "left": left_by_reason(view.connection, job.id) if ended else {},
            "undone": undone,
            "undoable": undoable(view.connection, job) if ended and undone is None else 0,
            "unconfirmed": unconfirmed,
            "versions": mapping_versions(view.connection) if job.action is BulkAction.REPLAY_MESSAGES else [],
            "chosen": mapping_version(view.connection, job.mappings) if job.mappings is not None else None,
            "comparable": desk.context.read_again is not None,
        }

    return await page(desk, visit, "bulk.html", ask, status=422 if unconfirmed else 200)


@router.post("/bulk/{number}/mappings")
async def mappings(number: int, desk: Office, visit: Posted) -> Response:
    """Choose with which version of the mappings the messages of a planned replay are read."""
    await _job(desk, visit, number)
    chosen = await version_asked(desk, visit.posted("mappings"))
    await desk.submit(choose_mappings(number, chosen.id if chosen is not None else None, actor=visit.account))
    return go(f"/bulk/{number}/differences" if visit.posted("compare") else f"/bulk/{number}")


@router.get("/bulk/{number}/differences")
async def differences(number: int, desk: Office, visit: Operating) -> Response:
    """Show what a planned replay would change, on the first of its messages."""
    job = await _job(desk, visit, number)
    again = desk.context.read_again
    if job.action is not BulkAction.REPLAY_MESSAGES or job.state is not JobState.PLANNED or again is None:
        raise NotThere
    numbers = await desk.look(lambda view: [row.row_id for row in open_rows(view.connection, number, COMPARED)])
    await desk.audit(visit.account, "compare reading", f"bulk {number}", f"{len(numbers)} messages")
    prepared = await again(numbers, None, job.mappings)

    def ask(view: View) -> Values:
        version = mapping_version(view.connection, job.mappings) if job.mappings is not None else None
        return {"job": job, "report": reread_many(view, prepared), "chosen": version}

    return await page(desk, visit, "bulk_differences.html", ask)


@router.post("/bulk/{number}/start")
async def start(number: int, desk: Office, visit: Posted) -> Response:
    """Do what was previewed."""
    job = await _job(desk, visit, number)
    if job.state is JobState.PLANNED and not confirmed(job, visit.posted("word")):
        return await _shown(desk, visit, job, unconfirmed=True)
    await desk.submit(start_job(number, actor=visit.account, now=desk.now()))
    desk.changed()
    return go(f"/bulk/{number}")


@router.post("/bulk/{number}/stop")
async def stop(number: int, desk: Office, visit: Posted) -> Response:
    """Stop a job that runs."""
    await _job(desk, visit, number)
    await desk.submit(stop_job(number, actor=visit.account, now=desk.now()))
    return go(f"/bulk/{number}")


@router.post("/bulk/{number}/undo")
async def undo(number: int, desk: Office, visit: Posted) -> Response:
    """Take back what can be taken back."""
    await _job(desk, visit, number)
    made = await desk.submit(plan_undo(number, actor=visit.account, now=desk.now()))
    desk.changed()
    return go(f"/bulk/{number if made is None else made}")


async def _job(desk: Desk, visit: Visit, number: int) -> Job:
    job = await desk.look(lambda view: load_job(view.connection, number))
    # A plan is its author's alone; what was started is everybody's to see.
    if job is None or (job.state is JobState.PLANNED and job.actor != visit.account):
        raise NotThere
    return job
