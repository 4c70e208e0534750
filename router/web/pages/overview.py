"""Today: what is wrong, what is happening, what happened, what ends soon."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.journal.view import View
from router.watch.alarms import open_alarms
from router.web.access import Looking, Office
from router.web.answers import Values, page
from router.web.boards import HOUR, Board
from router.web.charts import Chart, chart_of
from router.web.desk import Desk
from router.web.ends import SHOWN_DAYS, ends_of
from router.web.flow_map import flow_map
from router.web.formatting import Formats
from router.web.history import History, Period, usual_of
from router.web.troubles import troubles
from router.web.visits import Visit

router = APIRouter()


@router.get("/")
async def overview(request: Request, desk: Office, visit: Looking) -> Response:
    """Show the overview; `period` says how far back its chart looks."""
    period = Period.of(request.query_params.get("period"))

    def ask(view: View) -> Values:
        board = desk.boards.board(view, visit.now)
        formats = Formats(visit.texts, visit.zone, visit.now)
        alarms = open_alarms(view.connection)
        outlook = desk.boards.outlook(view, visit.now)
        known = desk.context.known_ends()
        return {
            "board": board,
            "map": flow_map(board, alarms),
            "troubles": troubles(
                board,
                formats,
                identity_hours=desk.context.identity_alert_hours,
                receipt_hours=desk.context.receipt_hours,
                alarms=alarms,
                outlook=outlook,
                routes=desk.context.routes(),
                applied=desk.context.applied(),
            ),
            "chart": _chart(desk, view, visit, board, period, formats),
            "periods": tuple(Period),
            "refresh": "/" if period is Period.DAY else f"/?period={period}",
            "ends": ends_of(view, desk.boards.certificate_ends(), known, visit.now),
            "shown_days": SHOWN_DAYS,
            "outlook": outlook,
            "identity_late_at": visit.now - desk.context.identity_alert_hours * HOUR,
            "place": desk.context.store.place,
        }

    return await page(desk, visit, "overview.html", ask)


def _chart(desk: Desk, view: View, visit: Visit, board: Board, period: Period, formats: Formats) -> tuple[Chart, bool]:
    """Draw the chart; with whether everything in it was counted."""
    if period is Period.DAY:
        history = History(period, board.bins, board.complete)
    else:
        history = desk.boards.history(view, period, visit.now, visit.zone)
    usual = usual_of(desk.boards.usual(view, visit.now), history.bins, visit.now)
    return chart_of(period, history.bins, usual, formats), history.complete
