"""A merge is undone: what was prepared while two patients were one never leaves as it is, whatever would send it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import orjson
import pytest
from flows_rig import (
    LABORATORY,
    PROVISIONAL,
    QUALIFIED,
    ROSE_INS,
    VALIDATED,
    Rig,
    event,
    ipp,
    qualified_rose,
    report,
    rose,
)
from sqlalchemy import select

from connectors.contracts import Parcel
from router.bulk.jobs import BulkAction, start_job
from router.bulk.outcomes import left_by_reason
from router.bulk.planning import plan_job
from router.bulk.undoing import plan_undo
from router.desk.deciding import Decide
from router.desk.doubts import declare_doubtful
from router.desk.reasons import Why
from router.desk.undoing import Undo
from router.identity.flows_merge import Unmerged, foresee_undoing, undo_merge
from router.identity.patients import register
from router.identity.tasks import TaskKind
from router.journal import tables
from router.journal.actions import cancel_deliveries, replay_deliveries, replay_messages, sendable
from router.journal.attempts import RecordAttempt, RecordAttempts
from router.journal.decisions import DeskAction
from router.journal.operations import Change
from router.journal.tables import DeliveryState
from router.journal.unit import Unit
from router.journal.view import viewing
from schemas.identity import IdentityStatus

ONE_DATABASE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""For what the database makes no difference to."""


async def united(rig: Rig, status: IdentityStatus | None = VALIDATED, **more: Any) -> tuple[int, int]:
    """Merge IPP2, of this status, into IPP1, who is qualified."""
    survivor = await rig.know(qualified_rose("IPP1"))
    absorbed = await rig.know(rose("IPP2", status=status, **more))
    await rig.receive(event(1, "merged", "A40", rose("IPP1"), absorbed=(ipp("IPP2"),)))
    return survivor, absorbed


async def undo(rig: Rig, merge_id: int = 1) -> None:
    """Undo a merge; what was foreseen is what was done, in every test here."""
    with viewing(rig.engine.store) as view:
        foreseen = foresee_undoing(view, merge_id)
    before: Counter[str] = Counter()

    def change(unit: Unit) -> Unmerged:
        unit.flush()
        before.update(_counted(unit))
        undone = undo_merge(merge_id, actor="claire", why="deux personnes", now=7).apply(unit)
        after = _counted(unit)
        figures = undone.done.stopped, undone.done.told, undone.done.anew
        assert figures == tuple(after[name] - before[name] for name in ("cancelled", "told", "held"))
        return undone

    undone: Unmerged = await rig.apply(Change(change, note="undo merge"))
    assert undone.done == foreseen
    await rig.settle()


def _counted(unit: Unit) -> Counter[str]:
    """Count what an undoing changes: Deliveries cancelled, Items held, tasks about what had left."""
    found = Counter(str(state) for state in unit.connection.execute(select(tables.delivery.c.state)).scalars())
    found += Counter(str(state) for state in unit.connection.execute(select(tables.item.c.state)).scalars())
    kinds = unit.connection.execute(select(tables.identity_task.c.kind)).scalars()
    found["told"] = sum(kind == TaskKind.PUBLISHED.value for kind in kinds)
    return found


async def again(rig: Rig, *numbers: int) -> int:
    """Send Deliveries again; gives how many were."""
    done: int = await rig.apply(replay_deliveries(numbers or deliveries(rig), actor="claire", now=9))
    rig.engine.wake()
    await rig.settle()
    return done


def deliveries(rig: Rig, *ranks: int) -> list[int]:
    """Give the numbers of the Deliveries of the reports with these ranks, of all Items without."""
    keys = {row.id: row.item_key for row in rig.rows(tables.item)}
    wanted = {f"report{rank}" for rank in ranks}
    return [row.id for row in rig.rows(tables.delivery) if not ranks or keys[row.item_id] in wanted]


def barred(rig: Rig, *ranks: int) -> set[str | None]:
    """Say why the Deliveries of a report may not be sent again; None for those that may."""
    found = deliveries(rig, *ranks)
    with rig.engine.store.reading() as connection:
        whys = sendable(connection, rig.engine.store.sealer.clone(), found)
    return {whys.get(number) for number in found}


def said(parcels: list[tuple[str, Parcel]]) -> list[tuple[str, bool]]:
    """Give of what left as canonical JSON whose number it states, and whether with an INS."""
    patients = [orjson.loads(parcel.content)["items"][0]["patient"] for name, parcel in parcels if name == "tool"]
    return [(one["identifiers"][0]["value"], one["ins"] is not None) for one in patients]


def owners(rig: Rig) -> dict[str, int | None]:
    return {row.item_key: row.patient_id for row in rig.rows(tables.item)}


