"""Nodes of a cluster in trouble: without journal, without key, replaced, vanished."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from cluster_stage import Stage, submit

from router.cluster.contracts import JOBS
from router.cluster.share import shares
from router.journal import tables
from router.journal.keyring import next_key_file
from router.journal.store import JournalFault, open_store
from router.keeping.rotation import begin
from router.watch.alarms import open_alarms, past_alarms
from router.watch.signs import SignKind
from schemas.identity import PatientIdentity
from schemas.item import LabReportItem

pytestmark = pytest.mark.postgres


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
