"""The configuration: a draft is checked, compared with what runs, tried, applied; its history, and the way back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy import delete

from router.config.changes import changes_between
from router.config.load import ConfigurationFault, Loaded, load_text
from router.config.versions import (
    Version,
    VersionOrigin,
    VersionState,
    digest_of,
    draft_of,
    history,
    keep_draft,
    running_version,
    text_of,
    version_of,
    versions,
    want_version,
)
from router.config.writing import read_text
from router.engine.applying import RESTART
from router.journal import tables
from router.journal.operations import Change
from router.journal.unit import Unit
from router.journal.view import View
from router.web.access import Configured, Configuring, Office
from router.web.answers import Values, go, page
from router.web.configuration_words import ChangeLine, Mistake, change_lines, mistakes
from router.web.desk import Desk
from router.web.faults import NotEntitled, NotThere
from router.web.formatting import Formats
from router.web.pages.whatif import LASTS
from router.web.rights import Right
from router.web.visits import Visit
from router.whatif.evidence import changes as differing_lines

router = APIRouter()

PATH = "/configuration"
SHOWN = 30
"""Versions of the history that the page lists."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A draft that was checked: what is wrong with it, or what it changes."""

    mistakes: tuple[Mistake, ...] = ()
    changes: tuple[ChangeLine, ...] = ()
    difference: str = ""
    stale: bool = False
    """Whether the file was changed on disk since the draft was begun."""

    @property
    def applicable(self) -> bool:
        """Whether it may be applied."""
        return not self.mistakes and not self.stale


@router.get(PATH)
async def configuration(desk: Office, visit: Configuring) -> Response:
    """Show the draft, what it changes, and the history."""
    _entitled(visit)
    path = _path(desk)
    on_disk = await asyncio.to_thread(_on_disk, path)

    def ask(view: View) -> Values:
        draft = draft_of(view.connection, visit.account)
        text = on_disk if draft is None else text_of(view.connection, view.sealer, draft.id)
        running = running_version(view.connection)
        return {
            "path": path.name,
            "text": text,
            "base": digest_of(on_disk) if draft is None else draft.base,
            "draft": draft,
            "checked": None if draft is None else _check(desk, view, visit, path, draft, text, on_disk),
            "running": running,
            "applied": desk.context.applied(),
            "versions": history(view.connection, limit=SHOWN),
            "lasts": LASTS,
            "waits": _waits,
        }

    return await page(desk, visit, "configuration.html", ask)


@router.post(PATH)
async def keep(desk: Office, visit: Configured) -> Response:
    """Keep a draft, and show what it changes."""
    _path(desk)
    text = visit.posted("text").replace("\r\n", "\n")
    await desk.submit(keep_draft(text, visit.posted("base")[:64], actor=visit.account, now=desk.now()))
    return go(f"{PATH}#checked")


@router.post(PATH + "/discard")
async def discard(desk: Office, visit: Configured) -> Response:
    """Throw the draft away."""

    def change(unit: Unit) -> None:
        found = draft_of(unit.connection, visit.account)
        if found is not None:
            gone = delete(tables.configuration_version).where(tables.configuration_version.c.id == found.id)
            unit.connection.execute(gone)

    await desk.submit(Change(change, note="draft thrown away"))
    return go(PATH)


@router.post(PATH + "/apply")
async def apply(desk: Office, visit: Configured) -> Response:
    """Want the draft to run; the router says on the version's page what became of it."""
    draft = await desk.look(lambda view: draft_of(view.connection, visit.account))
    if draft is None or str(draft.id) != visit.posted("draft"):
        return go(PATH)  # it was thrown away, or changed in another window: look again
    text = await desk.look(lambda view: text_of(view.connection, view.sealer, draft.id))
    number = await desk.submit(
        want_version(
            text,
            draft.base,
            origin=VersionOrigin.DASHBOARD,
            comment=visit.posted("comment"),
            actor=visit.account,
            now=desk.now(),
            draft=draft.id,
        )
    )
    desk.changed()
    return go(f"{PATH}/versions/{number}")


