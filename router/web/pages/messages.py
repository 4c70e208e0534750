"""The list of messages: search, filters, pages, and replays of many."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.journal.queries import MessageFilters, count_newer, find_message_ids, find_messages, window
from router.journal.view import View
from router.web.access import Asked, Looking, Office, Posted
from router.web.answers import Values, go, page
from router.web.bulk import MOST, BulkAction
from router.web.desk import Desk
from router.web.filters import MESSAGE_WISHES, Query, message_chips, message_filters, query_of, row_number, search_of
from router.web.formatting import Formats
from router.web.visits import Visit

router = APIRouter()

PATH = "/messages"


@router.get(PATH)
async def messages(request: Request, desk: Office, visit: Looking) -> Response:
    """Show a page of messages; `before` is the cursor, `top` and `end` the part that is on the screen already."""
    query = query_of(PATH, request.query_params, MESSAGE_WISHES)
    before, top, end = (row_number(request.query_params.get(name, "")) for name in ("before", "top", "end"))
    text = _searched(desk, visit, query)

    def ask(view: View) -> Values:
        filters = _filters(view, visit, query, text)
        formats = Formats(visit.texts, visit.zone, visit.now)
        newer = 0
        if visit.partial and top is not None and end is not None:
            rows, following, walked, capped = window(view, top, end, filters), None, None, False
            newer = 0 if filters.search is not None or before is not None else count_newer(view, filters, top)
        else:
            found = find_messages(view, filters, before=before)
            rows, following, walked, capped = found.rows, found.before, found.walked_to, found.candidates_capped
        names = [status.name for status in desk.context.flows() if status.side == "source"]
        return {
            "query": query,
            "text": text,
            "expired": bool(query.get("search")) and text is None,
            "chips": message_chips(query, formats, names),
            "rows": rows,
            "before": before,
            "following": following,
            "walked_to": walked,
            "capped": capped,
            "newer": newer,
            "refresh": _refresh(query, before, rows[0].id, rows[-1].id) if rows else query.with_(),
            "most": MOST,
        }

    return await page(desk, visit, "messages.html", ask)


@router.post(PATH + "/search")
async def search(request: Request, desk: Office, visit: Asked) -> Response:
    """Remember what is searched for, and go to its page: the address holds a random word in its place."""
    query = query_of(PATH, {name: visit.posted(name) for name in MESSAGE_WISHES}, MESSAGE_WISHES)
    text = " ".join(visit.posted("text").split())[:200]
    if not text:
        return go(query.with_(search=None))
    await desk.audit(visit.account, "search", "messages")
    return go(query.with_(search=desk.searches.keep(visit.key, text)))


@router.post(PATH + "/replay")
async def plan_replay(request: Request, desk: Office, visit: Posted) -> Response:
    """Preview the replay of the chosen messages, or of all that match the filters."""
    query = query_of(PATH, {name: visit.posted(name) for name in MESSAGE_WISHES}, MESSAGE_WISHES)
    text = _searched(desk, visit, query)
    if visit.posted("all"):
        ids, more = await desk.look(lambda view: find_message_ids(view, _filters(view, visit, query, text), limit=MOST))
    else:
        chosen = {number for value in visit.form.get("id", ()) if (number := row_number(value)) is not None}
        ids, more = sorted(chosen)[:MOST], False
    if not ids:
        return go(query.with_())
    job = desk.bulk.plan(visit.key, BulkAction.REPLAY_MESSAGES, ids, more=more, back=query.with_())
    return go(f"/bulk/{job.key}")


def _filters(view: View, visit: Visit, query: Query, text: str | None) -> MessageFilters:
    search = search_of(view.sealer, text) if text else None
    return message_filters(query, now=visit.now, zone=visit.zone, search=search)


def _searched(desk: Desk, visit: Visit, query: Query) -> str | None:
    key = query.get("search")
    return desk.searches.recall(visit.key, key) if key else None


def _refresh(query: Query, before: int | None, top: int, end: int) -> str:
    cursor = {"before": str(before)} if before is not None else {}
    return query.with_(**cursor, top=str(top), end=str(end))
