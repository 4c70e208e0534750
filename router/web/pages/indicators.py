"""Monthly indicators of activity: a table, and the same as CSV and PDF. They name nobody."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.dossier.indicators import Line, Month, NotAMonth, activities, as_csv, as_pdf, lines, month_of
from router.engine.clock import moment
from router.journal.view import View
from router.web.access import Office, Signed
from router.web.answers import Values, download, page
from router.web.desk import Desk
from router.web.faults import NotThere
from router.web.indicator_words import words
from router.web.visits import Visit

router = APIRouter()

PATH = "/indicators"


@router.get(PATH)
async def indicators(request: Request, desk: Office, visit: Signed) -> Response:
    """Show the indicators of a month, by default the one before this."""
    given = request.query_params.get("month", "")
    try:
        month = _month(given, desk, visit)
    except NotAMonth:
        month = None

    found: list[Line] | None = []
    seconds = 0.0
    if month is not None:
        counted = month
        name = f"{month.name} {visit.zone.key}"
        found, seconds = await desk.indicators.get(
            name, lambda: desk.look(lambda view: lines(activities(view, counted)))
        )

    def ask(_view: View) -> Values:
        rows = found or []
        return {
            "month": month.name if month is not None else given[:20],
            "rows": rows,
            "known": month is not None,
            "counting": found is None,
            "seconds": round(seconds),
            "names": words(visit.texts, rows),
        }

    return await page(desk, visit, "indicators.html", ask)


@router.get(PATH + "/{name}")
async def file(name: str, desk: Office, visit: Signed) -> Response:
    """Give the indicators of a month as a file: `2026-11.csv`, `2026-11.pdf`."""
    given, _, kind = name.partition(".")
    try:
        month = _month(given, desk, visit)
    except NotAMonth:
        raise NotThere from None
    if kind not in {"csv", "pdf"}:
        raise NotThere

    def make(view: View) -> bytes:
        found: list[Line] = lines(activities(view, month))
        if kind == "csv":
            return as_csv(month, found)
        title = f"{visit.texts.say('indicators.title').unescape()} {month.name}"
        made_at = moment(desk.now()).astimezone(visit.zone).isoformat(timespec="seconds")
        return as_pdf(month, found, words(visit.texts, found), title, made_at)

    media_type = "text/csv" if kind == "csv" else "application/pdf"
    return download(await desk.look(make), f"indicators-{month.name}.{kind}", media_type)


def _month(given: str, desk: Desk, visit: Visit) -> Month:
    today = moment(desk.now()).astimezone(visit.zone)
    last = f"{today.year - (today.month == 1)}-{(today.month - 2) % 12 + 1:02d}"
    return month_of(given or last, visit.zone)