@pytest.mark.parametrize("status", [VALIDATED, None])
async def test_what_left_under_the_survivors_ins_is_not_sent_again(rig: Rig, status: IdentityStatus | None) -> None:
    survivor, absorbed = await united(rig, status)
    await rig.receive(report(2, rose("IPP2")), report(3, rose("IPP1")))
    assert said(rig.sent)[-2:] == [("IPP2", True), ("IPP1", True)]
    await undo(rig)
    assert owners(rig) == {"event1": survivor, "report2": absorbed, "report3": survivor}
    assert {row.state for row in rig.rows(tables.item)} == {"routed"}
    assert (barred(rig, 2), barred(rig, 3)) == ({"parted"}, {None})
    before = len(rig.sent)
    await again(rig)
    assert ("IPP2", True) not in said(rig.sent[before:])
    assert ("IPP1", True) in said(rig.sent[before:])
    told = [task for task in rig.tasks() if task.kind is TaskKind.PUBLISHED]
    assert [(task.patient_id, task.delivery_id) for task in told] == [
        (absorbed, number) for number in deliveries(rig, 2)
    ], "its receivers must be told"


@ONE_DATABASE
async def test_its_message_is_replayed_instead(rig: Rig) -> None:
    _, absorbed = await united(rig)
    await rig.receive(report(2, rose("IPP2")))
    await undo(rig)
    before = len(rig.sent)
    await rig.apply(replay_messages([2], actor="claire", now=9))
    await rig.settle()
    assert said(rig.sent[before:]) == [("IPP2", False)]
    assert rig.rows(tables.item)[-1].patient_id == absorbed
    assert await again(rig, rig.rows(tables.delivery)[-1].id) == 1, "what was prepared since is sent again"


@pytest.mark.parametrize("status", [VALIDATED, None])
async def test_what_waits_is_prepared_anew_for_whom_it_is(rig: Rig, status: IdentityStatus | None) -> None:
    survivor, absorbed = await united(rig, status)
    rig.open = False
    await rig.receive(report(2, rose("IPP2")), report(3, rose("IPP1")))
    await undo(rig)
    assert owners(rig) == {"event1": survivor, "report2": absorbed, "report3": survivor}
    before, rig.open = len(rig.sent), True
    await rig.settle()
    assert sorted(said(rig.sent[before:])) == [("IPP1", True), ("IPP2", False)]
    stopped = [row for row in rig.rows(tables.delivery) if row.state == "cancelled"]
    assert [row.id for row in stopped] == deliveries(rig, 2)[:2]
    assert await again(rig, *(row.id for row in stopped)) == 0, "one that was stopped is not reopened"


async def test_numbers_of_both_part_with_them(rig: Rig) -> None:
    await united(rig, identifiers=(ipp("IPP2"), ipp("LAB2", LABORATORY)))
    await rig.receive(report(2, rose("IPP1")))
    assert b"LAB2" in rig.sent[-1][1].content
    rig.open = False
    await rig.receive(report(3, rose("IPP1")))
    await undo(rig)
    before, rig.open = len(rig.sent), True
    await rig.settle()
    assert said(rig.sent[before:]) == [("IPP1", True)]
    await again(rig)
    assert not any(b"LAB2" in parcel.content for _, parcel in rig.sent[before:])


@ONE_DATABASE
async def test_what_was_set_aside_does_not_come_back(rig: Rig) -> None:
    await united(rig)
    rig.open = False
    await rig.receive(report(2, rose("IPP2")))
    await rig.apply(cancel_deliveries(deliveries(rig, 2), actor="claire", now=5))
    await undo(rig)
    aside = deliveries(rig, 2)[:2]
    rig.open = True
    await rig.settle()
    assert await again(rig, *aside) == 0


@ONE_DATABASE
async def test_what_left_before_the_merge_may_be_sent_again(rig: Rig) -> None:
    survivor = await rig.know(qualified_rose("IPP1"))
    absorbed = await rig.know(rose("IPP2", status=VALIDATED, identifiers=(ipp("IPP2"), ipp("LAB2", LABORATORY))))
    await rig.submit(
        report(1, rose("IPP1")),
        report(2, rose("IPP2")),
        event(3, "merged", "A40", rose("IPP1"), absorbed=(ipp("IPP2"),)),
    )
    await rig.settle()
    assert await again(rig, *deliveries(rig, 1)) == 2, "sent again while they were one"
    await undo(rig)
    assert owners(rig) == {"report1": survivor, "report2": absorbed, "event3": survivor}
    assert barred(rig, 1, 2) == {None}


@ONE_DATABASE
async def test_the_better_identity_of_the_absorbed_leaves_for_nobody_else(rig: Rig) -> None:
    survivor = await rig.know(rose("IPP1", status=PROVISIONAL))
    absorbed = await rig.know(qualified_rose("IPP2"))
    merge = event(1, "merged", "A40", rose("IPP1"), absorbed=(ipp("IPP2"),))
    rig.open = False
    await rig.receive(merge, report(2, rose("IPP1")), report(3, rose("IPP2")))
    await undo(rig)
    before, rig.open = len(rig.sent), True
    await rig.settle()
    assert sorted(said(rig.sent[before:])) == [("IPP1", False), ("IPP1", False), ("IPP2", True)]
    assert rig.patient(absorbed).merged_into is None, "what is prepared anew does not merge anew"
    assert (rig.patient(survivor).identity.ins, rig.patient(absorbed).identity.ins) == (None, ROSE_INS)
    assert rig.patient(absorbed).identity.status is QUALIFIED


