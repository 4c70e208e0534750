"""Files shown in place: PDF and pictures only, from our own origin, each look noted in the audit like a download.

A file is shown only if it begins as its media type says. The answer allows nothing but its own display: no script, no
further address, no frame but ours. A picture is sandboxed too; a PDF cannot be, browsers would refuse to show it.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import ValidationError

from mappings.contracts import FormatError
from router.journal.queries_message import item_body
from router.journal.view import View
from router.web.access import Office, Signed
from router.web.answers import framed, inline
from router.web.attachments import File, attachment, is_what_it_says, media, viewing
from router.web.desk import Desk
from router.web.faults import NotThere
from router.web.visits import Visit
from schemas.item import ITEM, Item

router = APIRouter()


@router.get("/view/items/{number}/attachments/{rank}")
async def view_attachment(number: int, rank: int, desk: Office, visit: Signed) -> Response:
    """Show a file that an Item holds."""
    return await _show(desk, visit, number, lambda view, item: attachment(view, item, rank))


@router.get("/view/items/{number}/attachments/{rank}/media/{inner}")
async def view_media(number: int, rank: int, inner: int, desk: Office, visit: Signed) -> Response:
    """Show a file that is inside a CDA that an Item holds."""
    return await _show(desk, visit, number, lambda view, item: media(view, item, rank, inner))


def found_in(view: View, number: int, find: Callable[[View, Item], File | None]) -> File | None:
    """Look a file up in an Item; None when there is no such Item or file, or its bytes are gone."""
    body = item_body(view, number)
    try:
        return find(view, ITEM.validate_json(body)) if body is not None else None
    except (ValidationError, FileNotFoundError, FormatError):
        return None


async def _show(desk: Desk, visit: Visit, number: int, find: Callable[[View, Item], File | None]) -> Response:
    found = await desk.look(lambda view: found_in(view, number, find))
    if found is None:
        raise NotThere
    name, media_type, content = found
    await desk.audit(visit.account, "view file", f"item {number}")
    kind = viewing(media_type)
    if not kind or not is_what_it_says(media_type, content):
        return framed(str(visit.texts.say("document.odd")), status=415)
    return inline(content, name, media_type, sandboxed=kind == "image")
