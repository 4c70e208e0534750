"""Submissions to the DMP and to document-sharing servers: their names there, their versions, what holds them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from connectors.contracts import ReferenceKind
from router.journal.naming import NamingLine
from router.journal.queries_submissions import (
    SubmissionFilters,
    SubmissionLine,
    find_submissions,
    load_submission,
)
from router.journal.tables import DeliveryState
from router.web.access import Called, Office, Watcher
from router.web.api.models import DeliveryOut, at, delivery_out
from router.web.faults import NotThere
from router.web.pages.dmp import ends_of
from router.web.submissions import may_insist
from schemas.finding import Finding

router = APIRouter(tags=["submissions"])


class VersionOut(BaseModel):
    """One version of a document that was submitted."""

    unique_id: str
    delivery_id: int
    state: str
    at: datetime


class NamingOut(BaseModel):
    """How far it has come with names that are told only later: `learnt`, `waiting`, `absent`, `denied`, `trouble`.

    `nothing` where there is nothing to ask about. `due_at` is null once the server is not asked any more.
    """

    state: str
    due_at: datetime | None
    looked_at: datetime | None
    detail: str


class SubmissionOut(BaseModel):
    """A submission with its Delivery; `type` is the document's in its sender's words, never its title.

    `findings` come with one submission, not with a list. `insistable` is false for one that is held by a rule which
    nobody may overrule.
    """

    delivery: DeliveryOut
    type: str
    operation: str
    unique_id: str
    entry_uuid: str
    logical_id: str
    replaces: str
    versions: list[VersionOut]
    naming: NamingOut | None
    findings: list[Finding] = []
    insistable: bool


class SubmissionsOut(BaseModel):
    """A page, newest first. `next` goes on from here as `before`; null at the end."""

    submissions: list[SubmissionOut]
    next: int | None


class CertificateOut(BaseModel):
    """A certificate that the configuration names; `days` are left, negative once it has ended, null when unreadable."""

    owner: str
    use: str
    common_name: str
    until: datetime | None
    days: int | None
    trouble: str | None


@router.get("/submissions")
async def submissions(
    desk: Office,
    _caller: Called,
    state: DeliveryState | None = None,
    destination: str | None = None,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> SubmissionsOut:
    """List submissions, newest first; `before` is the `next` of the page above."""
    filters = SubmissionFilters(destination, state)
    found = await desk.look(lambda view: find_submissions(view, filters, before=before, limit=limit))
    return SubmissionsOut(submissions=[_submission(row) for row in found.rows], next=found.before)


@router.get("/submissions/{number}")
async def one_submission(number: int, desk: Office, _caller: Called) -> SubmissionOut:
    """Give one submission by the number of its Delivery."""
    found = await desk.look(lambda view: load_submission(view, number))
    if found is None:
        raise NotThere
    return _submission(found).model_copy(update={"findings": list(found.findings)})


@router.get("/certificates")
async def certificates(desk: Office, _caller: Watcher) -> list[CertificateOut]:
    """List every certificate that the configuration names, those that end first before the others."""
    return [
        CertificateOut(
            owner=line.end.owner,
            use=line.end.use.value,
            common_name=line.end.common_name,
            until=line.end.until,
            days=line.days,
            trouble=line.end.trouble.value if line.end.trouble is not None else None,
        )
        for line in await desk.work(lambda: ends_of(desk))
    ]


def _submission(line: SubmissionLine) -> SubmissionOut:
    return SubmissionOut(
        delivery=delivery_out(line.delivery),
        type=line.type,
        operation=line.operation,
        unique_id=line.unique_id,
        entry_uuid=line.name(ReferenceKind.ENTRY_UUID),
        logical_id=line.name(ReferenceKind.LOGICAL_ID),
        replaces=line.replaces,
        versions=[
            VersionOut(unique_id=one.unique_id, delivery_id=one.delivery_id, state=one.state.value, at=at(one.at))
            for one in line.versions
        ],
        naming=_naming(line.naming),
        insistable=may_insist(line.findings),
    )


def _naming(line: NamingLine | None) -> NamingOut | None:
    if line is None:
        return None
    due = at(line.due_at) if line.due_at is not None else None
    looked = at(line.looked_at) if line.looked_at is not None else None
    return NamingOut(state=line.state.value, due_at=due, looked_at=looked, detail=line.detail)