@router.post(PATH + "/file")
async def apply_file(desk: Office, visit: Configured) -> Response:
    """Want the file to run as it is on disk now."""
    text = await asyncio.to_thread(_on_disk, _path(desk))
    now = desk.now()
    number = await desk.submit(
        want_version(text, digest_of(text), origin=VersionOrigin.DASHBOARD, comment="", actor=visit.account, now=now)
    )
    desk.changed()
    return go(f"{PATH}/versions/{number}")


@router.get(PATH + "/versions/{number}")
async def version(number: int, desk: Office, visit: Configuring) -> Response:
    """Show one version: what became of it, what it changed, its text."""
    _entitled(visit)

    def ask(view: View) -> Values:
        found = version_of(view.connection, number)
        if found is None or found.state is VersionState.DRAFT:
            raise NotThere
        text = text_of(view.connection, view.sealer, number)
        before = _before(view, found)
        former = "" if before is None else text_of(view.connection, view.sealer, before.id)
        running = running_version(view.connection)
        return {
            "version": found,
            "before": before,
            "difference": "" if before is None else differing_lines(former, text),
            "text": text,
            "runs": running is not None and running.id == number,
            "waits": _waits,
        }

    return await page(desk, visit, "configuration_version.html", ask)


@router.post(PATH + "/versions/{number}/draft")
async def begin_from(number: int, desk: Office, visit: Configured) -> Response:
    """Begin a draft from a former version: the way back goes by the same check as any change."""
    on_disk = await asyncio.to_thread(_on_disk, _path(desk))
    try:
        text = await desk.look(lambda view: text_of(view.connection, view.sealer, number))
    except LookupError:
        raise NotThere from None
    await desk.submit(keep_draft(text, digest_of(on_disk), actor=visit.account, now=desk.now()))
    return go(f"{PATH}#checked")


def _entitled(visit: Visit) -> None:
    # A configuration may hold secrets in clear: its text is shown to whoever may change it.
    if not visit.may(Right.CONFIGURE):
        raise NotEntitled


def _path(desk: Desk) -> Path:
    if desk.context.configuration is None or desk.context.loaded is None:
        raise NotThere
    return desk.context.configuration


def _on_disk(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError):
        return ""  # it went away, or is no text: a draft is compared with nothing, and writing is refused by the guard


def _check(desk: Desk, view: View, visit: Visit, path: Path, draft: Version, text: str, on_disk: str) -> Checked:
    difference = differing_lines(on_disk, text)
    stale = digest_of(on_disk) not in (draft.base, draft.digest)
    try:
        other = load_text(text, path)
    except ConfigurationFault as fault:
        return Checked(tuple(mistakes(fault.problems, text)), difference=difference, stale=stale)
    running = _running(desk)
    formats = Formats(visit.texts, visit.zone, visit.now)
    backlog = desk.boards.situation(view, visit.now).backlog
    waiting = {name: formats.capped(one.pending.count) for name, one in backlog.items() if one.pending}
    lines = change_lines(changes_between(running, other), running, other, visit.texts, waiting)
    return Checked((), tuple(lines), difference, stale)


def _running(desk: Desk) -> Loaded:
    if desk.context.loaded is None:
        raise NotThere
    return desk.context.loaded()


def _before(view: View, found: Version) -> Version | None:
    """Give the version that ran when this one was wanted."""
    applied = versions(view.connection, states=[VersionState.APPLIED])
    return next((one for one in applied if one.id < found.id), None)


def _waits(version: Version) -> str:
    """Name the sections of an applied version that wait for the next start."""
    if version.state is not VersionState.APPLIED:
        return ""
    return ", ".join(f"[{name}]" for name in version.detail.removeprefix(RESTART).split())
