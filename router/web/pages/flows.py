"""Flows: sources, routes and destinations, a page each; pausing, resuming, testing a connection."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy import select

from connectors.probing import Probe
from connectors.registry import connectors
from router.certificates import CertificateEnd
from router.config.load import Loaded
from router.journal import tables
from router.journal.pauses import FlowSide, Pause, PauseFault, load_pauses, pause_flow, resume_flow
from router.journal.queries_rates import ENDED, RECEIVED
from router.journal.tables import MessageState
from router.journal.view import View
from router.probing import NothingToTest, probe
from router.web.access import Looking, Office, Posted
from router.web.answers import Values, go, page
from router.web.boards import FlowLine
from router.web.context import RouteStatus
from router.web.desk import Desk
from router.web.faults import NotThere
from router.web.flow_facts import Setting, destination_settings, route_settings, source_settings
from router.web.flow_places import PATH, href_of
from router.web.source_profile import source_profile
from router.web.visits import Visit

router = APIRouter()

DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Flow:
    """One source, destination or route as its page shows it."""

    side: FlowSide
    name: str
    line: FlowLine | None
    route: RouteStatus | None
    pause: Pause | None
    paused_by_file: bool
    summary: str
    settings: tuple[Setting, ...]
    routes: tuple[RouteStatus, ...]
    certificates: tuple[CertificateEnd, ...] = ()
    day: int = 0
    rejected: tuple[int, int] | None = None
    """The newest message of a source that could not be read: its number and time."""

    @property
    def href(self) -> str:
        """Its page."""
        return href_of(self.side, self.name)


@router.get(PATH)
async def flows(desk: Office, visit: Looking) -> Response:
    """List them all, with their states."""

    def ask(view: View) -> Values:
        board, routes = desk.boards.board(view, visit.now), desk.context.routes()
        known = {(FlowSide(line.status.side), line.status.name) for line in (*board.sources, *board.destinations)}
        known |= {(FlowSide.ROUTE, route.name) for route in routes}
        left = [one for key, one in load_pauses(view.connection).items() if key not in known]
        return {"board": board, "routes": routes, "left": left, "href_of": href_of, "sides": FlowSide}

    return await page(desk, visit, "flows.html", ask)


@router.get(PATH + "/{side}s/{name:path}")
async def flow(side: str, name: str, desk: Office, visit: Looking) -> Response:
    """Show one of them."""
    return await _show(desk, visit, _side(side), name)


@router.post(PATH + "/{side}s/{name:path}/pause")
async def pause(side: str, name: str, desk: Office, visit: Posted) -> Response:
    """Pause it, with a reason."""
    what = _side(side)
    try:
        change = pause_flow(what, name, visit.posted("reason"), actor=visit.account, now=desk.now())
    except PauseFault:
        return await _show(desk, visit, what, name, status=422, wants_reason=True)
    if await desk.look(lambda view: _found(desk, view, visit, what, name)) is None:
        raise NotThere
    await desk.submit(change)
    desk.changed()
    return go(href_of(what, name))


@router.post(PATH + "/{side}s/{name:path}/resume")
async def resume(side: str, name: str, desk: Office, visit: Posted) -> Response:
    """Let it go on; also what is paused and no longer configured."""
    what = _side(side)
    await desk.submit(resume_flow(what, name, actor=visit.account, now=desk.now()))
    desk.changed()
    known = await desk.look(lambda view: _found(desk, view, visit, what, name))
    return go(PATH if known is None else href_of(what, name))


@router.post(PATH + "/{side}s/{name:path}/test")
async def test(side: str, name: str, desk: Office, visit: Posted) -> Response:
    """Test its connection; no message is sent."""
    what, loaded = _side(side), _loaded(desk)
    if loaded is None or what is FlowSide.ROUTE:
        raise NotThere
    listens = next((one.address for one in desk.context.flows() if (one.side, one.name) == (side, name)), "")
    try:
        tested = await probe(loaded, side, name, address=listens if what is FlowSide.SOURCE else "")
    except NothingToTest:
        raise NotThere from None
    said = " ".join(step.code.value for step in tested.steps)
    await desk.audit(visit.account, "test connection", f"{side} {name}", said)
    return await _show(desk, visit, what, name, tested=tested)


def _side(side: str) -> FlowSide:
    try:
        return FlowSide(side)
    except ValueError:
        raise NotThere from None


def _loaded(desk: Desk) -> Loaded | None:
    return desk.context.loaded() if desk.context.loaded is not None else None


async def _show(
    desk: Desk,
    visit: Visit,
    side: FlowSide,
    name: str,
    *,
    tested: Probe | None = None,
    status: int = 200,
    wants_reason: bool = False,
) -> Response:
    found = await desk.look(lambda view: _found(desk, view, visit, side, name))
    if found is None:
        raise NotThere

    def ask(view: View) -> Values:
        profile = source_profile(desk, view, visit, name) if side is FlowSide.SOURCE else None
        return {**values, "profile": profile}

    values: Values = {
        "flow": found,
        "tested": tested,
        "wants_reason": wants_reason,
        "href_of": href_of,
        "sides": FlowSide,
        "testable": side is not FlowSide.ROUTE and desk.context.loaded is not None,
    }
    return await page(desk, visit, "flow.html", ask, status=status)


def _found(desk: Desk, view: View, visit: Visit, side: FlowSide, name: str) -> Flow | None:
    pauses, routes, loaded = load_pauses(view.connection), desk.context.routes(), _loaded(desk)
    pause = pauses.get((side, name))
    if side is FlowSide.ROUTE:
        route = next((one for one in routes if one.name == name), None)
        if route is None:
            return None
        section = None
        if loaded is not None:
            section = next((one for one in loaded.configuration.routes if one.name == name), None)
        settings = () if section is None else tuple(route_settings(section))
        return Flow(side, name, None, route, pause, False, "", settings, (route,))
    board = desk.boards.board(view, visit.now)
    lines = board.sources if side is FlowSide.SOURCE else board.destinations
    line = next((one for one in lines if one.status.name == name and one.status.state != "removed"), None)
    if line is None:
        return None
    settings, by_file, summary = _settings(loaded, side, name)
    bound = tuple(
        one
        for one in routes
        if (name in one.to if side is FlowSide.DESTINATION else not one.sources or name in one.sources)
    )
    series = RECEIVED if side is FlowSide.SOURCE else ENDED
    owner = f"{side.value} {name}"
    return Flow(
        side,
        name,
        line,
        None,
        pause,
        by_file,
        summary,
        settings,
        bound,
        tuple(one for one in desk.boards.certificate_ends() if one.owner == owner),
        desk.boards.tally.total(series, name, visit.now, DAY_MINUTES),
        _last_rejected(view, name) if side is FlowSide.SOURCE else None,
    )


def _settings(loaded: Loaded | None, side: FlowSide, name: str) -> tuple[tuple[Setting, ...], bool, str]:
    if loaded is None:
        return (), False, ""
    if side is FlowSide.SOURCE:
        source = next((one for one in loaded.sources if one.name == name), None)
        if source is None:
            return (), False, ""
        kind = connectors().get(source.section.connector)
        model = kind.source_settings if kind is not None else None
        return tuple(source_settings(source)), source.section.paused, _summary(model)
    found = next((one for one in loaded.destinations if one.name == name), None)
    if found is None:
        return (), False, ""
    kind = connectors().get(found.section.connector)
    model = kind.destination_settings if kind is not None else None
    return tuple(destination_settings(found)), found.section.paused, _summary(model)


def _summary(model: type[object] | None) -> str:
    """Give what a connector does on this side, in its own words (English)."""
    return (model.__doc__ or "").strip().partition("\n")[0] if model is not None else ""


def _last_rejected(view: View, source: str) -> tuple[int, int] | None:
    column = tables.message.c
    wanted = (
        select(column.id, column.received_at)
        .where(column.state == MessageState.REJECTED.value, column.source == source)
        .order_by(column.id.desc())
        .limit(1)
    )
    row = view.connection.execute(wanted).one_or_none()
    return None if row is None else (row.id, row.received_at)
