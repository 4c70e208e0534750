"""The mappings of a Plan as a set that can be kept, and a Plan with the mappings of then.

Routes, patients, keys and the national environment are always today's: a version says how bytes are read and written,
not where they go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

from mappings.concept_map import MapEntry
from router.engine.plan import DestinationPlan, Plan, SourcePlan
from router.journal.mapping_versions import EndMappings, MappingsInForce, MappingsKept, pack, software_version


def mappings_in_force(plan: Plan, maps: tuple[MapEntry, ...], kept: MappingsKept | None = None) -> MappingsInForce:
    """Give the set that messages are read with: that of a Plan, or `kept`, which this software reads with again."""
    if kept is not None:
        return pack(replace(kept, software=software_version()))
    sources = {name: _end(one) for name, one in plan.sources.items()}
    destinations = {name: _end(one) for name, one in plan.destinations.items()}
    return pack(MappingsKept(software_version(), plan.timezone.key, sources, destinations, maps))


def as_kept(plan: Plan, kept: MappingsKept) -> Plan:
    """Give a Plan the mappings of a version.

    An end that the version does not know, or that has another connector since, keeps its own: what is written must be
    something that its connector can carry.
    """
    sources = {name: _source(one, _former(kept.sources, name, one)) for name, one in plan.sources.items()}
    destinations = {
        name: _destination(one, _former(kept.destinations, name, one)) for name, one in plan.destinations.items()
    }
    return replace(
        plan,
        sources=sources,
        destinations=destinations,
        timezone=ZoneInfo(kept.timezone),
        code_maps=(),
    )


def _end(one: SourcePlan | DestinationPlan) -> EndMappings:
    return EndMappings(one.connector, one.format or "", one.charset or "", one.options)


def _former(ends: Mapping[str, EndMappings], name: str, present: SourcePlan | DestinationPlan) -> EndMappings | None:
    found = ends.get(name)
    return found if found is not None and found.connector == present.connector else None


def _source(present: SourcePlan, former: EndMappings | None) -> SourcePlan:
    if former is None:
        return present
    return replace(present, format=former.format or None, charset=former.charset or None, options=former.options)


def _destination(present: DestinationPlan, former: EndMappings | None) -> DestinationPlan:
    if former is None:
        return present
    return replace(present, format=former.format, charset=former.charset or None, options=former.options)
