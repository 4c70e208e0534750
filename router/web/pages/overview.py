"""Today: what is wrong, what is happening, what happened."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from router.journal.view import View
from router.watch.alarms import open_alarms
from router.web.access import Looking, Office
from router.web.answers import Values, page
from router.web.boards import HOUR
from router.web.charts import day_chart
from router.web.formatting import Formats
from router.web.troubles import troubles

router = APIRouter()


@router.get("/")
async def overview(desk: Office, visit: Looking) -> Response:
    """Show the overview."""

    def ask(view: View) -> Values:
        board = desk.boards.board(view, visit.now)
        formats = Formats(visit.texts, visit.zone, visit.now)
        return {
            "board": board,
            "troubles": troubles(
                board,
                formats,
                identity_hours=desk.context.identity_alert_hours,
                receipt_hours=desk.context.receipt_hours,
                alarms=open_alarms(view.connection),
                routes=desk.context.routes(),
                applied=desk.context.applied(),
            ),
            "chart": day_chart(board.bins, formats),
            "identity_late_at": visit.now - desk.context.identity_alert_hours * HOUR,
            "place": desk.context.store.place,
        }

    return await page(desk, visit, "overview.html", ask)
