"""Laboratories' own codes: what no map answers, what was mapped, and replays of what a mapping concerns."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mappings.concept_map import LONGEST_CODE, MapEntry, Term, TermKind, target_of
from mappings.concept_map_csv import write_maps
from router.bulk.jobs import MOST, BulkAction
from router.codes.changes import map_terms, unmap_term
from router.codes.maps import load_entries
from router.codes.proposals import label_of, proposals
from router.codes.worklist import (
    Affected,
    Decided,
    affected,
    count_affected,
    decided_codes,
    find_decided,
    find_decision,
    senders,
    unmapped_codes,
)
from router.journal.view import View
from router.web.access import Looking, Office, Posted
from router.web.answers import Values, download, go, page
from router.web.bulk import plan
from router.web.faults import NotThere
from router.web.filters import Chip, Option, Query, query_of, row_number
from router.web.texts import Texts
from router.web.visits import Visit

router = APIRouter()

PATH = "/codes"
WISHES = ("view", "sender")
KINDS = frozenset(kind.value for kind in TermKind)
PAGE = 50
COUNTED = 1_000
"""Codes of the worklist that are counted."""

ROW_CAP = 100
"""Messages counted for each mapping of a list: enough to see that some wait to be read again."""


@router.get(PATH)
async def codes(request: Request, desk: Office, visit: Looking) -> Response:
    """Show the worklist, or the mappings that persons made; `done` is the mapping just made."""
    query = query_of(PATH, request.query_params, WISHES)
    start, before, done = (row_number(request.query_params.get(name, "")) for name in ("start", "before", "done"))
    wrong = request.query_params.get("wrong", "")

    def ask(view: View) -> Values:
        desk.codes.refresh(view.connection)
        values = _mapped(view, query, before) if query.get("view") == "mapped" else _to_map(desk, view, query, start)
        made = find_decided(view, done) if done is not None else None
        return {
            "query": query,
            "chips": _chips(query, senders(view), visit.texts),
            "problems": desk.codes.problems,
            "wrong": wrong if wrong in KINDS else "",
            "made": made,
            "made_before": _waiting(view, made, MOST) if made is not None else None,
            **values,
        }

    return await page(desk, visit, "codes.html", ask)


def _to_map(desk: Office, view: View, query: Query, start: int | None) -> Values:
    first = min(start or 0, COUNTED)
    found = unmapped_codes(view, desk.codes, sender=query.get("sender") or None, limit=COUNTED + 1)
    shown = found[first : first + PAGE]
    following = first + PAGE if len(found) > first + PAGE and first + PAGE < COUNTED else None
    rows = [(one, proposals(one)) for one in shown]
    return {"rows": rows, "count": min(len(found), COUNTED), "more": len(found) > COUNTED, "following": following}


def _mapped(view: View, query: Query, before: int | None) -> Values:
    found = decided_codes(view, sender=query.get("sender") or None, after=before, limit=PAGE + 1)
    rows = [(one, _waiting(view, one, ROW_CAP)) for one in found[:PAGE]]
    return {"rows": rows, "following": found[PAGE - 1].id if len(found) > PAGE else None}


def _waiting(view: View, made: Decided, cap: int) -> object:
    return count_affected(view, made.entry.sender, made.entry.term, made.entry.target, cap=cap)


def _chips(query: Query, names: list[str], texts: Texts) -> list[Chip]:
    chosen = query.get("sender")
    options = tuple(Option(name, query.with_(sender=name), name == chosen) for name in names)
    return [Chip("sender", texts.say("codes.sender"), chosen, query.with_(sender=None), options)] if names else []


@router.post(PATH + "/map")
async def map_code(desk: Office, visit: Posted) -> Response:
    """Keep what a code means, then show how many messages were read before."""
    query = query_of(PATH, {"sender": visit.posted("only")}, WISHES)
    entry = _entry(visit)
    if entry is None:
        kind = visit.posted("kind")
        return go(query.with_(wrong=kind if kind in KINDS else TermKind.CODE.value))
    await desk.submit(map_terms([entry], actor=visit.account, now=desk.now()))
    made = await desk.look(lambda view: find_decision(view, entry.sender, entry.term))
    return go(query.with_(done=str(made.id) if made is not None else None))


def _entry(visit: Visit) -> MapEntry | None:
    """Give the mapping that was posted, or None when its target cannot be one. Raises NotThere for no code at all."""
    sender, system, code = visit.posted("sender"), visit.posted("system"), visit.posted("code")
    kind = visit.posted("kind")
    if not sender or not code or kind not in KINDS or max(map(len, (sender, system, code))) > LONGEST_CODE:
        raise NotThere
    target = visit.posted("choice") or visit.posted("target")
    try:
        coding = target_of(TermKind(kind), target, display=label_of(target.strip()))
    except ValueError:
        return None
    return MapEntry(sender, Term(TermKind(kind), system, code), coding)


@router.post(PATH + "/unmap")
async def unmap_code(desk: Office, visit: Posted) -> Response:
    """Take a mapping back."""
    number = row_number(visit.posted("number"))
    if number is None or not await desk.submit(unmap_term(number, actor=visit.account, now=desk.now())):
        raise NotThere
    return go(query_of(PATH, {"view": "mapped", "sender": visit.posted("only")}, WISHES).with_())


@router.post(PATH + "/replay")
async def replay(desk: Office, visit: Posted) -> Response:
    """Preview the replay of the messages that were read before a code had its mapping."""
    number = row_number(visit.posted("number"))

    def find(view: View) -> Affected | None:
        made = find_decided(view, number) if number is not None else None
        if made is None:
            return None
        return affected(view, made.entry.sender, made.entry.term, made.entry.target, limit=MOST)

    found = await desk.look(find)
    if found is None:
        raise NotThere
    if not found.ids:
        return go(f"{PATH}?done={number}")
    job = await plan(desk, BulkAction.REPLAY_MESSAGES, found.ids, actor=visit.account, more=found.more, back=PATH)
    return go(f"/bulk/{job.id}")


@router.get(PATH + "/maps.csv")
async def export(desk: Office, _visit: Looking) -> Response:
    """Give the mappings that persons made, as CSV."""
    text = await desk.look(lambda view: write_maps(entry for _, entry in load_entries(view.connection)))
    return download(text.encode(), "codes.csv", "text/csv")
