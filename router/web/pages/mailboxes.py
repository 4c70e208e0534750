"""The mailboxes of MSSanté: how each is doing, and what became of the mails that left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy import func, select

from router.journal import tables
from router.journal.tables import DeliveryState
from router.journal.view import View
from router.web.access import Looking, Office
from router.web.answers import Values, page
from router.web.context import FlowStatus
from router.web.desk import micros

router = APIRouter()

CONNECTOR = "mssante"
DAY = 86_400_000_000
NEARLY_FULL = 90
"""Percents of the quota from which a mailbox is said to be nearly full."""


@dataclass(frozen=True, slots=True)
class MailboxLine:
    """A mailbox that is read. Moments are in microseconds, `full` in percents; None where there is none."""

    status: FlowStatus
    account: str
    box: str
    waiting: int
    unread: int
    oldest_unread: int | None
    last_pick_up: int | None
    used: int
    limit: int
    rejected: int

    @property
    def full(self) -> int | None:
        """How full the mailbox is, in percents."""
        return min(100, self.used * 100 // self.limit) if self.limit else None

    @property
    def nearly_full(self) -> bool:
        """Whether mails will soon bounce."""
        return self.full is not None and self.full >= NEARLY_FULL


@dataclass(frozen=True, slots=True)
class SendingLine:
    """A destination of mails, and the ends of its Deliveries in a day: `taken` by the operator, with no news since."""

    status: FlowStatus
    taken: int
    acknowledged: int
    dead: int
    unknown: int


@router.get("/mailboxes")
async def mailboxes(desk: Office, visit: Looking) -> Response:
    """Show every mailbox, and every destination of mails."""

    def ask(view: View) -> Values:
        flows = [flow for flow in desk.context.flows() if flow.connector == CONNECTOR]
        names = [flow.name for flow in flows if flow.side == "destination"]
        ends = ends_of(view, names, desk.now() - DAY)
        return {
            "boxes": [_box(flow) for flow in flows if flow.side == "source"],
            "sendings": [_sending(flow, ends.get(flow.name, {})) for flow in flows if flow.side == "destination"],
            "refresh": "/mailboxes",
        }

    return await page(desk, visit, "mailboxes.html", ask)


def ends_of(view: View, destinations: Sequence[str], since: int) -> dict[str, dict[str, int]]:
    """Count the Deliveries of destinations that ended since then, by state."""
    column = tables.delivery.c
    if not destinations:
        return {}
    statement = (
        select(column.destination, column.state, func.count())
        .where(column.ended_at >= since, column.destination.in_(destinations))
        .group_by(column.destination, column.state)
    )
    found: dict[str, dict[str, int]] = {}
    for destination, state, count in view.connection.execute(statement):
        found.setdefault(destination, {})[state] = count
    return found


def _box(flow: FlowStatus) -> MailboxLine:
    figures = flow.figures
    return MailboxLine(
        flow,
        str(figures.get("account", "")),
        str(figures.get("box", "")),
        _count(figures.get("waiting")),
        _count(figures.get("unread")),
        _moment(figures.get("oldest_unread")),
        _moment(figures.get("last_pick_up")),
        _count(figures.get("quota_used")) * 1024,
        _count(figures.get("quota_limit")) * 1024,
        _count(figures.get("rejected")),
    )


def _sending(flow: FlowStatus, ends: dict[str, int]) -> SendingLine:
    return SendingLine(
        flow,
        ends.get(DeliveryState.DELIVERED.value, 0),
        ends.get(DeliveryState.ACKNOWLEDGED.value, 0),
        ends.get(DeliveryState.DEAD.value, 0),
        _count(flow.figures.get("unknown")),
    )


def _count(figure: float | str | None) -> int:
    return int(figure) if isinstance(figure, int | float) else 0


def _moment(figure: float | str | None) -> int | None:
    try:
        return micros(datetime.fromisoformat(figure)) if isinstance(figure, str) and figure else None
    except ValueError:
        return None
