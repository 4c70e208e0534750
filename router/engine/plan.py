"""What a worker needs to know: the configuration boiled down to plain, picklable values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from mappings.contracts import Environment
from router.config.load import Loaded
from router.dossier.notices import NoticeRule
from router.identity.decisions import Policy
from router.journal.store import JournalPlace


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """How to read what a source brings."""

    format: str | None
    charset: str | None
    options: Mapping[str, str]
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class DestinationPlan:
    """How to write for a destination."""

    format: str
    charset: str | None
    options: Mapping[str, str]
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """A route: condition, sources (empty: all), destinations, and whether unattached Items may pass."""

    name: str
    when: str
    sources: frozenset[str]
    to: tuple[str, ...]
    unattached: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a worker process is started with."""

    place: JournalPlace
    master: bytes
    sources: Mapping[str, SourcePlan]
    destinations: Mapping[str, DestinationPlan]
    routes: tuple[RoutePlan, ...]
    environment: Environment | None
    timezone: ZoneInfo
    code_maps: tuple[Path, ...] = ()
    policy: Policy = Policy.REGISTER
    notice_rules: tuple[NoticeRule, ...] = ()


def plan_of(loaded: Loaded, master: bytes) -> Plan:
    """Boil a configuration down."""
    configuration = loaded.configuration
    environment = configuration.identity.environment
    return Plan(
        place=loaded.place,
        master=master,
        sources={
            name: SourcePlan(
                section.format or None, section.charset, dict(section.options), loaded.key_files(section.keys)
            )
            for name, section in configuration.sources.items()
        },
        destinations={
            resolved.name: DestinationPlan(
                resolved.format,
                resolved.section.charset,
                dict(resolved.section.options),
                loaded.key_files(resolved.section.keys),
            )
            for resolved in loaded.destinations
        },
        routes=tuple(
            RoutePlan(route.name, route.when, frozenset(route.sources), route.to, route.unattached)
            for route in configuration.routes
        ),
        environment=None if environment is None else Environment(environment),
        timezone=ZoneInfo(configuration.web.timezone),
        code_maps=loaded.code_maps,
        policy=Policy(configuration.identity.policy),
        notice_rules=loaded.notice_rules,
    )
