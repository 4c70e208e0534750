"""Versions of the configuration: what ran, what runs, a text that is checked, and one that is to run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query

from router.config.changes import Changes, changes_between
from router.config.load import ConfigurationFault, load_text
from router.config.versions import (
    Version,
    VersionOrigin,
    VersionState,
    digest_of,
    history,
    running_version,
    text_of,
    version_of,
    want_version,
)
from router.config.writing import read_text
from router.journal.view import View
from router.web.access import Configurer, Office
from router.web.api.models_running import CheckedOut, ConfigurationIn, VersionOut, VersionTextOut, version_out
from router.web.api.problems import Refused
from router.web.desk import Desk
from router.web.faults import NotThere

router = APIRouter(tags=["configuration"])


@router.get("/configuration/versions")
async def list_versions(
    desk: Office,
    _caller: Configurer,
    before: Annotated[int | None, Query(ge=1, le=2**31)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[VersionOut]:
    """List what ran, runs, or was tried and did not come up, the newest first."""

    def find(view: View) -> list[VersionOut]:
        running = running_version(view.connection)
        return [version_out(one, running) for one in history(view.connection, before=before, limit=limit)]

    return await desk.look(find)


@router.get("/configuration/versions/{number}")
async def one_version(number: int, desk: Office, _caller: Configurer) -> VersionTextOut:
    """Give a version with its text, and what became of it."""
    found = await desk.look(lambda view: _version(view, number))
    if found is None:
        raise NotThere
    return found


@router.post("/configuration/check")
async def check(given: ConfigurationIn, desk: Office, _caller: Configurer) -> CheckedOut:
    """Check a text: its mistakes, or what it changes. Nothing is kept."""
    path = _path(desk)
    assert desk.context.loaded is not None  # noqa: S101 - `_path` made sure
    try:
        other = await asyncio.to_thread(load_text, given.text, path)
    except ConfigurationFault as fault:
        return CheckedOut(mistakes=list(fault.problems), added=[], removed=[], changed=[], at_start=[], waiting={})
    changes = changes_between(desk.context.loaded(), other)
    now = desk.now()
    backlog = await desk.look(lambda view: desk.boards.situation(view, now).backlog)
    removed = changes.destinations.removed
    waiting = {name: backlog[name].pending.count.count for name in removed if name in backlog and backlog[name].pending}
    return CheckedOut(mistakes=[], **_sorted(changes), at_start=list(changes.at_start), waiting=waiting)


@router.post("/configuration", status_code=202)
async def want(given: ConfigurationIn, desk: Office, caller: Configurer) -> VersionOut:
    """Want a text to run. The router applies it without losing a message; ask for the version to see what became of it.

    `base` is the digest of the file that it takes the place of, as the newest applied version has it.
    """
    path = _path(desk)
    try:
        await asyncio.to_thread(load_text, given.text, path)
    except ConfigurationFault as fault:
        raise Refused(422, " ".join(fault.problems)[:2000]) from None
    on_disk = digest_of(await asyncio.to_thread(_on_disk, path))
    if given.base != on_disk:
        raise Refused(409, "The file is another one than `base` says; look at it again before it is replaced.")
    change = want_version(
        given.text,
        given.base,
        origin=VersionOrigin.DASHBOARD,
        comment=given.comment,
        actor=caller.name,
        now=desk.now(),
    )
    number = await desk.submit(change)
    desk.changed()
    found = await desk.look(lambda view: _version(view, number))
    assert found is not None  # noqa: S101 - it was just made
    return VersionOut(**found.model_dump(exclude={"text"}))


def _version(view: View, number: int) -> VersionTextOut | None:
    found: Version | None = version_of(view.connection, number)
    if found is None or found.state is VersionState.DRAFT:
        return None
    text = text_of(view.connection, view.sealer, number)
    return VersionTextOut(**version_out(found, running_version(view.connection)).model_dump(), text=text)


def _sorted(changes: Changes) -> dict[str, list[str]]:
    sides = (("source", changes.sources), ("destination", changes.destinations), ("route", changes.routes))
    return {
        "added": [f"{side} {name}" for side, found in sides for name in found.added],
        "removed": [f"{side} {name}" for side, found in sides for name in found.removed],
        "changed": [f"{side} {name}" for side, found in sides for name in (*found.rebound, *found.rewritten)],
    }


def _path(desk: Desk) -> Path:
    if desk.context.configuration is None or desk.context.loaded is None:
        raise NotThere
    return desk.context.configuration


def _on_disk(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError):
        return ""  # it went away, or is no text: nothing has its digest
