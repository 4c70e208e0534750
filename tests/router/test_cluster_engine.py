"""Several engines on one journal: lanes move between them, and nothing is lost, doubled, or sent out of order."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy import select

from connectors.contracts import Connector, Delivered, Inbound, Inbox, Outcome, Parcel, Receipt, Services, Settings
from router.cluster.contracts import JOBS, Bell, Cluster, Fence, NodeStatus
from router.cluster.share import shares
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
from router.journal import tables
from router.journal.actions import replay_messages
from router.journal.fencing import NoLongerOurs
from router.journal.keyring import next_key_file
from router.journal.operations import Notice
from router.journal.pauses import FlowSide, pause_flow
from router.journal.store import JournalFault, JournalPlace, open_store
from router.keeping.rotation import begin
from router.watch.alarms import open_alarms, past_alarms
from router.watch.signs import SignKind
from schemas.identity import PatientIdentity
from schemas.item import ItemSet, LabReportItem

SEND_LANES = 4
SOURCES = ("labo", "radio")

pytestmark = pytest.mark.postgres


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


@pytest.fixture
async def stage(postgres_place: JournalPlace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    made = Stage(postgres_place)
    connector = Connector(
        name="memory",
        summary="in memory",
        source_settings=Settings,
        destination_settings=Settings,
        make_source=lambda name, _settings, services: Source(made, made.hub.opening, name, services),
        make_destination=lambda _name, _settings, _services: Target(made, made.hub.opening),
    )
    monkeypatch.setattr("router.engine.engine.connectors", lambda: {"memory": connector})
    yield made
    for name in list(made.engines):
        await made.stop(name)


@pytest.fixture
def told_of(rank_of: Callable[[Parcel], tuple[str, int]]) -> Callable[[Stage], dict[str, list[int]]]:
    def told(stage: Stage) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for _, parcel in stage.sent:
            who, number = rank_of(parcel)
            found[who].append(number)
        return dict(found)

    return told


def content(report: LabReportItem) -> bytes:
    return ItemSet(items=(report,)).model_dump_json().encode()


async def submit(stage: Stage, node: str, source: str, report: LabReportItem, number: int) -> Receipt:
    inbound = Inbound(content(report), datetime.now(UTC), control_id=f"{source}-{number}", message_type="T")
    return await stage.inboxes[node][source].submit(inbound)


async def test_lanes_move_under_load_and_each_patients_reports_arrive_once_and_in_order(
    stage: Stage,
    make_person: Callable[[str], PatientIdentity],
    make_report: Callable[[int, str], LabReportItem],
    told_of: Callable[[Stage], dict[str, list[int]]],
) -> None:
    people = ("ROSE", "PAUL", "LINA", "OMAR", "ZOE")
    nord = await stage.start("nord")
    await stage.start("sud")
    await stage.know(nord, make_person, *people)
    await stage.give_all("nord")

    async def feed() -> None:
        for number in range(150):
            await submit(stage, ("nord", "sud")[number % 2], "labo", make_report(number, people[number % 5]), number)

    async def move() -> None:
        for lane, to in zip(stage.all_lanes() * 2, itertools.cycle(("sud", "nord", "sud")), strict=False):
            await stage.hub.give(lane, to)
            await asyncio.sleep(0.01)

    await asyncio.gather(feed(), move())
    await stage.until(lambda: stage.states(tables.delivery) == {"acknowledged": 150})

    told = told_of(stage)
    # A sending that was cut off when its lane moved is sent again under the same identity: receivers know it.
    once = {who: list(dict.fromkeys(numbers)) for who, numbers in told.items()}
    assert once == {who: list(range(at, 150, 5)) for at, who in enumerate(people)}
    assert stage.states(tables.message) == {"processed": 150}
    assert {node for node, _ in stage.sent} == {"nord", "sud"}


async def test_a_node_that_still_believes_that_it_owns_commits_nothing(
    stage: Stage,
    make_person: Callable[[str], PatientIdentity],
    make_report: Callable[[int, str], LabReportItem],
    told_of: Callable[[Stage], dict[str, list[int]]],
) -> None:
    nord = await stage.start("nord")
    await stage.start("sud")
    await stage.know(nord, make_person, "ROSE")
    await stage.give_all("nord")
    door = asyncio.Event()

    async def late(node: str, _parcel: Parcel) -> Outcome:
        if node == "nord":
            await door.wait()
        return Delivered(acknowledged=True)

    stage.answer = late
    await submit(stage, "nord", "labo", make_report(1, "ROSE"), 1)
    await stage.until(lambda: stage.states(tables.delivery) == {"pending": 1})
    for lane in stage.all_lanes():
        await stage.hub.give(lane, "sud", behind_its_back=True)
    await stage.until(lambda: stage.states(tables.delivery) == {"acknowledged": 1})
    with nord.store.reading() as connection:
        [by_sud] = connection.execute(select(tables.attempt)).all()
    # What the former owner was sending ends now; what it reads is refused as well.
    door.set()
    await submit(stage, "nord", "labo", make_report(2, "ROSE"), 2)
    await stage.until(lambda: stage.states(tables.delivery) == {"acknowledged": 2})
    lanes = stage.hub.nodes["nord"].lanes
    await stage.until(lambda: "read.labo" in lanes.given_up and any(one.startswith("send.") for one in lanes.given_up))
    with nord.store.reading() as connection:
        assert connection.execute(select(tables.attempt)).all()[0] == by_sud
    assert sorted(dict.fromkeys(told_of(stage)["ROSE"])) == [1, 2]
    jobs = nord.jobs._writer
    with pytest.raises(NoLongerOurs):
        await jobs.submit(Notice(1, "test", "warning", "test", "", "written by nobody"))
    with nord.store.reading() as connection:
        assert "written by nobody" not in connection.execute(select(tables.notice.c.message)).scalars().all()


async def test_a_source_that_is_gained_is_read_from_its_oldest_message_on_without_any_bell(
    stage: Stage,
    make_person: Callable[[str], PatientIdentity],
    make_report: Callable[[int, str], LabReportItem],
    told_of: Callable[[Stage], dict[str, list[int]]],
) -> None:
    stage.hub.deaf = True
    door = await stage.start("door", "receive")
    work = await stage.start("work", "work")
    assert sorted(stage.inboxes) == ["door"], "a node that only works opens no source"
    await stage.know(work, make_person, "ROSE", "PAUL")
    for lane in ("read.radio", "send.0", "send.1", "send.2", "send.3", JOBS):
        await stage.hub.give(lane, "work")
    for number in range(30):
        await submit(stage, "door", "labo", make_report(number, "ROSE"), number)
        await submit(stage, "door", "radio", make_report(number, "PAUL"), number)
    await stage.until(lambda: len(told_of(stage).get("PAUL", ())) == 30)
    assert told_of(stage) == {"PAUL": list(range(30))}
    await stage.until(lambda: door.waiting == 30)
    receipt = await submit(stage, "door", "labo", make_report(0, "ROSE"), 0)
    assert receipt.duplicate
    read = asyncio.create_task(stage.inboxes["door"]["labo"].outcome(receipt))
    await stage.hub.give("read.labo", "work")
    async with asyncio.timeout(30):
        assert await read is None, "a source that waits for the reading is told of it, whoever read"
    for number in range(30, 40):
        await submit(stage, "door", "labo", make_report(number, "ROSE"), number)
    await stage.until(lambda: len(told_of(stage).get("ROSE", ())) == 40)
    assert told_of(stage) == {"PAUL": list(range(30)), "ROSE": list(range(40))}
    assert {node for node, _ in stage.sent} == {"work"}


async def test_what_comes_while_a_source_catches_up_is_read_before_what_follows(
    stage: Stage,
    make_person: Callable[[str], PatientIdentity],
    make_report: Callable[[int, str], LabReportItem],
    told_of: Callable[[Stage], dict[str, list[int]]],
) -> None:
    await stage.start("door", "receive")
    work = await stage.start("work", "work")
    await stage.know(work, make_person, "ROSE")
    for lane in stage.all_lanes():
        if lane != "read.labo":
            await stage.hub.give(lane, "work")
    pipeline, loop = work.pipeline, asyncio.get_running_loop()
    load, looked, go_on = pipeline._load, asyncio.Event(), threading.Event()

    def slow(statement: Any, parameters: dict[str, Any]) -> Any:
        found = load(statement, parameters)
        if parameters.get("source") == "labo" and not go_on.is_set():
            loop.call_soon_threadsafe(looked.set)
            go_on.wait(30)
        return found

    pipeline._load = slow
    pipeline._catching_up = False
    await stage.hub.give("read.labo", "work")
    await looked.wait()
    await submit(stage, "door", "labo", make_report(0, "ROSE"), 0)
    await stage.until(lambda: pipeline._pressure.last_committed == 1)
    go_on.set()
    await stage.until(lambda: not pipeline._is_behind)
    await submit(stage, "door", "labo", make_report(1, "ROSE"), 1)
    await stage.until(lambda: stage.states(tables.delivery) == {"acknowledged": 2})
    assert told_of(stage) == {"ROSE": [0, 1]}


async def test_jobs_run_once_and_what_persons_did_on_one_node_reaches_all(
    stage: Stage,
    make_person: Callable[[str], PatientIdentity],
    make_report: Callable[[int, str], LabReportItem],
) -> None:
    nord = await stage.start("nord")
    sud = await stage.start("sud")
    for lane in ("read.labo", "read.radio", JOBS):
        await stage.hub.give(lane, "nord")
    for number in range(SEND_LANES):
        await stage.hub.give(f"send.{number}", "sud")

    def running() -> list[str]:
        once = ("bulk actions", "dossier", "notices", "subscriptions")
        return sorted(name for task in asyncio.all_tasks() if (name := task.get_name()) in once)

    for node in ("sud", "nord", "sud"):
        await stage.hub.give(JOBS, node)
        stage.engines[node].wake()
        assert running() == ["bulk actions", "dossier", "notices", "subscriptions"]
    # A patient who is registered on one node lets go on the other what waited for him.
    await submit(stage, "nord", "labo", make_report(1, "ROSE"), 1)
    await stage.until(lambda: stage.states(tables.message) == {"held": 1})
    await stage.know(nord, make_person, "ROSE")
    nord.wake()
    await stage.until(lambda: stage.states(tables.delivery) == {"acknowledged": 1})
    await nord.submit(replay_messages([1], actor="test", now=2))
    nord.wake()
    await stage.until(lambda: stage.states(tables.delivery) == {"acknowledged": 2})
    assert {node for node, _ in stage.sent} == {"sud"}
    assert running() == ["bulk actions", "dossier", "notices", "subscriptions"], "what is begun again goes on"
    assert nord.failed is None
    assert sud.failed is None
    # A pause is everybody's.
    await nord.submit(pause_flow(FlowSide.SOURCE, "radio", "maintenance", actor="test", now=3))
    nord.wake()
    await stage.until(lambda: all("radio" not in inboxes for inboxes in stage.inboxes.values()))
    # Going and getting is one node's.
    assert [node for node, inboxes in stage.inboxes.items() if "depot" in inboxes] == []
    await stage.hub.give("poll.depot", "sud")
    await stage.hub.give("poll.depot", "nord")
    await stage.until(lambda: [node for node, found in stage.inboxes.items() if "depot" in found] == ["nord"])

    def shown(name: str) -> str:
        return next(one.state for one in sud.flows() if one.name == name)

    await stage.until(lambda: shown("depot") == "listening")  # what another node does is shown here
    assert shown("radio") == "paused"
    lanes = stage.hub.nodes["nord"].lanes
    await stage.stop("nord")
    assert lanes.released


async def test_what_another_node_has_by_the_journal_is_let_go_of_where_nothing_is_written(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.engine.node.ASK_SECONDS", 0.05)
    await stage.start("nord")
    await stage.start("sud")
    await stage.give_all("nord")
    await stage.hub.give("send.0", "sud", behind_its_back=True)
    lanes = stage.hub.nodes["nord"].lanes
    await stage.until(lambda: bool(lanes.given_up))
    assert set(lanes.given_up) == {"send.0"}
    assert stage.hub.nodes["sud"].lanes.given_up == []


async def test_a_node_that_its_journal_does_not_answer_says_so_until_it_does(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.engine.node.ASK_SECONDS", 0.01)
    monkeypatch.setattr("router.engine.node.AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("router.engine.node.SILENT_SECONDS", 1.0)
    nord = await stage.start("nord")
    status = stage.hub.nodes["nord"].status
    assert status is not None
    assert status().trouble == ""

    def silent() -> NoReturn:
        raise JournalFault("the journal's database does not answer (OperationalError)")

    with monkeypatch.context() as cut:
        cut.setattr(nord.store, "reading", silent)
        await stage.until(lambda: status().trouble == "the journal does not answer this node")
    await stage.until(lambda: status().trouble == "")


async def test_a_node_whose_owning_ended_by_a_defect_has_no_part_in_the_lanes(stage: Stage) -> None:
    nord = await stage.start("nord")
    sud = await stage.start("sud")
    stage.hub.nodes["nord"].lanes.broken.set()
    await stage.until(lambda: nord.failed is not None)
    nodes = stage.hub.nodes["sud"].nodes()
    assert [node.trouble for node in nodes] == ["owns no lanes any more (ValueError): restart it", ""]
    assert shares([JOBS], nodes, "sud") == {"jobs": 1}
    assert shares([JOBS], nodes, "nord") == {"jobs": 0}
    assert sud.failed is None


async def test_a_node_that_vanishes_is_an_alarm_until_it_is_back_whoever_has_the_jobs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.engine.node.SEEN_SECONDS", 0.02)
    for name in ("nord", "sud", "est"):
        await stage.start(name)
    hub = stage.hub

    async def alarms(by: str) -> list[str]:
        for _ in range(2):  # the first time it has only just begun to watch
            await asyncio.sleep(0.1)
            await stage.engines[by].watching.run()
        with stage.engines[by].store.reading() as connection:
            return [one.subject for one in open_alarms(connection) if one.kind is SignKind.NODE]

    await hub.give(JOBS, "nord")
    assert await alarms("nord") == []
    silent = hub.nodes.pop("nord")
    await hub.give(JOBS, "sud")
    assert await alarms("sud") == ["nord"]
    await hub.give(JOBS, "est")
    assert await alarms("est") == ["nord"]
    hub.nodes["nord"] = silent
    assert await alarms("est") == []
    # What stops in good order says so.
    await stage.stop("nord")
    assert await alarms("est") == []
    with stage.engines["est"].store.reading() as connection:
        past = [one.subject for one in past_alarms(connection) if one.kind is SignKind.NODE]
    assert past == ["nord"], "one alarm, through three owners of the jobs"


async def test_a_node_without_the_new_master_key_waits_until_it_is_brought(
    stage: Stage,
    make_person: Callable[[str], PatientIdentity],
    make_report: Callable[[int, str], LabReportItem],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("router.journal.keyring.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("router.engine.node.KEY_SECONDS", 0.02)
    apart = replace(stage.place, data=tmp_path / "sud")
    apart.data.mkdir()
    shutil.copy(stage.place.key_file, apart.key_file)
    nord, sud = await stage.start("nord"), await stage.start("sud", place=apart)
    await stage.know(nord, make_person, "ROSE")
    await stage.give_all("sud")
    await submit(stage, "nord", "labo", make_report(0, "ROSE"), 0)
    await stage.until(lambda: stage.states(tables.delivery) == {"acknowledged": 1})
    typed = open_store(stage.place)
    try:
        begin(typed, actor="claire", now=1)
    finally:
        typed.close()
    await submit(stage, "nord", "labo", make_report(1, "ROSE"), 1)
    node = sud.node
    assert node is not None
    await stage.until(lambda: "put the new key file" in node.status().trouble)
    await asyncio.sleep(0.2)
    assert stage.states(tables.message) == {"processed": 1, "received": 1}
    assert sud.failed is None, "it waits for the key"
    shutil.copy(stage.place.key_file, next_key_file(apart.key_file))
    await stage.until(lambda: stage.states(tables.delivery) == {"acknowledged": 2})
    assert node.status().trouble == ""
    assert sud.failed is None
