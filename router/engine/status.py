"""How sources and destinations are doing, as the dashboard shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.contracts import Health
from router.config.model import ResolvedDestination
from router.engine.dispatcher import Dispatcher
from router.engine.inbox import SourceInbox
from router.web.context import FlowStatus


@dataclass(slots=True)
class RunningSource:
    """A source and what is known of it."""

    name: str
    connector: str
    format: str | None
    health: Health
    inbox: SourceInbox
    paused: bool
    stopping: asyncio.Event
    address: str = ""
    ready: asyncio.Event | None = None
    task: asyncio.Task[None] | None = None

    def listening(self, address: str) -> None:
        """Note that it is ready, and where it listens."""
        self.address = address
        if self.ready is not None:
            self.ready.set()


def source_statuses(sources: Iterable[RunningSource]) -> list[FlowStatus]:
    """Say how every source is doing right now."""
    return [
        FlowStatus(
            name=running.name,
            side="source",
            connector=running.connector,
            state=running.health.state,
            detail=running.health.detail,
            address=running.address,
            format=running.format or "",
            paused=running.paused,
            figures=dict(running.health.figures),
        )
        for running in sources
    ]


def destination_statuses(
    destinations: Iterable[ResolvedDestination],
    dispatchers: Mapping[str, Dispatcher],
    healths: Mapping[str, Health],
) -> list[FlowStatus]:
    """Say how every destination that was started is doing right now."""
    flows = []
    for resolved in destinations:
        dispatcher = dispatchers.get(resolved.name)
        if dispatcher is None:
            continue
        health = healths[resolved.name]
        state = "paused" if dispatcher.paused else "unreachable" if dispatcher.down else "ready"
        flows.append(
            FlowStatus(
                name=resolved.name,
                side="destination",
                connector=resolved.section.connector,
                state=state,
                detail=dispatcher.down_detail or health.detail,
                address=_target(resolved.settings),
                format=resolved.format,
                paused=dispatcher.paused,
                in_flight=dispatcher.under_way,
                figures={**health.figures, "parked": dispatcher.parked},
            )
        )
    return flows


def _target(settings: object) -> str:
    for name in ("url", "address", "path", "host"):
        value = getattr(settings, name, None)
        if value:
            return str(value)
    return ""
