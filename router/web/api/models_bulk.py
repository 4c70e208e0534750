"""What the API takes and gives about actions on many rows."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from router.bulk.jobs import MOST, BulkAction, Job, JobState
from router.web.api.models import at


class BulkIn(BaseModel):
    """What to plan: messages (`replay_messages`, `reroute`) or deliveries, by number.

    Rerouting needs `destination` or `route`; `set_aside` cancels the deliveries that it replaces. Messages may be read
    again with a version of the `mappings` that is not today's.
    """

    action: Literal["replay_messages", "replay_deliveries", "cancel_deliveries", "reroute"]
    messages: list[int] = Field(default=[], max_length=MOST)
    deliveries: list[int] = Field(default=[], max_length=MOST)
    destination: str = ""
    route: str = ""
    set_aside: bool = False
    mappings: int | None = Field(default=None, ge=1, le=2**31)


class StartIn(BaseModel):
    """`confirm` is needed where what is done cannot be undone, or receivers get twice what they have."""

    confirm: bool = False


class PreviewOut(BaseModel):
    """What will happen, counted: by destination, kind and reason to leave alone; `doubles` are received twice."""

    will: int
    patients: int
    left: dict[str, int]
    destinations: dict[str, int]
    kinds: dict[str, int]
    doubles: dict[str, int]


class BulkOut(BaseModel):
    """One action, and how far it is."""

    id: int
    action: BulkAction
    state: JobState
    actor: str
    total: int
    done: int
    changed: int
    target: str
    needs_confirmation: bool
    preview: PreviewOut | None
    problem: str
    started_at: datetime | None
    ended_at: datetime | None
    undo_of: int | None


def bulk_out(job: Job) -> BulkOut:
    """Give a job as the API does."""
    found = job.preview
    preview = (
        None
        if found is None
        else PreviewOut(
            will=found.will,
            patients=found.patients,
            left=dict(found.left),
            destinations=dict(found.destinations),
            kinds=dict(found.kinds),
            doubles=dict(found.doubles),
        )
    )
    return BulkOut(
        id=job.id,
        action=job.action,
        state=job.state,
        actor=job.actor,
        total=job.total,
        done=job.done,
        changed=job.changed,
        target=job.target,
        needs_confirmation=job.final,
        preview=preview,
        problem=job.problem,
        started_at=None if job.started_at is None else at(job.started_at),
        ended_at=None if job.ended_at is None else at(job.ended_at),
        undo_of=job.undo_of,
    )
