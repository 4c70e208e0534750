"""Exporting a search: a table, streamed, or the original bytes in a ZIP. Each export is noted before it begins."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse

from router.web.access import Asked, Office
from router.web.answers import go
from router.web.exports import Shape, originals, table
from router.web.faults import NotEntitled, NotThere
from router.web.filters import MESSAGE_WISHES, enum_of, query_of, row_number
from router.web.pages.messages import PATH, chosen_messages, filters_of, searched

router = APIRouter()


@router.post(PATH + "/export")
async def export(desk: Office, visit: Asked) -> Response:
    """Give the chosen messages, or all that match the filters. Raises NotEntitled for names and for originals."""
    shape = enum_of(Shape, visit.posted("shape"))
    if shape is None:
        raise NotThere
    revealed = bool(visit.posted("reveal")) and shape is not Shape.ZIP
    if (revealed and not (visit.may("operate") or visit.may("decide"))) or (
        shape is Shape.ZIP and not visit.may("operate")
    ):
        raise NotEntitled
    query = query_of(PATH, {name: visit.posted(name) for name in MESSAGE_WISHES}, MESSAGE_WISHES)
    text = searched(desk, visit, query)
    if query.get("search") and text is None:
        return go(query.with_())  # it has expired: without it, all messages would be exported
    chosen = [] if visit.posted("all") else _ticked(visit.form.get("id", ()))
    if not chosen and not visit.posted("all"):
        return go(query.with_())
    said = f"{shape.value}, {'names shown' if revealed else 'originals' if shape is Shape.ZIP else 'masked'}"
    if shape is Shape.ZIP:
        ids, _more = (chosen, False) if chosen else await chosen_messages(desk, visit, query)
        await desk.audit(visit.account, "export", f"{len(ids)} messages", said)
        stream = originals(desk, ids)
    else:
        what = f"{len(chosen)} messages" if chosen else "messages of a search"
        await desk.audit(visit.account, "export", what, said)
        stream = table(desk, shape, lambda view: filters_of(view, visit, query, text), chosen, revealed=revealed)
    headers = {
        "Content-Disposition": f'attachment; filename="messages.{shape.value}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
        "Cache-Control": "no-store",
    }
    return StreamingResponse(stream, media_type=shape.media_type, headers=headers)


def _ticked(values: object) -> list[int]:
    given = values if isinstance(values, list) else []
    return sorted({number for value in given if (number := row_number(value)) is not None})
