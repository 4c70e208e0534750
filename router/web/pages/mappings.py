"""Versions of the mappings: what messages were read with, since when, and what each changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.journal.mapping_versions import (
    EndMappings,
    MappingsKept,
    mapping_version,
    mapping_versions,
    mappings_of,
    software_version,
)
from router.journal.view import View
from router.web.access import Looking, Office
from router.web.answers import Values, page
from router.web.faults import NotThere
from router.web.filters import row_number
from router.web.flow_facts import shown_option

router = APIRouter()

PATH = "/mappings"
PAGE = 50
LINES = 500
"""Lines of concept maps that are shown, of one version or of a difference."""


@dataclass(frozen=True, slots=True)
class EndShown:
    """A source or destination of a version: `facts` are its format, charset and options, `before` those that were."""

    side: str
    name: str
    facts: tuple[str, ...]
    before: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class MapChange:
    """A line of a concept map that a version changed; an empty side is one where it is not."""

    sender: str
    code: str
    before: str
    after: str


@router.get(PATH)
async def versions(request: Request, desk: Office, visit: Looking) -> Response:
    """List the versions, the newest first."""
    before = row_number(request.query_params.get("before", ""))

    def ask(view: View) -> Values:
        found = mapping_versions(view.connection, before=before, limit=PAGE + 1)
        return {
            "rows": found[:PAGE],
            "following": found[PAGE - 1].id if len(found) > PAGE else None,
            "software": software_version(),
        }

    return await page(desk, visit, "mappings.html", ask)


@router.get(PATH + "/{number}")
async def version(number: int, desk: Office, visit: Looking) -> Response:
    """Show one version: what it says, and what is otherwise than in the one before."""

    def ask(view: View) -> Values | None:
        found = mapping_version(view.connection, number)
        kept = mappings_of(view.connection, view.sealer, number)
        if found is None or kept is None:
            return None
        former = next(iter(mapping_versions(view.connection, before=number, limit=1)), None)
        past = mappings_of(view.connection, view.sealer, former.id) if former is not None else None
        changes = [] if past is None else list(map_changes(past, kept))
        return {
            "version": found,
            "former": former,
            "software": software_version(),
            "ends": list(_ends(kept, past)),
            "changes": changes[:LINES],
            "more_changes": max(0, len(changes) - LINES),
            "maps": sorted(kept.maps)[:LINES],
            "map_count": len(kept.maps),
            "timezone": kept.timezone if past is None or past.timezone != kept.timezone else "",
        }

    values = await desk.look(ask)
    if values is None:
        raise NotThere
    return await page(desk, visit, "mappings_version.html", lambda _view: values)


def map_changes(before: MappingsKept, after: MappingsKept) -> Iterator[MapChange]:
    """Give the lines of concept maps that differ, by sender and code."""
    one, other = before.targets, after.targets
    for sender, term in sorted({*one, *other}):
        was, would = one.get((sender, term)), other.get((sender, term))
        if was != would:
            yield MapChange(sender, term.code, was.code if was else "", would.code if would else "")


def _ends(kept: MappingsKept, past: MappingsKept | None) -> Iterator[EndShown]:
    sides: tuple[tuple[str, Mapping[str, EndMappings], Mapping[str, EndMappings]], ...] = (
        ("source", kept.sources, past.sources if past is not None else kept.sources),
        ("destination", kept.destinations, past.destinations if past is not None else kept.destinations),
    )
    for side, now, then in sides:
        for name, one in now.items():
            was = then.get(name)
            yield EndShown(side, name, _facts(one), None if was == one else _facts(was) if was is not None else ())


def _facts(one: EndMappings) -> tuple[str, ...]:
    options = (f"{name} = {shown_option(name, value)}" for name, value in sorted(one.options.items()))
    return tuple(part for part in (one.format, one.charset, *options) if part)
