"""Versions of the mappings that messages were read with, and what reading a message again with one would change."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from mappings.concept_map import MapEntry
from router.journal.actions import replay_words
from router.journal.mapping_versions import (
    EndMappings,
    MappingsKept,
    MappingVersion,
    mapping_version,
    mapping_versions,
    mappings_of,
)
from router.journal.queries_message import load_message
from router.journal.view import View
from router.web.access import Office, Operator, Watcher
from router.web.api.models import at
from router.web.api.models_mappings import (
    DifferenceOut,
    EndMappingsOut,
    MappingLineOut,
    MappingsOut,
    MappingVersionOut,
    RereadingOut,
    ValueChangeOut,
)
from router.web.api.problems import Refused
from router.web.faults import NotThere
from router.web.flow_facts import shown_option
from router.web.rereading import chosen_reader, reread

router = APIRouter(tags=["mappings"])


@router.get("/mappings")
async def list_mappings(
    desk: Office,
    _caller: Watcher,
    before: Annotated[int | None, Query(ge=1, le=2**31)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[MappingVersionOut]:
    """List the versions of the mappings, the newest first; `before` is the number of the last one above."""
    found = await desk.look(lambda view: mapping_versions(view.connection, before=before, limit=limit))
    return [_version(one) for one in found]


@router.get("/mappings/{number}")
async def one_version(number: int, desk: Office, _caller: Watcher) -> MappingsOut:
    """Give what a version says; options that look like secrets are not shown."""

    def find(view: View) -> tuple[MappingVersion | None, MappingsKept | None]:
        return mapping_version(view.connection, number), mappings_of(view.connection, view.sealer, number)

    version, kept = await desk.look(find)
    if version is None or kept is None:
        raise NotThere
    return MappingsOut(
        **_version(version).model_dump(),
        timezone=kept.timezone,
        sources={name: _end(one) for name, one in kept.sources.items()},
        destinations={name: _end(one) for name, one in kept.destinations.items()},
        maps=[_line(one) for one in kept.maps],
    )


@router.get("/messages/{number}/replay")
async def compare(
    number: int,
    desk: Office,
    caller: Operator,
    format: str = "",  # noqa: A002 - the address says so
    charset: str = "",
    mappings: Annotated[int | None, Query(ge=1, le=2**31)] = None,
) -> RereadingOut:
    """Say what reading a message again would change, by another format, charset or version of the mappings.

    Nothing is kept or sent. The values are health data: it is noted in the audit.
    """
    detail = await desk.look(lambda view: load_message(view, number))
    again = desk.context.read_again
    if detail is None:
        raise NotThere
    if again is None:
        raise Refused(404, "This router does not read messages again.")
    version = None
    if mappings is not None:
        version = await desk.look(lambda view: mapping_version(view.connection, mappings))
        if version is None:
            raise Refused(422, "There is no such version of the mappings.")
    reader = chosen_reader(format, charset)
    await desk.audit(caller.name, "compare reading", f"message {number}", replay_words(reader, version))
    prepared = await again([number], reader, mappings)
    if not prepared:
        raise NotThere
    found = await desk.look(lambda view: reread(view, detail, prepared[0]))
    return RereadingOut(
        same=found.same,
        differences=[
            DifferenceOut(aspect=one.aspect.value, subject=one.subject, where=one.where) for one in found.differences
        ],
        values=[ValueChangeOut(path=one.path, before=one.before, after=one.after) for one in found.values],
        more=found.more,
        other_software=version is not None and not version.of_this_software,
    )


def _version(one: MappingVersion) -> MappingVersionOut:
    return MappingVersionOut(id=one.id, at=at(one.at), software=one.software, of_this_software=one.of_this_software)


def _end(one: EndMappings) -> EndMappingsOut:
    options = {name: shown_option(name, value) for name, value in one.options.items()}
    return EndMappingsOut(connector=one.connector, format=one.format, charset=one.charset, options=options)


def _line(one: MapEntry) -> MappingLineOut:
    return MappingLineOut(
        sender=one.sender,
        kind=one.term.kind,
        system=one.term.system,
        code=one.term.code,
        target_system=one.target.system or "",
        target=one.target.code,
        display=one.target.display or "",
    )
