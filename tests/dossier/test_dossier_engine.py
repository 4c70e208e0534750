"""The whole way, in a running router: a message in, its entry and the alerts of the circle in the same commit."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from dossier_scene import DAC, INFORMED, doctor, home_help
from flows_rig import Rig, empty_journal, event, ipp, report, rose, running

from router.dossier.circle import add_member
from router.dossier.dossiers import open_dossier
from router.dossier.keeping import By
from router.dossier.merging import MOVED
from router.identity.tasks import TaskKind
from router.journal import tables
from router.journal.actions import replay_messages
from schemas.coding import Identifier
from schemas.item import StayItem
from schemas.stay import Stay, StayStatus


def by() -> By:
    return By("claire", int(datetime.now(UTC).timestamp() * 1_000_000))


def admission(number: int, patient: Any) -> StayItem:
    content = Stay(
        event="stay.started",
        trigger="A01",
        status=StayStatus.IN_PROGRESS,
        visit=Identifier(system="urn:oid:2.999.67.2", value="VEN-1", type="VN"),
    )
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return StayItem(
        id=f"stay{number}", patient=patient, occurred_at=at, source=report(0, patient).source, content=content
    )


async def followed(rig: Rig, patient: int) -> None:
    """Open a patient's dossier with a doctor and a home help."""
    await rig.apply(open_dossier(patient, DAC, by=by(), consent=INFORMED.model_copy(update={"at": "2026-01-01"})))
    await rig.apply(add_member(patient, doctor(), by=by()))
    await rig.apply(add_member(patient, home_help(), by=by()))


@pytest.fixture
async def rig(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    async with running(empty_journal(tmp_path), monkeypatch) as found:
        yield found


async def test_an_admission_is_told_in_the_commit_that_keeps_it(rig: Rig) -> None:
    patient = await rig.know(rose("IPP1"), in_coordination=False)
    await followed(rig, patient)
    assert rig.patient(patient).in_coordination
    await rig.receive(admission(1, rose("IPP1")), report(1, rose("IPP1")))
    assert [(row.event, row.item_id) for row in rig.rows(tables.alert)][:1] == [("ADM", 1)]
    assert [row.category for row in rig.rows(tables.dossier_entry)] == ["events", "lab"]
    notices = rig.rows(tables.alert_notice)
    assert [(row.member_id, row.state) for row in notices] == [(1, "queued"), (2, "queued")]
    await rig.apply(replay_messages([1], actor="claire", now=by().now))
    await rig.settle()
    assert len(rig.rows(tables.item)) == 3
    assert len(rig.rows(tables.alert_notice)) == len(notices)


async def test_an_item_that_the_register_recognises_later_is_told_then(rig: Rig) -> None:
    patient = await rig.know(rose("IPP1"))
    await followed(rig, patient)
    await rig.receive(admission(1, rose("IPP2")))
    assert rig.rows(tables.dossier_entry) == []
    await rig.know(rose("IPP1", "IPP2"))
    await rig.settle()
    async with asyncio.timeout(20):
        while not rig.rows(tables.dossier_entry):
            rig.engine.wake()
            await asyncio.sleep(0.005)
    assert [row.event for row in rig.rows(tables.alert)] == ["ADM"]


async def test_a_merge_by_message_leaves_two_circles_and_a_task(rig: Rig) -> None:
    one, other = await rig.know(rose("IPP1")), await rig.know(rose("IPP2"))
    await followed(rig, one)
    await followed(rig, other)
    await rig.receive(event(1, "merged", "A40", rose("IPP1"), absorbed=(ipp("IPP2"),)))
    assert rig.patient(other).merged_into == one
    assert [row.patient_id for row in rig.rows(tables.dossier)] == [one, other]
    assert TaskKind.CIRCLES in {task.kind for task in rig.tasks()}
    assert MOVED not in {row.action for row in rig.rows(tables.dossier_history)}


async def test_an_unknown_patient_gets_no_dossier(rig: Rig) -> None:
    await followed(rig, await rig.know(rose("IPP1")))
    await rig.receive(admission(1, rose("IPP9", birth_name="TESTINCONNU")))
    assert len(rig.rows(tables.dossier)) == 1
    assert [row.state for row in rig.rows(tables.item)] == ["held"]
    assert rig.rows(tables.alert) == []
