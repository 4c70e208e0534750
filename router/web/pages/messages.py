"""The list of messages: search, filters, pages, and replays of many."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.bulk.jobs import MOST, BulkAction
from router.journal.queries import MessageFilters, count_messages, count_newer, find_message_ids, find_messages, window
from router.journal.view import Capped, View
from router.web.access import Asked, Looking, Office, Posted
from router.web.answers import Values, go, page
from router.web.bulk import known_target, plan, targets
from router.web.desk import Desk
from router.web.faults import NotThere
from router.web.filters import MESSAGE_WISHES, Query, message_chips, message_filters, query_of, row_number, search_of
from router.web.formatting import Formats
from router.web.saved import saved_searches
from router.web.visits import Visit

router = APIRouter()

PATH = "/messages"


@router.get(PATH)
async def messages(request: Request, desk: Office, visit: Looking) -> Response:
    """Show a page of messages; `before` is the cursor, `top` and `end` the part that is on the screen already."""
    query = query_of(PATH, request.query_params, MESSAGE_WISHES)
    before, top, end = (row_number(request.query_params.get(name, "")) for name in ("before", "top", "end"))
    text = searched(desk, visit, query)

    def ask(view: View) -> Values:
        filters = filters_of(view, visit, query, text)
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
            "chips": message_chips(query, formats, names, people=visit.may("read")),
            "rows": rows,
            "before": before,
            "following": following,
            "walked_to": walked,
            "capped": capped,
            "newer": newer,
            "count": _count(view, filters, len(rows), following, walked)
            if query.values and before is None and not visit.partial
            else None,
            "refresh": _refresh(query, before, rows[0].id, rows[-1].id) if rows else query.with_(),
            "most": MOST,
            "targets": targets(desk),
            "saved": [] if visit.partial or not visit.may("read") else saved_searches(view.connection, visit.account),
        }

    return await page(desk, visit, "messages.html", ask)


@router.post(PATH + "/search")
async def search(request: Request, desk: Office, visit: Asked) -> Response:
    """Remember what is searched for, and go to its page: the address holds a random word in its place."""
    query = query_of(PATH, {name: visit.posted(name) for name in MESSAGE_WISHES}, MESSAGE_WISHES)
    typed = " ".join(visit.posted(name) for name in ("text", "family", "born", "number"))
    text = " ".join(typed.split())[:200]
    if not text:
        return go(query.with_(search=None))
    await desk.audit(visit.account, "search", "messages")
    return go(query.with_(search=desk.searches.keep(visit.key, text)))


@router.post(PATH + "/replay")
async def plan_replay(desk: Office, visit: Posted) -> Response:
    """Preview the replay of the chosen messages, or of all that match the filters."""
    return await _plan(desk, visit, BulkAction.REPLAY_MESSAGES)


@router.post(PATH + "/reroute")
async def plan_reroute(desk: Office, visit: Posted) -> Response:
    """Preview sending what these messages said to another destination, or by another route."""
    target = known_target(desk, visit.posted("target"))
    if not target:
        raise NotThere
    return await _plan(desk, visit, BulkAction.REROUTE, target)


async def _plan(desk: Desk, visit: Visit, action: BulkAction, target: str = "") -> Response:
    query = query_of(PATH, {name: visit.posted(name) for name in MESSAGE_WISHES}, MESSAGE_WISHES)
    ids, more = await chosen_messages(desk, visit, query)
    if not ids:
        return go(query.with_())
    job = await plan(desk, action, ids, actor=visit.account, more=more, back=query.with_(), target=target)
    return go(f"/bulk/{job.id}")


async def chosen_messages(desk: Desk, visit: Visit, query: Query) -> tuple[list[int], bool]:
    """Give the messages that were ticked, or all that match the filters; whether there are more than one action takes.

    Oldest first.
    """
    if visit.posted("all"):
        text = searched(desk, visit, query)
        return await desk.look(lambda view: find_message_ids(view, filters_of(view, visit, query, text), limit=MOST))
    chosen = {number for value in visit.form.get("id", ()) if (number := row_number(value)) is not None}
    return sorted(chosen)[:MOST], False


def _count(view: View, filters: MessageFilters, shown: int, following: int | None, walked: int | None) -> Capped | None:
    """Count what matches: what is shown when that is all; nothing where the page itself did not come to its end."""
    if walked is not None:
        return None
    return Capped(shown) if following is None else count_messages(view, filters)


def filters_of(view: View, visit: Visit, query: Query, text: str | None) -> MessageFilters:
    """Read the filters of an address, with what its search stands for."""
    search = search_of(view.sealer, text) if text else None
    return message_filters(query, now=visit.now, zone=visit.zone, search=search, sealer=view.sealer)


def searched(desk: Desk, visit: Visit, query: Query) -> str | None:
    """Give what the search of an address stands for, None without one or when it is another session's."""
    key = query.get("search")
    return desk.searches.recall(visit.key, key) if key else None


def _refresh(query: Query, before: int | None, top: int, end: int) -> str:
    cursor = {"before": str(before)} if before is not None else {}
    return query.with_(**cursor, top=str(top), end=str(end))
