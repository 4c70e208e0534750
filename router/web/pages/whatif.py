"""What if: a draft of the configuration tried on messages that were received, and what was tried before."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

from router.journal.view import View
from router.web.access import Configured, Configuring, Office
from router.web.answers import Values, go, page
from router.web.faults import NotThere
from router.web.filters import day_of
from router.whatif.evidence import kept, kept_one

router = APIRouter()

# A configuration may hold secrets in clear: it is shown to whoever may change it.

PATH = "/whatif"
LASTS = (100, 500, 2000, 10_000)


@router.get(PATH)
async def whatif(desk: Office, visit: Configuring) -> Response:
    """Show the present configuration as a draft to change, and the comparisons made before."""
    path = desk.trials.configuration
    text = "" if path is None else await asyncio.to_thread(_text, path)

    def ask(view: View) -> Values:
        sources = [status.name for status in desk.context.flows() if status.side == "source"]
        return {"text": text, "sources": sources, "lasts": LASTS, "rows": kept(view.connection)}

    return await page(desk, visit, "whatif.html", ask)


@router.post(PATH)
async def start(desk: Office, visit: Configured) -> Response:
    """Compare a draft."""
    if desk.trials.configuration is None:
        raise NotThere
    last, until = visit.posted("last"), day_of(visit.posted("until"), visit.zone)
    trial = desk.trials.start(
        visit.key,
        visit.posted("draft").replace("\r\n", "\n"),
        last=int(last) if last.isdigit() and int(last) in LASTS else LASTS[1],
        source=visit.posted("source"),
        actor=visit.account,
        since=day_of(visit.posted("since"), visit.zone),
        until=until + timedelta(days=1) if until is not None else None,
    )
    return go(f"{PATH}/trial/{trial.key}")


@router.get(PATH + "/trial/{key}")
async def trial_page(key: str, desk: Office, visit: Configuring) -> Response:
    """Show how far a comparison is; its result once it is there."""
    trial = desk.trials.find(visit.key, key)
    if trial is None:
        raise NotThere
    if trial.number is not None and not visit.partial:
        return go(f"{PATH}/{trial.number}")
    return await page(desk, visit, "whatif_trial.html", lambda _view: {"trial": trial})


@router.post(PATH + "/trial/{key}/stop")
async def stop(key: str, desk: Office, visit: Configured) -> Response:
    """Stop a comparison."""
    trial = desk.trials.find(visit.key, key)
    if trial is None:
        raise NotThere
    desk.trials.stop(trial)
    return go(PATH)


@router.get(PATH + "/{number}")
async def result(number: int, desk: Office, visit: Configuring) -> Response:
    """Show one comparison: what was changed in the configuration, and what that changes."""
    found = await desk.look(lambda view: kept_one(view.connection, number))
    if found is None:
        raise NotThere
    return await page(desk, visit, "whatif_result.html", lambda _view: {"kept": found})


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
