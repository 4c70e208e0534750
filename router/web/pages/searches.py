"""Searches kept by name: kept, opened, counted, pinned, forgotten."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from markupsafe import escape

from router.journal.queries import count_messages
from router.journal.view import Capped, View
from router.web.access import Asked, Office, Signed
from router.web.answers import go
from router.web.faults import NotThere
from router.web.filters import MESSAGE_WISHES, query_of
from router.web.formatting import Formats
from router.web.pages.messages import PATH, filters_of, searched
from router.web.saved import SavedSearch, forget_search, pin_search, save_search, saved_search

router = APIRouter()


@router.post("/searches")
async def keep(desk: Office, visit: Asked) -> Response:
    """Keep the search of a page under a name."""
    query = query_of(PATH, {name: visit.posted(name) for name in MESSAGE_WISHES}, MESSAGE_WISHES)
    text = searched(desk, visit, query) or ""
    change = save_search(
        visit.posted("name"),
        {name: value for name, value in query.values.items() if name != "search"},
        text,
        owner=visit.account,
        shared=bool(visit.posted("shared")),
        pinned=bool(visit.posted("pinned")),
        now=desk.now(),
    )
    await desk.submit(change)
    return go(query.with_())


@router.get("/searches/{number}")
async def use(number: int, desk: Office, visit: Signed) -> Response:
    """Go to the page of a search; what it looks for of a person is a random word there."""

    def find(view: View) -> tuple[SavedSearch, str] | None:
        found = saved_search(view.connection, number, visit.account)
        return (found, found.text(view.sealer)) if found is not None else None

    found = await desk.look(find)
    if found is None:
        raise NotThere
    saved, text = found
    query = query_of(PATH, saved.wishes, MESSAGE_WISHES)
    if not text:
        return go(query.with_())
    await desk.audit(visit.account, "search", "messages", f"saved search {number}")
    return go(query.with_(search=desk.searches.keep(visit.key, text)))


@router.get("/searches/{number}/count")
async def count(number: int, desk: Office, visit: Signed) -> Response:
    """Give how many messages a search finds, for its place in the menu of the page."""

    def ask(view: View) -> Capped | None:
        found = saved_search(view.connection, number, visit.account)
        if found is None:
            return None
        query = query_of(PATH, found.wishes, MESSAGE_WISHES)
        return count_messages(view, filters_of(view, visit, query, found.text(view.sealer) or None))

    found = await desk.look(ask)
    if found is None:
        raise NotThere
    return HTMLResponse(str(escape(Formats(visit.texts, visit.zone, visit.now).capped(found))))


@router.post("/searches/{number}/{action}")
async def change(number: int, action: str, desk: Office, visit: Asked) -> Response:
    """Pin a search of one's own, or forget it."""
    if action == "pin":
        done = await desk.submit(pin_search(number, owner=visit.account))
    elif action == "forget":
        done = await desk.submit(forget_search(number, owner=visit.account, now=desk.now()))
    else:
        raise NotThere
    if not done:
        raise NotThere
    return go(PATH)
