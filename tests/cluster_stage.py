"""Several engines on one journal, their lanes moved by hand, bells carried in memory."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from connectors.contracts import Connector, Delivered, Inbound, Inbox, Outcome, Parcel, Receipt, Services, Settings
from router.cluster.contracts import JOBS, Bell, Cluster, Fence, NodeStatus
from router.config.load import Loaded
from router.config.model import (
    Configuration,
    DestinationSection,
    DossierSection,
    EngineSection,
    JournalSection,
    ResolvedDestination,
    ResolvedSource,
    RetrySection,
    RouteSection,
    SourceSection,
    WatchSection,
)
from router.engine.engine import Engine
from router.identity.patients import register
from router.journal.store import JournalPlace, open_store
from schemas.identity import PatientIdentity
from schemas.item import ItemSet, LabReportItem

SEND_LANES = 4
SOURCES = ("labo", "radio")


class Listening(Settings):
    listen: str = "memory"


class HandLanes:
    """The lanes of one node, moved by hand."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.mine: dict[str, Fence] = {}
        self.given_up: list[str] = []
        self.released = False
        self.ready, self.broken = asyncio.Event(), asyncio.Event()
        self.wanted: Callable[[], Collection[str]]
        self.gained: Callable[[Fence], Awaitable[bool]]
        self.lost: Callable[[str], Awaitable[None]]

    def owned(self) -> Mapping[str, Fence]:
        return self.mine

    async def run(
        self,
        wanted: Callable[[], Collection[str]],
        gained: Callable[[Fence], Awaitable[bool]],
        lost: Callable[[str], Awaitable[None]],
    ) -> None:
        self.wanted, self.gained, self.lost = wanted, gained, lost
        self.ready.set()
        await self.broken.wait()
        raise ValueError

    def give_up(self, lane: str) -> None:
        self.given_up.append(lane)

    async def release(self) -> None:
        self.released = True
        self.mine.clear()


