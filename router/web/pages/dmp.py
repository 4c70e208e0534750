"""The DMP and document-sharing servers: what was submitted, under which names and in which versions, and what holds.

Certificates with their ends and the sources that retrieve documents stand beside. A title is shown one at a time, and
noted first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from connectors.certificates import WARN_DAYS
from router.certificates import CertificateEnd
from router.journal.queries_submissions import (
    SubmissionFilters,
    cursors,
    find_submissions,
    load_submission,
)
from router.journal.tables import DeliveryState
from router.journal.view import View
from router.web.access import Asked, Looking, Office
from router.web.answers import Values, page
from router.web.context import SUBMITTING, FlowStatus
from router.web.desk import Desk
from router.web.faults import NotThere
from router.web.filters import delivery_chips, enum_of, query_of, row_number
from router.web.formatting import Formats
from router.web.revealing import noted
from router.web.submissions import may_insist

router = APIRouter()

PATH = "/dmp"
WISHES = ("state", "destination")


@dataclass(frozen=True, slots=True)
class PullLine:
    """A source that retrieves documents.

    `followed` is of how many patients it remembers where it is; `oldest_at` is when the search that lies furthest back
    was, `newest_at` the last one, `last_at` when a document last came. Microseconds, None where there was none.
    """

    status: FlowStatus
    followed: int
    oldest_at: int | None
    newest_at: int | None
    last_at: int | None
    figures: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class EndLine:
    """A certificate with the days that are left; None where its file cannot be read."""

    end: CertificateEnd
    days: int | None

    @property
    def tone(self) -> str:
        """`red` for what cannot be used, `amber` for what ends soon, `green` for the rest."""
        if self.days is None or self.days < 0 or (self.end.trouble is not None and self.end.trouble != "expiring"):
            return "red"
        return "amber" if self.days < WARN_DAYS else "green"


@router.get(PATH)
async def submissions(request: Request, desk: Office, visit: Looking) -> Response:
    """Show a page of submissions; `before` is the cursor."""
    query = query_of(PATH, request.query_params, WISHES)
    before = row_number(request.query_params.get("before", ""))
    filters = SubmissionFilters(query.get("destination") or None, enum_of(DeliveryState, query.get("state")))

    def ask(view: View) -> Values:
        found = find_submissions(view, filters, before=before)
        names = [flow.name for flow in desk.context.flows() if flow.connector in SUBMITTING]
        return {
            "query": query,
            "chips": delivery_chips(query, Formats(visit.texts, visit.zone, visit.now), names),
            "rows": found.rows,
            "following": found.before,
            "walked": found.walked,
            "may_insist": may_insist,
            "ends": ends_of(desk),
            "pulls": list(pulls_of(desk, view, visit.now)),
            "refresh": query.with_(before=str(before) if before is not None else None),
        }

    return await page(desk, visit, "dmp.html", ask)


@router.post(PATH + "/{number}/title")
async def title(number: int, request: Request, desk: Office, visit: Asked) -> Response:
    """Show the title of a document that was submitted; noted in the audit first."""
    found = await desk.look(lambda view: load_submission(view, number))
    if found is None:
        raise NotThere
    question = await noted(desk, visit, request, "reveal title", f"delivery {number}")
    if question is not None:
        return question
    text = found.item.title if found.item is not None else ""
    return HTMLResponse(await desk.work(lambda: desk.pages.draw(visit, "revealed_text.html", {"text": text})))


def ends_of(desk: Desk) -> list[EndLine]:
    """Give the certificates of the whole router, those that end first before the others."""
    now = desk.context.now()
    return [EndLine(end, end.days(now)) for end in desk.boards.certificate_ends()]


def pulls_of(desk: Desk, view: View, now: int) -> Iterator[PullLine]:
    """Give the sources that retrieve documents."""
    last = {line.status.name: line.last_at for line in desk.boards.board(view, now).sources}
    for flow in desk.context.flows():
        if flow.side == "source" and flow.connector in SUBMITTING:
            count, oldest, newest = cursors(view, flow.name)
            figures = tuple((name, value) for name, value in flow.figures.items() if isinstance(value, int))
            yield PullLine(flow, count, oldest, newest, last.get(flow.name), figures)
