"""Merges of patients who have dossiers: circles are never united by themselves, and undoing gives everything back."""

from __future__ import annotations

from dossier_scene import DAC, INFORMED, Scene, doctor, document, nurse

from router.dossier.circle import members
from router.dossier.doors import entries_shown
from router.dossier.dossiers import open_dossier
from router.dossier.keeping import Refusal
from router.dossier.merging import adopt_dossier
from router.identity.flows_keeping import patient_now
from router.identity.flows_merge import merge, undo_merge
from router.identity.flows_published import Cause
from router.identity.tasks import TaskKind, open_tasks
from router.journal import tables
from router.journal.operations import Change
from router.journal.unit import Unit
from router.journal.view import viewing
from schemas.circle import Member


def merged(scene: Scene, survivor: int, absorbed: int) -> int:
    """Merge two patients, as an A40 does; gives the number of the merge."""

    def change(unit: Unit) -> None:
        one, other = patient_now(unit, survivor), patient_now(unit, absorbed)
        assert one is not None
        assert other is not None
        merge(unit, one, other, [], Cause(scene.by().now, "merged"))

    scene.journal.apply(Change(change, note="merge"))
    return int(scene.rows(tables.patient_merge)[-1].id)


def undone(scene: Scene, number: int) -> None:
    found = scene.journal.apply(undo_merge(number, actor="claire", why="", now=scene.by().now))
    assert found.refusal is None


def kinds(scene: Scene) -> set[TaskKind]:
    with viewing(scene.journal.store) as view:
        return {task.kind for task in open_tasks(view)}


def shown(scene: Scene, member: Member, patient: int) -> list[int]:
    with viewing(scene.journal.store) as view:
        found = entries_shown(view, scene.reader(member), patient, now=scene.now)
    return [one.item_id for one in found.entries]


def circle(scene: Scene, patient: int) -> list[int]:
    with viewing(scene.journal.store) as view:
        return [one.seat.id for one in members(view, patient, now=scene.now)]


def second_dossier(scene: Scene) -> int:
    """Register a second person with a dossier, whose circle is the nurse; gives their number."""
    other = scene.know(2)
    assert scene.journal.apply(open_dossier(other, DAC, by=scene.by(), consent=INFORMED)).refusal is None
    scene.patient = other
    scene.add(nurse())
    scene.patient = 1
    return other


def test_two_dossiers_stay_two_until_a_person_decides_and_undoing_changes_nothing(dossier: Scene) -> None:
    dossier.add(doctor())
    other = second_dossier(dossier)
    mine = dossier.receive(document("1" * 32))
    theirs = dossier.receive(document("2" * 32, document_id="2.999.2"), patient=other)
    number = merged(dossier, 1, other)
    assert TaskKind.CIRCLES in kinds(dossier)
    assert (circle(dossier, 1), circle(dossier, other)) == ([1], [2])
    assert shown(dossier, doctor(), 1) == [mine], "what the other circle holds is not shown to this one"
    assert shown(dossier, nurse(), other) == [theirs]
    assert shown(dossier, nurse(), 1) == []
    assert dossier.journal.apply(adopt_dossier(other, by=dossier.by())).refusal is Refusal.OPEN_ALREADY
    undone(dossier, number)
    assert (circle(dossier, 1), circle(dossier, other)) == ([1], [2])
    assert (shown(dossier, doctor(), 1), shown(dossier, nurse(), other)) == ([mine], [theirs])


def test_what_is_of_a_patient_without_a_dossier_joins_the_survivors(dossier: Scene) -> None:
    dossier.add(doctor())
    other = dossier.know(2)
    theirs = dossier.receive(document("2" * 32, document_id="2.999.2"), patient=other)
    assert shown(dossier, doctor(), 1) == []
    number = merged(dossier, 1, other)
    assert TaskKind.CIRCLES not in kinds(dossier)
    assert shown(dossier, doctor(), 1) == [theirs]
    undone(dossier, number)
    assert shown(dossier, doctor(), 1) == []


def test_a_person_may_let_the_survivor_have_the_dossier_and_an_undone_merge_takes_it_back(scene: Scene) -> None:
    other = second_dossier(scene)
    assert scene.journal.apply(adopt_dossier(other, by=scene.by())).refusal is Refusal.NOT_MERGED
    theirs = scene.receive(document("1" * 32), patient=other)
    number = merged(scene, 1, other)
    assert scene.open().refusal is Refusal.MERGED_HAS_ONE
    assert shown(scene, nurse(), 1) == []
    assert scene.journal.apply(adopt_dossier(other, by=scene.by(why="même personne"))).refusal is None
    later = scene.receive(document("2" * 32, document_id="2.999.2"))
    assert shown(scene, nurse(), 1) == [theirs, later]
    assert [row.in_coordination for row in scene.rows(tables.patient)] == [True, True]
    undone(scene, number)
    assert shown(scene, nurse(), 1) == []
    assert shown(scene, nurse(), other) == [theirs]
    assert [row.in_coordination for row in scene.rows(tables.patient)] == [False, True]