class Hub:
    """What joins the nodes: it hands out tokens, carries bells (unless it is deaf) and knows who is there."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = defaultdict(int)
        self.nodes: dict[str, HubNode] = {}
        self.deaf = False
        self.opening = ""

    async def give(self, lane: str, to: str, *, behind_its_back: bool = False) -> None:
        """Move a lane; `behind_its_back`: the former owner goes on believing that it has it."""
        for node in self.nodes.values():
            if lane in node.lanes.mine and node.name != to and not behind_its_back:
                await node.lanes.lost(lane)
                del node.lanes.mine[lane]
        self.counts[lane] += 1
        self.opening = to
        fence = Fence(lane, 1, self.counts[lane])
        lanes = self.nodes[to].lanes
        if await lanes.gained(fence):
            lanes.mine[lane] = fence


class HubNode:
    """A node as its engine sees it: bells and presence."""

    def __init__(self, hub: Hub, name: str) -> None:
        self.hub = hub
        self.name = name
        self.lanes = HandLanes(name)
        self.heard: Callable[[Bell], None] = lambda _: None
        self.status: Callable[[], NodeStatus] | None = None

    def ring(self, bell: Bell) -> None:
        for node in self.hub.nodes.values():
            if node is not self and not self.hub.deaf:
                node.heard(Bell.from_json(bell.to_json()))

    def listen(self, heard: Callable[[Bell], None]) -> None:
        self.heard = heard

    def say(self, status: Callable[[], NodeStatus]) -> None:
        self.status = status

    def nodes(self) -> Sequence[NodeStatus]:
        said = [node.status() for node in self.hub.nodes.values() if node.status is not None]
        return [NodeStatus.from_json(one.to_json()) for one in said]


class Stage:
    """Nodes on one journal, what was submitted to them and what they sent."""

    def __init__(self, place: JournalPlace) -> None:
        self.place = place
        self.hub = Hub()
        self.engines: dict[str, Engine] = {}
        self.inboxes: dict[str, dict[str, Inbox]] = defaultdict(dict)
        self.sent: list[tuple[str, Parcel]] = []
        self.answer: Callable[[str, Parcel], Awaitable[Outcome]] = _taken

    def loaded(self) -> Loaded:
        source = SourceSection(connector="memory", format="canonical")
        target = DestinationSection(
            connector="memory", retry=RetrySection(max_attempts=3, first_delay=0.02, max_delay=0.1)
        )
        names = (*SOURCES, "depot")
        configuration = Configuration(
            journal=JournalSection(data=".", url=self.place.url),
            engine=EngineSection(workers=0, batch=8),
            dossier=DossierSection(api=True),
            sources=dict.fromkeys(names, source),
            destinations={"tool": target},
            routes=(RouteSection(name="all", when="patient.in_coordination", to=("tool",)),),
            watch=WatchSection(node_minutes=0.001),
        )
        return Loaded(
            self.place.data / "passerelle.toml",
            configuration,
            tuple(
                ResolvedSource(name=name, section=source, settings=Settings() if name == "depot" else Listening())
                for name in names
            ),
            (ResolvedDestination(name="tool", section=target, settings=Settings(), format="canonical"),),
        )

    async def start(self, name: str, *roles: str, place: JournalPlace | None = None) -> Engine:
        node = HubNode(self.hub, name)
        parts = frozenset(roles or ("receive", "work", "web"))
        cluster = Cluster(name, parts, SEND_LANES, node.lanes, node, node)
        self.hub.opening = name
        engine = Engine(self.loaded(), open_store(place or self.place), cluster=cluster)
        self.hub.nodes[name] = node
        self.engines[name] = engine
        await engine.start()
        await node.lanes.ready.wait()
        return engine

    async def stop(self, name: str) -> None:
        engine = self.engines.pop(name)
        await engine.stop()
        self.hub.nodes.pop(name)

    def all_lanes(self) -> list[str]:
        return [*(f"read.{name}" for name in SOURCES), *(f"send.{number}" for number in range(SEND_LANES)), JOBS]

    async def give_all(self, to: str) -> None:
        for lane in self.all_lanes():
            await self.hub.give(lane, to)

    async def know(self, engine: Engine, make: Callable[[str], PatientIdentity], *people: str) -> None:
        for one in people:
            await engine.submit(register(make(one), in_coordination=True, now=1))

    def states(self, table: Any) -> dict[str, int]:
        engine = next(iter(self.engines.values()))
        found: dict[str, int] = defaultdict(int)
        with engine.store.reading() as connection:
            for state in connection.execute(select(table.c.state)).scalars():
                found[state] += 1
        return dict(found)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - what is waited for is in the journal
                await asyncio.sleep(0.02)


async def _taken(_node: str, _parcel: Parcel) -> Outcome:
    await asyncio.sleep(0)
    return Delivered(acknowledged=True)


class Source:
    def __init__(self, stage: Stage, node: str, name: str, services: Services) -> None:
        self._stage, self._node, self._name, self._services = stage, node, name, services

    async def run(self, inbox: Inbox) -> None:
        self._stage.inboxes[self._node][self._name] = inbox
        self._services.health.state = "listening"
        self._services.ready(f"{self._node}:{self._name}")
        try:
            await asyncio.Event().wait()
        finally:
            del self._stage.inboxes[self._node][self._name]


class Target:
    def __init__(self, stage: Stage, node: str) -> None:
        self._stage, self._node = stage, node

    async def send(self, parcel: Parcel) -> Outcome:
        outcome = await self._stage.answer(self._node, parcel)
        if isinstance(outcome, Delivered):
            self._stage.sent.append((self._node, parcel))
        return outcome

    async def close(self) -> None:
        return None


def connector_of(made: Stage) -> Connector:
    """Give the connector whose ends are those of the nodes of a stage."""
    return Connector(
        name="memory",
        summary="in memory",
        source_settings=Settings,
        destination_settings=Settings,
        make_source=lambda name, _settings, services: Source(made, made.hub.opening, name, services),
        make_destination=lambda _name, _settings, _services: Target(made, made.hub.opening),
    )


def content(report: LabReportItem) -> bytes:
    return ItemSet(items=(report,)).model_dump_json().encode()


async def submit(stage: Stage, node: str, source: str, report: LabReportItem, number: int) -> Receipt:
    inbound = Inbound(content(report), datetime.now(UTC), control_id=f"{source}-{number}", message_type="T")
    return await stage.inboxes[node][source].submit(inbound)
