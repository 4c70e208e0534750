"""Merges of two patients that messages made: which stand, what undoing one would do, and undoing it with a reason."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.desk.merges import MergeLine, MergeState, merge_line, merges
from router.desk.queue import piles
from router.identity.flows_foreseen import Foreseen
from router.identity.flows_merge import UndoRefusal, foresee_undoing, undo_merge
from router.identity.tasks import open_tasks
from router.journal.view import View
from router.web.access import Decided, Office, Signed
from router.web.answers import Values, go, page
from router.web.faults import NotThere
from router.web.filters import enum_of, query_of, row_number
from router.web.retained import retained_since

router = APIRouter()

PATH = "/identities/merges"
PAGE = 50
NO_WHY = "no_why"
"""Refused because nobody said why."""


@router.get(PATH)
async def listed(request: Request, desk: Office, visit: Signed) -> Response:
    """Show the merges, newest first: of everybody, or of one patient."""
    query = query_of(PATH, request.query_params, ("state", "patient"))
    before = row_number(request.query_params.get("before", ""))

    def ask(view: View) -> Values:
        found = merges(
            view,
            state=enum_of(MergeState, query.get("state")),
            patient_id=row_number(query.get("patient")),
            before=before,
            limit=PAGE + 1,
            not_before=retained_since(desk),
        )
        return {
            "query": query,
            "pile": "merges",
            "piles": piles(view),
            "rows": found[:PAGE],
            "before": before,
            "states": [one.value for one in MergeState],
            "following": found[PAGE - 1].id if len(found) > PAGE else None,
        }

    return await page(desk, visit, "merges.html", ask)


@router.get(PATH + "/{number}")
async def one(number: int, request: Request, desk: Office, visit: Signed) -> Response:
    """Show one merge, and what undoing it would do."""

    def find(view: View) -> tuple[MergeLine, Foreseen | None] | None:
        line = merge_line(view, number, not_before=retained_since(desk))
        if line is None:
            return None
        foreseen = foresee_undoing(view, number, not_before=retained_since(desk)) if line.refusal is None else None
        return line, foreseen if isinstance(foreseen, Foreseen) else None

    found = await desk.look(find)
    if found is None:
        raise NotThere
    line, foreseen = found

    def ask(view: View) -> Values:
        both = (line.survivor.patient_id, line.absorbed.patient_id)
        tasks = {who: len(open_tasks(view, patient_id=who)) for who in both}
        return {
            "pile": "merges",
            "piles": piles(view),
            "merge": line,
            "foreseen": foreseen,
            "tasks": {who: count for who, count in tasks.items() if count},
            "refused": _refused(request),
            "done": _done(request) if line.undone_at is not None else None,
        }

    return await page(desk, visit, "merge.html", ask)


@router.post(PATH + "/{number}/undo")
async def undo(number: int, desk: Office, visit: Decided) -> Response:
    """Undo a merge, with why; its page then says what was done."""
    why = visit.posted("why").strip()
    if not why:
        return go(f"{PATH}/{number}?refused={NO_WHY}")
    change = undo_merge(number, actor=visit.account, why=why, now=desk.now(), not_before=retained_since(desk))
    undone = await desk.submit(change)
    if undone.refusal is UndoRefusal.NO_MERGE:
        raise NotThere
    if undone.refusal is not None:
        return go(f"{PATH}/{number}?refused={undone.refusal.value}")
    desk.changed()
    return go(f"{PATH}/{number}?done={undone.done.anew}-{undone.done.stopped}-{undone.done.told}")


def _refused(request: Request) -> str:
    found = request.query_params.get("refused", "")
    return found if found == NO_WHY or enum_of(UndoRefusal, found) is not None else ""


def _done(request: Request) -> tuple[int, ...] | None:
    """Read what an undoing did: Items prepared anew, Deliveries stopped, Deliveries that had left."""
    found = [row_number(part) for part in request.query_params.get("done", "").split("-")]
    numbers = tuple(one for one in found if one is not None)
    return numbers if len(numbers) == len(found) == 3 else None
