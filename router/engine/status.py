"""How sources and destinations are doing, as the dashboard shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from connectors.contracts import Health
from router.config.changes import FileDigests
from router.config.model import Configuration, ResolvedDestination, ResolvedSource
from router.engine.dispatcher import Dispatcher
from router.engine.inbox import SourceInbox
from router.journal.pauses import FlowSide, Pauses
from router.web.context import FlowStatus, RouteStatus


@dataclass(slots=True)
class RunningSource:
    """A source and what is known of it. `files` is what the files of its settings held when it was opened.

    It is `closed` when it is paused, or another node has it.
    """

    resolved: ResolvedSource
    inbox: SourceInbox
    health: Health = field(default_factory=Health)
    paused: bool = False
    closed: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    address: str = ""
    files: FileDigests = field(default_factory=dict)
    jobs: list[Callable[[], None]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self.resolved.name

    @property
    def connector(self) -> str:
        """Its protocol."""
        return self.resolved.section.connector

    @property
    def is_ready(self) -> bool:
        """Whether it listens, watches, or failed to."""
        return self.ready.is_set()

    def listening(self, address: str) -> None:
        """Note that it is ready, and where it listens."""
        self.address = address
        self.ready.set()


def source_statuses(sources: Iterable[RunningSource], pauses: Pauses) -> list[FlowStatus]:
    """Say how every source is doing right now."""
    return [
        FlowStatus(
            name=running.name,
            side="source",
            connector=running.connector,
            state=running.health.state,
            detail=running.health.detail,
            address=running.address,
            format=running.resolved.format or "",
            paused=running.paused,
            pause=pauses.get((FlowSide.SOURCE, running.name)),
            figures=dict(running.health.figures),
        )
        for running in sources
    ]


def destination_status(
    resolved: ResolvedDestination, dispatcher: Dispatcher, health: Health, pauses: Pauses
) -> FlowStatus:
    """Say how a destination is doing right now."""
    state = "paused" if dispatcher.paused else "unreachable" if dispatcher.down else "ready"
    return FlowStatus(
        name=resolved.name,
        side="destination",
        connector=resolved.section.connector,
        state=state,
        detail=dispatcher.down_detail or health.detail,
        address=_target(resolved.settings),
        format=resolved.format,
        paused=dispatcher.paused,
        pause=pauses.get((FlowSide.DESTINATION, resolved.name)),
        in_flight=dispatcher.under_way,
        last_failure=dispatcher.last_failure,
        last_failure_at=dispatcher.last_failure_at,
        figures={**health.figures, "parked": dispatcher.parked},
    )


def route_statuses(configuration: Configuration, pauses: Pauses) -> list[RouteStatus]:
    """Give the routes, with what is paused of them."""
    return [
        RouteStatus(
            route.name,
            route.when,
            route.to,
            route.sources,
            route.unattached,
            route.validation,
            pauses.get((FlowSide.ROUTE, route.name)),
        )
        for route in configuration.routes
    ]


def _target(settings: object) -> str:
    for name in ("url", "address", "path", "host"):
        value = getattr(settings, name, None)
        if value:
            return str(value)
    return ""
