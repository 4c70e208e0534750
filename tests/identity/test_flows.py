"""Identity events keep the register in step with its senders, through the real engine on both databases."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flows_rig import (
    DOUBTFUL,
    LABORATORY,
    PAUL_INS,
    PROVISIONAL,
    QUALIFIED,
    ROSE_INS,
    SOURCE,
    VALIDATED,
    Rig,
    event,
    ipp,
    qualified_rose,
    report,
    rose,
)

from connectors.sandbox.adt import adt
from connectors.sandbox.people import Person, population
from router.identity.tasks import TaskKind, close_task, count_open
from router.journal import tables
from router.journal.actions import replay_deliveries, replay_messages
from router.journal.view import viewing
from schemas.actors import Telecom
from schemas.identity import Ins, PatientIdentity
from schemas.item import StayItem
from schemas.stay import Stay

NIA = "1.2.250.1.213.1.4.9"
NIR = "1.2.250.1.213.1.4.8"


def kinds(rig: Rig) -> list[TaskKind]:
    return [task.kind for task in rig.tasks()]


async def test_an_update_follows_in_complementary_traits_and_adds_numbers(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1", used_name="TESTANCIEN"))
    phone = (Telecom(kind="phone", value="0199000000"),)
    sent = rose("IPP1", "IPP2", used_name="TESTNOUVEAU", telecoms=phone)
    await rig.receive(event(1, "updated", "A31", sent))
    kept = rig.patient(number).identity
    assert (kept.used_name, kept.telecoms) == ("TESTNOUVEAU", phone)
    assert kept.identifiers == (ipp("IPP1"), ipp("IPP2"))
    assert (kept.ins, kept.status) == (ROSE_INS, QUALIFIED)
    await rig.receive(report(2, rose("IPP2")))
    assert rig.rows(tables.item)[-1].patient_id == number
    assert rig.tasks() == []


async def test_what_a_sender_deletes_is_deleted_and_what_it_leaves_out_stays(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1", used_name="TESTANCIEN", civility="Mme"))
    await rig.receive(event(1, "updated", "A31", rose("IPP1", deleted=("used_name",))))
    kept = rig.patient(number).identity
    assert (kept.used_name, kept.civility) == (None, "Mme")


async def test_strict_traits_that_were_checked_are_never_overwritten(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    sent = rose("IPP1", birth_place="63220")
    await rig.receive(event(1, "updated", "A31", sent), event(2, "updated", "A31", sent))
    assert rig.patient(number).identity == qualified_rose("IPP1")
    assert kinds(rig) == [TaskKind.TRAITS], "the same is asked once"


async def test_strict_traits_of_a_provisional_identity_follow_its_sender(rig: Rig) -> None:
    number = await rig.know(rose("IPP1", status=PROVISIONAL, birth_given_names=(), birth_place=None))
    await rig.receive(event(1, "updated", "A31", rose("IPP1")))
    kept = rig.patient(number).identity
    assert (kept.birth_given_names, kept.birth_place) == (("MARIE", "JEANNE"), "51215")


async def test_an_admission_updates_as_well(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    stay = StayItem(
        id="stay",
        patient=rose("IPP1", used_name="TESTNOUVEAU"),
        source=SOURCE,
        content=Stay(event="stay.started", trigger="A01"),
    )
    await rig.receive(stay)
    assert rig.patient(number).identity.used_name == "TESTNOUVEAU"


async def test_a_new_number_of_a_known_ins_is_added(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    await rig.receive(event(1, "created", "A28", qualified_rose(identifiers=(ipp("LAB9", LABORATORY),))))
    assert rig.patient(number).identity.identifiers == (ipp("IPP1"), ipp("LAB9", LABORATORY))


async def test_the_ins_of_a_message_is_never_copied_and_asked_about_once(rig: Rig) -> None:
    number = await rig.know(rose("IPP1", status=VALIDATED))
    claim = event(1, "updated", "A31", qualified_rose("IPP1"))
    await rig.receive(claim)
    assert rig.patient(number).identity == rose("IPP1", status=VALIDATED)
    [task] = rig.tasks()
    assert (task.kind, task.patient_id) == (TaskKind.CLAIMED, number)
    assert await rig.apply(close_task(task.id, actor="claire", why="INSi ne connaît personne", now=5))
    assert not await rig.apply(close_task(task.id, actor="claire", why="", now=6))
    await rig.receive(claim.model_copy(update={"id": "again"}))
    assert rig.tasks() == []
    with viewing(rig.engine.store) as view:
        assert count_open(view) == (0, None)
    assert rig.ins_sent() == set(), "the register says that this identity is not qualified"


async def test_another_ins_than_ours_is_a_task_and_ours_is_what_leaves(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    await rig.receive(event(1, "updated", "A31", qualified_rose("IPP1", ins=PAUL_INS)))
    await rig.receive(report(2, qualified_rose("IPP1", ins=PAUL_INS)))
    assert rig.patient(number).identity.ins == ROSE_INS
    assert kinds(rig) == [TaskKind.OTHER_INS]
    assert rig.ins_sent() == {ROSE_INS.matricule}


async def test_a_declared_doubt_bars_the_ins_and_what_had_left_is_told(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    await rig.receive(report(1, rose("IPP1")))
    assert rig.ins_sent() == {ROSE_INS.matricule}
    await rig.receive(event(2, "updated", "A31", rose("IPP1", attributes=(DOUBTFUL,))))
    kept = rig.patient(number).identity
    assert (kept.status, kept.attributes) == (PROVISIONAL, (DOUBTFUL,))
    told = [task for task in rig.tasks() if task.kind is TaskKind.PUBLISHED]
    assert len(told) == 2, "one for each destination"
    assert TaskKind.DOUBT in kinds(rig)


async def test_a_withdrawn_ins_goes_to_history_and_cascades(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    await rig.receive(report(1, rose("IPP1")))
    rig.open = False
    await rig.submit(report(2, rose("IPP1")))
    await rig.settle()
    before = len(rig.sent)
    removed = rose("IPP1", status=VALIDATED, deleted=("ins",))
    old = (ipp(ROSE_INS.matricule, f"urn:oid:{ROSE_INS.oid}").model_copy(update={"type": "INS"}),)
    await rig.receive(event(3, "identifier_changed", "A47", removed, absorbed=old, ins_removed=True))
    kept = rig.patient(number).identity
    assert (kept.ins, kept.status) == (None, VALIDATED)
    [former] = rig.rows(tables.patient_ins)
    assert (former.patient_id, former.why, former.item_id) == (number, "withdrawn", rig.rows(tables.item)[-1].id)
    rig.open = True
    await rig.settle()
    assert rig.ins_sent(before) == set()
    reports = [parcel for name, parcel in rig.sent[before:] if b'"lab_report"' in parcel.content]
    assert len(reports) == 1, "what was stopped was prepared anew"
    told = [task for task in rig.tasks() if task.kind is TaskKind.PUBLISHED]
    assert {task.item_id for task in told} >= {rig.rows(tables.item)[0].id}
    worst = {row.id: row.worst for row in rig.rows(tables.delivery)}
    assert all(worst[task.delivery_id] >= 2 for task in told if task.delivery_id is not None), "a Finding each"
    # What had left under it is not sent again by a person either; its message may be read again.
    again = [row.id for row in rig.rows(tables.delivery) if row.ins_token is not None]
    assert await rig.apply(replay_deliveries(again, actor="claire", now=9)) == 0
    await rig.apply(replay_messages([1], actor="claire", now=9))
    rig.engine.wake()
    await rig.settle()
    assert rig.ins_sent(before) == set()


async def test_a_nia_that_became_a_nir_and_a_changed_matricule_make_the_status_fall(rig: Rig) -> None:
    nia = Ins(matricule=ROSE_INS.matricule, oid=NIA)
    number = await rig.know(qualified_rose("IPP1", ins=nia))
    await rig.receive(event(1, "updated", "A31", qualified_rose("IPP1", ins=nia.model_copy(update={"oid": NIR}))))
    # The table may hold such a message for a person; whatever it decides, no number changes unasked.
    assert rig.patient(number).identity.ins in (None, nia)
    assert rig.patient(number).identity.status in (VALIDATED, QUALIFIED)
    other = await rig.know(qualified_rose("IPP7", ins=PAUL_INS, birth_name="TESTAUTRE"))
    old = (ipp(PAUL_INS.matricule, f"urn:oid:{PAUL_INS.oid}").model_copy(update={"type": "INS"}),)
    changed = qualified_rose("IPP7", birth_name="TESTAUTRE", ins=Ins(matricule="185069935200011", oid=PAUL_INS.oid))
    await rig.receive(event(2, "identifier_changed", "A47", changed, absorbed=old))
    assert (rig.patient(other).identity.ins, rig.patient(other).identity.status) == (None, VALIDATED)
    assert TaskKind.WITHDRAWN in kinds(rig)
    assert rig.rows(tables.patient_ins)[-1].why == "replaced"
    assert rig.ins_sent() == set()


async def test_a_changed_local_number_takes_the_place_of_the_old_one(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    changed = rose("IPP2")
    await rig.receive(event(1, "identifier_changed", "A47", changed, absorbed=(ipp("IPP1"),)))
    assert rig.patient(number).identity.identifiers == (ipp("IPP2"),)
    await rig.receive(report(2, rose("IPP1")))
    assert rig.rows(tables.item)[-1].state == "held"


async def test_a_number_that_is_another_patients_is_not_added(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    await rig.know(rose("IPP2", birth_name="TESTAUTRE"))
    await rig.receive(event(1, "updated", "A31", rose("IPP1", "IPP2")))
    assert rig.patient(number).identity.identifiers == (ipp("IPP1"),)
    assert rig.rows(tables.item)[-1].reason == "several_candidates"


async def test_an_unknown_patient_is_never_created_or_changed(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    stranger = rose("X1", birth_name="TESTINCONNU", birth_date="1950-01-01")
    await rig.receive(
        event(1, "created", "A28", stranger),
        event(2, "updated", "A31", stranger),
        event(3, "merged", "A40", stranger, absorbed=(ipp("X2"),)),
    )
    assert [row.id for row in rig.rows(tables.patient)] == [number]
    assert rig.patient(number).identity == qualified_rose("IPP1")
    assert {row.reason for row in rig.rows(tables.item)} == {"no_match"}


async def test_an_old_event_that_is_replayed_undoes_nothing(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    await rig.receive(event(1, "updated", "A31", rose("IPP1", used_name="TESTUN")))
    await rig.receive(event(2, "updated", "A31", rose("IPP1", used_name="TESTDEUX")))
    await rig.apply(replay_messages([1], actor="claire", now=9))
    rig.engine.wake()
    await rig.settle()
    assert rig.patient(number).identity.used_name == "TESTDEUX"


async def test_links_are_recorded_until_they_are_taken_back(rig: Rig) -> None:
    one = await rig.know(rose("IPP1"))
    two = await rig.know(rose("IPP2", birth_name="TESTAUTRE"))
    await rig.receive(event(1, "linked", "A24", rose("IPP1"), absorbed=(ipp("IPP2"),)))
    await rig.receive(event(2, "linked", "A24", rose("IPP1"), absorbed=(ipp("IPP2"),)))
    [link] = rig.rows(tables.patient_link)
    assert (link.patient_id, link.other_id, link.unlinked_at) == (one, two, None)
    await rig.receive(event(3, "unlinked", "A37", rose("IPP1"), absorbed=(ipp("IPP2"),)))
    [link] = rig.rows(tables.patient_link)
    assert link.unlinked_at is not None


async def test_many_messages_about_one_patient_at_once_change_one_and_create_none(rig: Rig) -> None:
    number = await rig.know(qualified_rose("IPP1"))
    updates = [event(n, "updated", "A31", rose("IPP1", f"IPP{n}", used_name=f"TEST{n}")) for n in range(2, 26)]
    await rig.submit(*updates)
    await rig.settle()
    assert [row.id for row in rig.rows(tables.patient)] == [number]
    kept = rig.patient(number).identity
    assert kept.used_name == "TEST25", "the last one counts"
    assert {one.value for one in kept.identifiers} == {f"IPP{n}" for n in range(1, 26)}
    canonical = [parcel for name, parcel in rig.sent if name == "tool"]
    assert len(canonical) == len(updates)


@pytest.mark.parametrize("trigger", ["A31", "A47"])
async def test_real_adt_messages_do_the_same(rig: Rig, trigger: str) -> None:
    person: Person = population(3, seed=5)[0]
    known = PatientIdentity(
        ins=Ins(matricule=person.matricule, oid=ROSE_INS.oid),
        status=QUALIFIED,
        identifiers=(ipp("PAT1", LABORATORY),),
    )
    number = await rig.know(known)
    await rig.submit_bytes(adt(trigger, person, control_id="ADT1", at=datetime(2026, 11, 2, 9, tzinfo=UTC)))
    await rig.settle()
    kept = rig.patient(number).identity
    if trigger == "A31":
        assert len(kept.identifiers) == 2, "found by its INS, the hospital's number was added"
        assert kept.ins == known.ins
    else:
        assert (kept.ins, kept.status) == (None, VALIDATED)
