"""What if: a draft of the configuration tried on messages that were received, and what was tried before."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

from router.config.load import ConfigurationFault, load_text
from router.journal.view import View
from router.web.access import Configured, Configuring, Office
from router.web.answers import Values, go, page
from router.web.faults import NotThere
from router.web.filters import day_of
from router.web.previews import visible
from router.web.rights import Right
from router.whatif.evidence import draft_text, kept, kept_one
from router.whatif.values import ValueBeside, values_beside

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

    def ask(view: View) -> Values | None:
        found = kept_one(view.connection, number)
        readable = visit.may(Right.READ) and desk.context.loaded is not None
        beside = readable and draft_text(view.connection, view.sealer, number) is not None
        return None if found is None else {"kept": found, "beside": beside}

    values = await desk.look(ask)
    if values is None:
        raise NotThere
    return await page(desk, visit, "whatif_result.html", lambda _view: values)


@router.get(PATH + "/{number}/messages/{message}")
async def beside(number: int, message: int, desk: Office, visit: Configuring) -> Response:
    """Show one message both ways, value beside value: health data, noted in the audit."""
    if not visit.may(Right.READ) or desk.context.loaded is None or desk.context.configuration is None:
        raise NotThere
    path, present = desk.context.configuration, desk.context.loaded()

    def find(view: View) -> str | None:
        return draft_text(view.connection, view.sealer, number)

    text = await desk.look(find)
    if text is None:
        raise NotThere
    problems: tuple[str, ...] = ()
    values: tuple[ValueBeside, ...] | None = ()
    await desk.audit(visit.account, "compare reading", f"message {message}", f"what-if {number}")
    try:
        draft = await asyncio.to_thread(load_text, text, path)
        now = datetime.fromtimestamp(desk.now() / 1_000_000, UTC)
        values = await desk.work(lambda: values_beside(desk.context.store, present, draft, message, now))
    except ConfigurationFault as fault:  # the draft was good then: a file that it names is gone since
        problems = tuple(fault.problems)
    if values is None:
        raise NotThere
    shown = {"number": number, "message": message, "values": values, "problems": problems, "visible": visible}
    return await page(desk, visit, "whatif_message.html", lambda _view: shown)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
