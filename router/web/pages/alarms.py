"""Alarms: what goes on, what is over; taking one up, putting one off."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.journal.view import View
from router.watch.alarms import acknowledge, open_alarms, past_alarms, snooze
from router.watch.nodes import forget_node
from router.web.access import Looking, Office, Posted
from router.web.alarm_lines import alarm_lines
from router.web.answers import Values, go, page
from router.web.boards import HOUR
from router.web.faults import NotThere
from router.web.filters import row_number
from router.web.formatting import Formats

router = APIRouter()

PATH = "/alarms"
PAGE = 50
MORNING = 8
"""Hour of the reader's clock until which an alarm is put off for the night."""


@router.get(PATH)
async def alarms(request: Request, desk: Office, visit: Looking) -> Response:
    """Show the alarms that go on, then those that are over."""
    before = row_number(request.query_params.get("before", ""))

    def ask(view: View) -> Values:
        formats = Formats(visit.texts, visit.zone, visit.now)
        past = past_alarms(view.connection, before=before, limit=PAGE + 1)
        return {
            "ways": [visit.texts.word("alarm_way", way) for way in desk.context.alarm_ways()],
            "going_on": alarm_lines(open_alarms(view.connection), formats),
            "past": alarm_lines(past[:PAGE], formats),
            "following": past[PAGE - 1].id if len(past) > PAGE else None,
            "refresh": PATH + (f"?before={before}" if before is not None else ""),
        }

    return await page(desk, visit, "alarms.html", ask)


@router.post(PATH + "/{number}/{action}")
async def decide(number: int, action: str, desk: Office, visit: Posted) -> Response:
    """Take an alarm up, put it off for an hour or until the next morning, or forget the node that it is about."""
    now = desk.now()
    if action == "acknowledge":
        change = acknowledge(number, actor=visit.account, now=now)
    elif action == "hour":
        change = snooze(number, now + HOUR, actor=visit.account, now=now)
    elif action == "morning":
        formats = Formats(visit.texts, visit.zone, now)
        local = formats.local(now)
        morning = local.replace(hour=MORNING, minute=0, second=0, microsecond=0)
        morning = morning if morning > local else morning + timedelta(days=1)
        change = snooze(number, int(morning.timestamp() * 1_000_000), actor=visit.account, now=now)
    elif action == "forget":
        change = forget_node(number, actor=visit.account, now=now)
    else:
        raise NotThere
    if not await desk.submit(change):
        raise NotThere
    desk.changed()
    return go(PATH)
