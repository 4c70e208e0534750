"""A bulk action: its preview with the count, its progress with a stop, its result."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from router.web.access import Office, Posted, Signed
from router.web.answers import go, page
from router.web.bulk import Job, JobState
from router.web.faults import NotThere

router = APIRouter()


@router.get("/bulk/{key}")
async def job_page(key: str, desk: Office, visit: Signed) -> Response:
    """Show where a job is."""
    job = _job(desk.bulk.find(visit.key, key))
    return await page(desk, visit, "bulk.html", lambda _view: {"job": job, "states": JobState})


@router.post("/bulk/{key}/start")
async def start(key: str, desk: Office, visit: Posted) -> Response:
    """Do what was previewed."""
    job = _job(desk.bulk.find(visit.key, key))
    desk.bulk.start(job, desk.submit, actor=visit.account, now=desk.now, changed=desk.changed)
    return go(f"/bulk/{key}")


@router.post("/bulk/{key}/stop")
async def stop(key: str, desk: Office, visit: Posted) -> Response:
    """Stop a job that runs."""
    job = _job(desk.bulk.find(visit.key, key))
    desk.bulk.stop(job)
    return go(f"/bulk/{key}")


def _job(found: Job | None) -> Job:
    if found is None:
        raise NotThere
    return found
