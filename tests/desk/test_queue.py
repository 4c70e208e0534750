"""The queue: two piles, the oldest first, by reason; what goes with an Item; whom it may be about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from web_journal import person

from router.desk.dossiers import SOUGHT, dossiers
from router.desk.history import decision, decisions, last_of
from router.desk.queue import Pile, held_item, next_held, piles, same_identity, waiting
from router.identity.patients import register
from router.journal.decisions import DeskAction
from router.journal.view import View, viewing

R = TypeVar("R")


@pytest.fixture
def look(office: Any) -> Callable[[Callable[[View], Any]], Any]:
    def ask(query: Callable[[View], R]) -> R:
        with viewing(office.journal.store) as view:
            return query(view)

    return ask


def test_the_oldest_comes_first_and_the_queue_goes_round(office: Any, look: Any) -> None:
    first, second, third = office.hold(1), office.hold(2, reason="homonyms"), office.hold(3)
    assert look(lambda view: next_held(view, Pile.TODO)) == first
    assert look(lambda view: next_held(view, Pile.TODO, after=first)) == second
    assert look(lambda view: next_held(view, Pile.TODO, reason="no_match", after=first)) == third
    assert look(lambda view: next_held(view, Pile.TODO, after=third)) == first
    assert look(lambda view: next_held(view, Pile.ASIDE)) is None


def test_piles_follow_the_decisions(office: Any, look: Any) -> None:
    items = [office.hold(rank, reason="homonyms" if rank == 0 else "no_match") for rank in range(5)]
    found = look(piles)
    assert (found.todo.count.count, found.aside.count.count) == (5, 0)
    assert [(heap.reason, heap.count.count) for heap in found.reasons] == [("no_match", 4), ("homonyms", 1)]
    assert found.todo.oldest_at == office.item(items[0]).created_at
    task = office.decide(DeskAction.TASK, items[0])
    office.decide(DeskAction.DOUBTFUL, items[1])
    office.decide(DeskAction.ATTACH, items[2], patient=1)
    office.decide(DeskAction.REFUSE, items[3])
    found = look(piles)
    assert (found.todo.count.count, found.aside.count.count) == (1, 2)
    assert [one.line.id for one in look(lambda view: waiting(view, Pile.ASIDE))] == items[:2]
    assert not look(lambda view: held_item(view, items[2])).to_decide, "the engine is about to release it"
    assert not look(lambda view: held_item(view, items[3])).to_decide
    office.undo(task.decision_id)
    assert look(piles).todo.count.count == 2


def test_items_that_say_the_same_of_their_patient_go_together(office: Any, look: Any) -> None:
    first, second = office.hold(1), office.hold(2)
    office.hold(3, patient=person(3).model_copy(update={"birth_date": "1999-01-01"}))
    office.hold(4, reason="trait_mismatch")
    third = office.hold(5)
    held = look(lambda view: held_item(view, second))
    assert look(lambda view: same_identity(view, held)) == [first, third]
    office.decide(DeskAction.TASK, first)
    assert look(lambda view: same_identity(view, held)) == [third]


def test_candidates_are_those_that_something_points_to(office: Any, look: Any) -> None:
    typed = person(1).model_copy(update={"ins": None, "birth_name": "FICTIVALE", "birth_date": None})
    item = office.hold(1, patient=typed)
    (found,) = look(lambda view: dossiers(view, held_item(view, item)))
    assert (found.patient.id, found.by, found.traits.agreeing) == (2, "identifier", 3)
    stranger = office.hold(2, patient=person(7, "NOBODYTEST").model_copy(update={"first_given_name": "ZOÉ"}))
    assert look(lambda view: dossiers(view, held_item(view, stranger))) == []


@pytest.mark.parametrize("text", ["fictival jeanne", "Jeanne FICTIVAL", "fictival", "IPP000001", "279035121510001"])
def test_a_person_may_look_for_others(office: Any, look: Any, text: str) -> None:
    item = office.hold(1)
    for number in range(20, 30):
        office.journal.apply(register(person(number), in_coordination=True, now=office.now))
    found = look(lambda view: dossiers(view, held_item(view, item), text=text))
    assert found[0].by == SOUGHT
    assert found[0].patient.identity.birth_name == "FICTIVAL"
    if text.lower() != "fictival":
        assert found[0].patient.id == 2
    assert look(lambda view: dossiers(view, held_item(view, item), text="qqqq")) == []


def test_what_was_decided_is_told_newest_first(office: Any, look: Any) -> None:
    items = [office.hold(rank) for rank in range(3)]
    first = office.decide(DeskAction.TASK, *items, note="rappeler lundi")
    second = office.decide(DeskAction.REFUSE, items[1], actor="paul")
    found = look(decisions)
    assert [(one.id, one.items, one.actor) for one in found] == [
        (second.decision_id, 1, "paul"),
        (first.decision_id, 3, "claire"),
    ]
    assert (found[1].note, found[1].standing, found[0].standing) == ("rappeler lundi", True, True)
    assert [one.action.value for one in look(lambda view: decisions(view, item=items[1]))] == ["refuse", "task"]
    assert look(lambda view: last_of(view, "claire", since=0)).id == first.decision_id
    assert look(lambda view: last_of(view, "claire", since=office.now + 1)) is None
    office.undo(first.decision_id)
    assert look(lambda view: last_of(view, "claire", since=0)) is None, "an undoing is not offered to be undone"
    assert not look(lambda view: decision(view, first.decision_id)).standing
    assert look(lambda view: decision(view, 999)) is None
