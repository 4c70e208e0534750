"""Several engines on one journal: lanes move between them, and nothing is lost, doubled, or sent out of order."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from cluster_stage import SEND_LANES, Stage, submit
from sqlalchemy import select

from connectors.contracts import Delivered, Outcome, Parcel
from router.cluster.contracts import JOBS
from router.journal import tables
from router.journal.actions import replay_messages
from router.journal.fencing import NoLongerOurs
from router.journal.operations import Notice
from router.journal.pauses import FlowSide, pause_flow
from schemas.identity import PatientIdentity
from schemas.item import LabReportItem

pytestmark = pytest.mark.postgres


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
