"""What the router noticed, the API; and one patient's name, shown on request."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from router.journal import tables
from router.journal.queries_lines import ItemLine, item_lines
from router.journal.queries_overview import notices
from router.journal.retention import holds
from router.journal.view import View
from router.keeping.resealing import find_rotation
from router.web.access import Asked, Looking, Office, Own
from router.web.answers import Values, go, page
from router.web.faults import NotThere
from router.web.filters import Query, query_of, row_number
from router.web.masking import unmasked
from router.web.revealing import noted

router = APIRouter()

PAGE = 50
SEVERITIES = ("error", "warning", "info")


@router.get("/held")
async def held(_visit: Own) -> Response:
    """Lead to the identity desk, where this page's content went: people have marked its address."""
    return go("/identities")


@router.post("/items/{number}/reveal")
async def reveal(number: int, request: Request, desk: Office, visit: Asked) -> Response:
    """Show whose an Item is; noted in the audit first."""

    def find(view: View) -> ItemLine | None:
        return next(iter(item_lines(view, tables.item.c.id == number, replaced=True)), None)

    line = await desk.look(find)
    if line is None:
        raise NotThere
    question = await noted(desk, visit, request, "reveal patient", f"item {number}")
    if question is not None:
        return question
    values = {"patient": line.patient, "names": unmasked(line.patient)}
    return HTMLResponse(await desk.work(lambda: desk.pages.draw(visit, "revealed.html", values)))


@router.get("/notices")
async def notices_page(request: Request, desk: Office, visit: Looking) -> Response:
    """Show what the router noticed beside messages, and how the journal is."""
    query = query_of("/notices", request.query_params, ("severity",))
    before = row_number(request.query_params.get("before", ""))
    severity = query.get("severity") if query.get("severity") in SEVERITIES else None

    def ask(view: View) -> Values:
        rows = notices(view, severity=severity, before=before, limit=PAGE + 1)
        return {
            **_page(query, rows[:PAGE], rows[PAGE - 1].id if len(rows) > PAGE else None, before),
            "severities": SEVERITIES,
            "storage": desk.boards.storage(view),
            "place": desk.context.store.place,
            "rotation": find_rotation(view.connection),
            "held": len(holds(view.connection)),
            "flows": desk.context.flows(),
        }

    return await page(desk, visit, "notices.html", ask)


@router.get("/api")
async def api_page(request: Request, desk: Office, visit: Looking) -> Response:
    """Explain the HTTP API, with examples for this very address."""
    base = f"{request.url.scheme}://{request.headers.get('Host', 'localhost')}"
    return await page(desk, visit, "api.html", lambda _view: {"base": base})


def _page(query: Query, rows: object, following: int | None, before: int | None) -> dict[str, object]:
    return {
        "query": query,
        "rows": rows,
        "following": following,
        "before": before,
        "refresh": query.with_(before=str(before) if before is not None else None),
    }