async def test_an_action_on_many_leaves_them_alone_and_its_undoing_puts_none_back(rig: Rig) -> None:
    await united(rig)
    await rig.receive(report(2, rose("IPP2")))
    rig.open = False
    await rig.receive(report(3, rose("IPP2")))
    waiting = deliveries(rig, 3)
    aside = await many(rig, BulkAction.CANCEL_DELIVERIES, waiting)
    await undo(rig)
    back = await rig.apply(plan_undo(aside, actor="claire", now=8))
    await carried(rig, back)
    again = await many(rig, BulkAction.REPLAY_DELIVERIES, deliveries(rig, 2) + waiting)
    before, rig.open = len(rig.sent), True
    await rig.settle()
    assert said(rig.sent[before:]) == [("IPP2", False)], "one that was set aside is prepared anew with its item"
    with rig.engine.store.reading() as connection:
        assert left_by_reason(connection, back) == {"parted": 2}
        assert left_by_reason(connection, again) == {"parted": 4}


@ONE_DATABASE
async def test_what_a_person_attached_is_prepared_anew_as_well(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    await rig.receive(report(1, rose("IPP9")))
    [item] = rig.rows(tables.item)
    rig.open = False
    decide = Decide(DeskAction.ATTACH, [item.id], "claire", Why.TRAITS, now=5, patient_id=number)
    assert (await rig.apply(decide)).refusal is None
    async with asyncio.timeout(20):
        while rig.rows(tables.item)[0].state == "held":
            rig.engine.wake()
            await asyncio.sleep(0.01)
    await rig.apply(register(rose("IPP1", status=VALIDATED), in_coordination=True, now=9))
    await rig.settle()
    rig.open = True
    await rig.settle()
    assert said(rig.sent) == [("IPP9", False)]


@ONE_DATABASE
async def test_an_attachment_that_was_undone_leaves_nothing_to_send_again(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    await rig.receive(report(1, rose("IPP9")))
    decide = Decide(DeskAction.ATTACH, [1], "claire", Why.TRAITS, now=5, patient_id=number)
    decided = await rig.apply(decide)
    async with asyncio.timeout(20):
        while len(rig.sent) < 2:
            rig.engine.wake()
            await asyncio.sleep(0.01)
    await rig.settle()
    await rig.apply(Undo(decided.decision_id, "claire", Why.MISTAKE, now=6))
    assert barred(rig) == {"parted"}
    assert await again(rig) == 0
    assert len(rig.sent) == 2


@ONE_DATABASE
@pytest.mark.parametrize("status", [QUALIFIED, VALIDATED])
async def test_an_event_that_stated_the_ins_is_not_sent_again_about_a_doubtful_one(
    rig: Rig, status: IdentityStatus
) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    await rig.receive(event(1, "updated", "A31", qualified_rose("IPP1", status=status, used_name="TESTNOM")))
    assert ROSE_INS.matricule in rig.ins_sent()
    await rig.apply(Change(lambda unit: declare_doubtful(unit, number, now=5)))
    assert barred(rig) == {"withdrawn"}
    assert await again(rig) == 0


@ONE_DATABASE
async def test_what_waits_for_a_doubtful_one_says_so(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    rig.open = False
    await rig.receive(report(1, rose("IPP1")))
    await rig.apply(Change(lambda unit: declare_doubtful(unit, number, now=5)))
    await rig.settle()
    [item] = rig.rows(tables.item)
    assert (item.state, item.reason, item.candidates) == ("held", "doubtful_or_fictitious", str(number))
    assert barred(rig) == {"undecided"}
    assert await again(rig) == 0


async def many(rig: Rig, action: BulkAction, numbers: list[int]) -> int:
    """Do something to many Deliveries, and give the number of the action once it is over."""
    job: int = await rig.apply(plan_job(action, numbers, actor="claire", now=5))
    await rig.apply(start_job(job, actor="claire", now=6))
    await carried(rig, job)
    return job


async def carried(rig: Rig, job: int) -> None:
    async with asyncio.timeout(20):
        while next(row for row in rig.rows(tables.bulk_job) if row.id == job).state == "running":
            rig.engine.wake()
            await asyncio.sleep(0.01)


@ONE_DATABASE
async def test_what_arrives_as_the_merge_is_undone_is_told_of(rig: Rig) -> None:
    _, absorbed = await united(rig, None)
    rig.open = False
    await rig.receive(report(2, rose("IPP2")), report(3, rose("IPP2")))
    number = deliveries(rig, 3)[0]
    await undo(rig)
    assert number not in [one.delivery_id for one in rig.tasks()], "it had not been tried"
    arrived = RecordAttempt(number, 1, 8, 9, "acknowledged", "", b"", DeliveryState.ACKNOWLEDGED)
    await rig.apply(RecordAttempts([arrived]))
    assert (absorbed, number) in [(one.patient_id, one.delivery_id) for one in rig.tasks()]
