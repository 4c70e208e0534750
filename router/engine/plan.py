"""What a worker needs to know: the configuration boiled down to plain, picklable values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from mappings.contracts import Environment, ReadContext, WriteContext
from router.config.load import Loaded
from router.config.model import RecipientsSection
from router.dossier.notices import NoticeRule
from router.identity.decisions import Policy
from router.journal.routing import RouteKept
from router.journal.store import JournalPlace
from router.recipients.addressing import RecipientsPlan
from router.recipients.rules import Reason


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """How to read what a source brings."""

    format: str | None
    charset: str | None
    options: Mapping[str, str]
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    connector: str = ""


@dataclass(frozen=True, slots=True)
class DestinationPlan:
    """How to write for a destination."""

    format: str
    charset: str | None
    options: Mapping[str, str]
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    recipients: RecipientsPlan | None = None
    """How it is decided whom to write to; None: the destination is one."""
    connector: str = ""


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

    @property
    def routing(self) -> tuple[RouteKept, ...]:
        """The routes as they are kept in the journal."""
        return tuple(RouteKept(route.name, route.when, route.to) for route in self.routes)

    def reads(
        self,
        name: str,
        received_at: datetime | None = None,
        *,
        charset: str | None = None,
        filename: str | None = None,
        siblings: Mapping[str, bytes] | None = None,
    ) -> ReadContext:
        """Give what a reader knows of a source's message; an unknown source has no say. `charset` goes before its."""
        source = self.sources.get(name)
        return ReadContext(
            source=name,
            received_at=received_at,
            timezone=self.timezone,
            charset=charset or (source.charset if source else None),
            environment=self.environment,
            filename=filename,
            siblings=siblings or {},
            options=source.options if source else {},
            keys=source.keys if source else {},
        )

    def writes(self, name: str, now: datetime, identity: str) -> WriteContext | None:
        """Give what a writer knows for a destination; None for one that is not configured."""
        destination = self.destinations.get(name)
        if destination is None:
            return None
        return WriteContext(
            now=now,
            identity=identity,
            timezone=self.timezone,
            charset=destination.charset,
            environment=self.environment,
            options=destination.options,
            keys=destination.keys,
        )


def plan_of(loaded: Loaded, master: bytes) -> Plan:
    """Boil a configuration down."""
    configuration = loaded.configuration
    environment = configuration.identity.environment
    return Plan(
        place=loaded.place,
        master=master,
        sources={
            one.name: SourcePlan(
                one.format,
                one.section.charset,
                dict(one.section.options),
                loaded.key_files(one.section.keys),
                one.section.connector,
            )
            for one in loaded.sources
        },
        destinations={
            resolved.name: DestinationPlan(
                resolved.format,
                resolved.section.charset,
                dict(resolved.section.options),
                loaded.key_files(resolved.section.keys),
                _recipients(loaded, resolved.section.recipients),
                resolved.section.connector,
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


def _recipients(loaded: Loaded, section: RecipientsSection | None) -> RecipientsPlan | None:
    if section is None:
        return None
    reasons = tuple(Reason(name) for name in section.to)
    return RecipientsPlan(reasons, loaded.recipient_rules(section), section.patient_domain, section.white_list)
