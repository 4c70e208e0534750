"""What was decided is taken back: held again, open Deliveries cancelled, those that had left marked and told of."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import update

from router.desk.deciding import Refusal
from router.desk.undoing import UNDONE, MarkLeft
from router.journal import tables
from router.journal.decisions import DeskAction
from router.journal.operations import PARCEL_DETAIL_PLACE, PreparedItem, ReleaseItems
from router.journal.tables import DeliveryState, ItemState
from schemas.identity import IdentityAttribute


def release(office: Any, item: int, decision: int | None, *, patient: int = 1, to: tuple[str, ...] = ("spico",)) -> int:
    """Do what the engine does after an attachment; gives how many Deliveries may be sent."""
    row = office.item(item)
    prepared = PreparedItem(
        ordinal=0,
        key=row.item_key,
        kind=row.kind,
        state=ItemState.ROUTED,
        reason=None,
        patient_id=patient,
        lane=1234,
        routes='{"all": true}',
        sealed_summary=b"",
        sealed_body=b"",
        deliveries=tuple(office.journal.delivery(name) for name in to),
        item_id=item,
        decision_id=decision,
    )
    return len(office.journal.apply(ReleaseItems([prepared], office.now)))


def findings(office: Any, delivery: int) -> list[str]:
    row = next(row for row in office.rows(tables.delivery_content) if row.delivery_id == delivery)
    detail = orjson.loads(office.journal.store.sealer.open(row.sealed_detail, PARCEL_DETAIL_PLACE))
    return [finding["code"] for finding in detail["findings"]]


def test_an_attachment_is_undone_with_what_it_sent(office: Any) -> None:
    item = office.hold(1, reason="trait_mismatch")
    lane = office.item(item).lane
    decided = office.decide(DeskAction.ATTACH, item, patient=1)
    assert release(office, item, decided.decision_id, to=("spico", "medecin", "dmp")) == 3
    assert (office.item(item).state, office.message_of(item).state) == ("routed", "processed")
    office.journal.attempt(1, office.now, DeliveryState.ACKNOWLEDGED)
    office.journal.attempt(2, office.now, DeliveryState.RETRYING, outcome="retry", next_at=office.now)

    undone = office.undo(decided.decision_id)
    assert (undone.items, undone.cancelled, undone.left, undone.refusal) == (1, 2, 1, None)
    row = office.item(item)
    assert (row.state, row.reason, row.patient_id, row.lane) == ("held", "trait_mismatch", None, lane)
    assert office.message_of(item).state == "held"
    first, second, third = office.rows(tables.delivery)
    assert (first.state, first.worst) == ("acknowledged", 3)
    assert (second.state, third.state) == ("cancelled", "cancelled")
    assert findings(office, 1) == ["fhir.lost", UNDONE]
    (notice,) = [row for row in office.rows(tables.notice) if row.code == UNDONE]
    assert (notice.severity, notice.message) == (
        "error",
        f"item {item} had left for spico before its attachment was undone: tell them",
    )
    last = office.rows(tables.identity_decision)[-1]
    assert (last.action, last.undoes, last.actor, last.why) == ("undo", decided.decision_id, "claire", "mistake")
    assert office.decide(DeskAction.ATTACH, item, patient=2).refusal is None, "it is decided anew"


def test_what_arrives_after_the_undoing_is_marked_once(office: Any) -> None:
    item = office.hold(1)
    decided = office.decide(DeskAction.ATTACH, item, patient=1)
    release(office, item, decided.decision_id)
    assert office.undo(decided.decision_id).cancelled == 1
    assert office.journal.apply(MarkLeft([item], office.now)) == 0
    office.journal.attempt(1, office.now, DeliveryState.DELIVERED)
    assert office.journal.apply(MarkLeft([item], office.now)) == 1
    assert office.journal.apply(MarkLeft([item], office.now)) == 0
    assert findings(office, 1).count(UNDONE) == 1
    again = office.decide(DeskAction.ATTACH, item, patient=2)
    release(office, item, again.decision_id, patient=2, to=("medecin",))
    office.journal.attempt(2, office.now, DeliveryState.DELIVERED)
    assert office.journal.apply(MarkLeft([item], office.now)) == 0, "what was attached anew is right"


def test_a_decision_undone_before_it_was_carried_out_releases_nothing(office: Any) -> None:
    item = office.hold(1)
    decided = office.decide(DeskAction.ATTACH, item, patient=1)
    assert office.undo(decided.decision_id).cancelled == 0
    assert release(office, item, decided.decision_id) == 0
    assert office.item(item).state == "held"


def test_the_rules_release_nothing_about_which_a_person_has_spoken(office: Any) -> None:
    attached, doubtful, task = (office.hold(rank) for rank in range(3))
    office.decide(DeskAction.ATTACH, attached, patient=2)
    office.decide(DeskAction.DOUBTFUL, doubtful)
    office.decide(DeskAction.TASK, task)
    assert release(office, attached, None) == 0
    assert release(office, doubtful, None) == 0
    assert release(office, task, None) == 1, "a task is there to be done by a registration"


def test_a_group_is_undone_together_but_for_what_was_decided_since(office: Any) -> None:
    items = [office.hold(rank) for rank in range(3)]
    decided = office.decide(DeskAction.TASK, *items)
    office.decide(DeskAction.REFUSE, items[1])
    undone = office.undo(decided.decision_id)
    assert undone.items == 2
    assert [office.item(number).state for number in items] == ["held", "refused", "held"]
    rows = office.rows(tables.identity_decision)[-2:]
    assert [(row.item_id, row.group_id) for row in rows] == [(items[0], None), (items[2], undone.decision_id)]


def test_a_refusal_is_undone(office: Any) -> None:
    item = office.hold(1)
    decided = office.decide(DeskAction.REFUSE, item)
    assert office.undo(decided.decision_id).items == 1
    assert (office.item(item).state, office.item(item).reason) == ("held", "no_match")
    assert office.message_of(item).state == "held"


def test_a_doubt_is_undone_for_item_and_patient(office: Any) -> None:
    item = office.hold(1, reason="several_candidates")
    before = office.patient(1)
    decided = office.decide(DeskAction.DOUBTFUL, item, patient=1)
    assert IdentityAttribute.DOUBTFUL in office.patient(1).attributes
    office.undo(decided.decision_id)
    assert office.patient(1) == before
    assert office.item(item).reason == "several_candidates"


def test_only_the_newest_decision_is_undone_and_only_once(office: Any) -> None:
    item = office.hold(1)
    first = office.decide(DeskAction.TASK, item)
    second = office.decide(DeskAction.REFUSE, item)
    assert office.undo(first.decision_id).refusal is Refusal.SUPERSEDED
    undone = office.undo(second.decision_id)
    assert office.undo(second.decision_id).refusal is Refusal.SUPERSEDED
    assert office.undo(undone.decision_id).refusal is Refusal.NO_DECISION
    assert office.undo(999).refusal is Refusal.NO_DECISION


def test_an_item_that_a_replay_replaced_stays_replaced_and_is_marked(office: Any) -> None:
    item = office.hold(1)
    decided = office.decide(DeskAction.ATTACH, item, patient=1)
    release(office, item, decided.decision_id)
    office.journal.attempt(1, office.now, DeliveryState.DELIVERED)
    with office.journal.store.writing() as connection:
        connection.execute(update(tables.item).values(state="replaced"))
    undone = office.undo(decided.decision_id)
    assert (undone.left, office.item(item).state) == (1, "replaced")
    assert findings(office, 1)[-1] == UNDONE
