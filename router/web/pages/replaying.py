"""A replay looked at before it is done: by which reader, and what it would change."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.journal.actions import replay_words
from router.journal.mapping_versions import mapping_versions
from router.journal.queries_message import load_message
from router.journal.view import View
from router.web.access import Office, Operating
from router.web.answers import Values, page
from router.web.faults import NotThere
from router.web.rereading import CHARSETS, chosen_reader, readers, reread, version_asked

router = APIRouter()


@router.get("/messages/{number}/replay")
async def compare(number: int, request: Request, desk: Office, visit: Operating) -> Response:
    """Show what reading a message again would change, by the reader and with the mappings that are asked for."""
    detail = await desk.look(lambda view: load_message(view, number))
    again = desk.context.read_again
    if detail is None or again is None:
        raise NotThere
    reader = chosen_reader(request.query_params.get("format", ""), request.query_params.get("charset", ""))
    chosen = await version_asked(desk, request.query_params.get("mappings", ""))
    await desk.audit(visit.account, "compare reading", f"message {number}", replay_words(reader, chosen))
    prepared = await again([number], reader, chosen.id if chosen is not None else None)
    if not prepared:
        raise NotThere

    def ask(view: View) -> Values:
        return {
            "message": detail,
            "reader": reader,
            "readers": readers(),
            "charsets": CHARSETS,
            "versions": mapping_versions(view.connection),
            "chosen": chosen,
            "found": reread(view, detail, prepared[0]),
        }

    return await page(desk, visit, "replay.html", ask)
