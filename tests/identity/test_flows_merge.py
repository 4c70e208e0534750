"""Merges: by local identifier, never on a guess, found as one from then on, and undone without a trace or a leak."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from flows_rig import (
    DOUBTFUL,
    LABORATORY,
    PAUL_INS,
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

from router.identity.flows_merge import UndoRefusal, Unmerged, undo_merge, united
from router.identity.patients import register, search_tokens
from router.identity.tasks import TaskKind
from router.journal import tables
from router.journal.operations import apply_at_once
from router.journal.queries_lines import item_lines
from router.journal.queries_search import Search, candidates
from router.journal.view import viewing
from schemas.identity import IdentityStatus, PatientIdentity


def merged(number: int, survivor: PatientIdentity, *absorbed: str) -> Any:
    return event(number, "merged", "A40", survivor, absorbed=tuple(ipp(value) for value in absorbed))


async def undo(rig: Rig, merge_id: int = 1, **more: Any) -> Unmerged:
    done: Unmerged = await rig.apply(undo_merge(merge_id, actor="claire", why="deux personnes", now=7, **more))
    return done


def lines(rig: Rig, text: str) -> list[tuple[int, int | None]]:
    with viewing(rig.engine.store) as view:
        messages, _ = candidates(view, Search(tuple(search_tokens(view.sealer, text)), text))
        return sorted(
            (line.message_id, line.patient_id) for line in item_lines(view, tables.item.c.message_id.in_(messages))
        )


async def test_a_merged_patient_is_found_as_its_survivor(rig: Rig) -> None:
    survivor = await rig.know(qualified_rose("IPP1"))
    lab = rose("IPP2", status=PROVISIONAL, identifiers=(ipp("IPP2"), ipp("LAB2", LABORATORY)))
    absorbed = await rig.know(lab)
    await rig.receive(report(1, rose("IPP2")))
    await rig.receive(merged(2, rose("IPP1"), "IPP2"))
    assert rig.patient(absorbed).merged_into == survivor
    kept = rig.patient(survivor).identity
    assert (kept.status, kept.ins) == (QUALIFIED, ROSE_INS)
    assert kept.identifiers == (ipp("IPP1"), ipp("LAB2", LABORATORY)), "the number that disappeared leaves no more"
    await rig.receive(report(3, rose("IPP2")))
    assert rig.rows(tables.item)[-1].patient_id == survivor
    assert lines(rig, "IPP1") == [(1, survivor), (2, survivor), (3, survivor)], "one person in every view"
    assert rig.tasks() == []


async def test_the_better_status_wins_with_its_ins_and_two_halves_make_no_whole(rig: Rig) -> None:
    survivor = await rig.know(rose("IPP1", status=PROVISIONAL, birth_place=None))
    await rig.know(qualified_rose("IPP2"))
    await rig.receive(merged(1, rose("IPP1"), "IPP2"))
    kept = rig.patient(survivor).identity
    assert (kept.status, kept.ins, kept.birth_place) == (QUALIFIED, ROSE_INS, "51215")
    half = united(rose("A", status=VALIDATED), rose("B", status=IdentityStatus.RETRIEVED, ins=ROSE_INS))
    assert (half.status, half.ins) == (VALIDATED, None)


async def test_coordination_is_not_united_and_somebody_is_asked(rig: Rig) -> None:
    survivor = await rig.know(qualified_rose("IPP1"), in_coordination=False)
    await rig.know(rose("IPP2"), in_coordination=True)
    await rig.receive(merged(1, rose("IPP1"), "IPP2"))
    assert not rig.patient(survivor).in_coordination
    assert [(task.kind, task.patient_id) for task in rig.tasks()] == [(TaskKind.COORDINATION, survivor)]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (qualified_rose("IPP2", ins=PAUL_INS), "merge_different_ins"),
        (rose("IPP2", birth_date="1980-01-01"), "merge_traits_differ"),
        (rose("IPP2", status=PROVISIONAL, attributes=(DOUBTFUL,)), "doubtful_or_fictitious"),
    ],
)
async def test_what_could_mix_two_people_up_waits_for_a_person(rig: Rig, other: PatientIdentity, reason: str) -> None:
    survivor = await rig.know(qualified_rose("IPP1"))
    absorbed = await rig.know(other)
    await rig.receive(merged(1, rose("IPP1"), "IPP2"))
    [item] = rig.rows(tables.item)
    assert (item.state, item.reason, item.candidates) == ("held", reason, f"{survivor} {absorbed}")
    assert rig.patient(absorbed).merged_into is None
    assert (rig.patient(survivor).identity, rig.patient(absorbed).identity) == (qualified_rose("IPP1"), other)
    assert rig.sent == [], "what is held goes nowhere"


@pytest.mark.parametrize("late", ["survivor", "absorbed"])
async def test_a_merge_before_its_creation_is_parked_and_tried_again(rig: Rig, late: str) -> None:
    people = {"survivor": qualified_rose("IPP1"), "absorbed": rose("IPP2")}
    early = await rig.know(people["absorbed" if late == "survivor" else "survivor"])
    await rig.receive(merged(1, rose("IPP1"), "IPP2"))
    [item] = rig.rows(tables.item)
    assert (item.state, item.reason, item.candidates) == ("held", f"merge_awaits_{late}", str(early))
    created = await rig.know(people[late])
    async with asyncio.timeout(20):
        while rig.rows(tables.item)[0].state == "held":
            rig.engine.wake()
            await asyncio.sleep(0.01)
    await rig.settle()
    survivor, absorbed = (created, early) if late == "survivor" else (early, created)
    assert rig.patient(absorbed).merged_into == survivor
    assert rig.rows(tables.item)[0].state == "routed"


async def test_an_ins_alone_merges_nobody(rig: Rig) -> None:
    await rig.know(qualified_rose("IPP1"))
    absorbed = await rig.know(rose("IPP2"))
    await rig.receive(merged(1, qualified_rose("UNKNOWN"), "IPP2"))
    assert rig.patient(absorbed).merged_into is None
    assert rig.rows(tables.item)[0].reason == "merge_awaits_survivor"


async def test_a_merge_and_its_undoing_restore_both_exactly(rig: Rig) -> None:
    one, two = rose("IPP1", status=PROVISIONAL, used_name="TESTUN"), qualified_rose("IPP2", used_name="TESTDEUX")
    survivor, absorbed = await rig.know(one), await rig.know(two)
    await rig.receive(merged(1, rose("IPP1"), "IPP2"))
    assert rig.patient(survivor).identity.ins == ROSE_INS
    assert await undo(rig) == Unmerged(survivor, absorbed)
    assert (rig.patient(survivor).identity, rig.patient(absorbed).identity) == (one, two)
    assert rig.patient(absorbed).merged_into is None
    await rig.receive(report(2, rose("IPP2")))
    assert rig.rows(tables.item)[-1].patient_id == absorbed
    assert TaskKind.UNMERGED in [task.kind for task in rig.tasks()]
    assert await undo(rig) == Unmerged(refusal=UndoRefusal.UNDONE)


async def test_what_came_since_stays_and_a_withdrawn_ins_does_not_come_back(rig: Rig) -> None:
    survivor = await rig.know(rose("IPP1", status=PROVISIONAL))
    absorbed = await rig.know(qualified_rose("IPP2"))
    await rig.receive(merged(1, rose("IPP1"), "IPP2"))
    await rig.receive(event(2, "updated", "A31", rose("IPP1", "IPP9", used_name="TESTNEUF")))
    await rig.receive(event(3, "updated", "A31", rose("IPP1", deleted=("ins",))))
    await undo(rig)
    first, second = rig.patient(survivor).identity, rig.patient(absorbed).identity
    assert first.identifiers == (ipp("IPP1"), ipp("IPP9"))
    assert (first.used_name, first.status, first.ins) == ("TESTNEUF", PROVISIONAL, None)
    assert (second.identifiers, second.status, second.ins) == ((ipp("IPP2"),), VALIDATED, None)


async def test_merges_in_a_row_are_one_person_and_undone_from_the_last(rig: Rig) -> None:
    numbers = [await rig.know(rose(f"IPP{n}", status=PROVISIONAL)) for n in (1, 2, 3)]
    await rig.receive(merged(1, rose("IPP2"), "IPP1"))
    await rig.receive(merged(2, rose("IPP3"), "IPP2"))
    assert [rig.patient(number).merged_into for number in numbers] == [numbers[2], numbers[2], None]
    await rig.receive(report(3, rose("IPP1")))
    assert rig.rows(tables.item)[-1].patient_id == numbers[2]
    assert await undo(rig, 1) == Unmerged(refusal=UndoRefusal.LATER)
    assert await undo(rig, 2, not_before=2**60) == Unmerged(refusal=UndoRefusal.TOO_OLD)
    assert (await undo(rig, 2)).refusal is None
    assert [rig.patient(number).merged_into for number in numbers] == [numbers[1], None, None]
    assert (await undo(rig, 1)).refusal is None
    assert [rig.patient(number).merged_into for number in numbers] == [None, None, None]
    assert await undo(rig, 9) == Unmerged(refusal=UndoRefusal.NO_MERGE)


async def test_two_people_at_once_undo_it_once(rig: Rig) -> None:
    await rig.know(qualified_rose("IPP1"))
    await rig.know(rose("IPP2"))
    await rig.receive(merged(1, rose("IPP1"), "IPP2"))
    store = rig.engine.store

    def one(name: str) -> Unmerged:
        return apply_at_once(store, undo_merge(1, actor=name, why="deux personnes", now=7))

    both = await asyncio.gather(asyncio.to_thread(one, "claire"), asyncio.to_thread(one, "anne"))
    assert sorted(str(done.refusal) for done in both) == ["None", "undone_already"]
    assert [task.kind for task in rig.tasks()].count(TaskKind.UNMERGED) == 1


async def test_registering_under_the_number_of_one_who_was_merged_overwrites_nobody(rig: Rig) -> None:
    survivor = await rig.know(qualified_rose("IPP1"))
    await rig.know(rose("IPP2"))
    await rig.receive(merged(1, rose("IPP1"), "IPP2"))
    done = await rig.apply(register(rose("IPP2", birth_name="TESTAUTRE"), in_coordination=True, now=9))
    assert done.conflict
    assert rig.patient(survivor).identity.birth_name == "TESTROSE"
