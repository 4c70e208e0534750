"""Decisions are kept with who, when and why; what no longer can be decided is refused and changes nothing."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from sqlalchemy import delete, update

from router.desk.deciding import TOGETHER, Refusal
from router.desk.reasons import CHOICES, Why, reason_of
from router.journal import tables
from router.journal.decisions import NOTE_PLACE, DeskAction
from router.journal.operations import IDENTITY_PLACE
from router.journal.store import JournalFault, translated
from schemas.identity import IdentityAttribute, IdentityStatus, PatientIdentity


def test_an_attachment_is_kept_and_waits_for_the_engine(office: Any) -> None:
    item = office.hold(1, reason="trait_mismatch")
    decided = office.decide(DeskAction.ATTACH, item, patient=2, note="appelé le labo")
    assert (decided.items, decided.refusal) == (1, None)
    (row,) = office.rows(tables.identity_decision)
    assert (row.actor, row.action, row.at, row.item_id, row.patient_id) == ("claire", "attach", office.now, item, 2)
    assert (row.reason, row.why) == ("trait_mismatch", "traits_compared")
    assert b"labo" not in row.sealed_detail
    detail = orjson.loads(office.journal.store.sealer.open(row.sealed_detail, NOTE_PLACE))
    assert detail["note"] == "appelé le labo"
    assert office.item(item).state == "held", "the engine attaches, not the desk"
    audit = office.rows(tables.audit)[-1]
    assert (audit.actor, audit.action, audit.target) == ("claire", "identity attach", f"item {item}")
    assert audit.detail == "patient 2, traits_compared"


def test_one_decision_may_cover_the_items_of_one_identity(office: Any) -> None:
    items = [office.hold(rank) for rank in range(3)]
    assert office.decide(DeskAction.REFUSE, items[1]).items == 1
    decided = office.decide(DeskAction.ATTACH, items[2], items[0], items[1], items[0], 999, patient=1)
    assert decided.items == 2, "what was refused, repeated or unknown is left alone"
    rows = office.rows(tables.identity_decision)[1:]
    assert [(row.item_id, row.group_id) for row in rows] == [(items[2], None), (items[0], decided.decision_id)]
    assert TOGETHER >= 40


def test_a_refused_item_settles_its_message(office: Any) -> None:
    item = office.hold(1)
    assert office.message_of(item).state == "held"
    office.decide(DeskAction.REFUSE, item, why=Why.TEST)
    assert office.item(item).state == "refused"
    assert office.message_of(item).state == "processed"


def test_a_task_leaves_the_item_held(office: Any) -> None:
    item = office.hold(1)
    office.decide(DeskAction.TASK, item)
    assert office.item(item).state == "held"
    assert office.decide(DeskAction.ATTACH, item, patient=1).refusal is None, "the task is done"


def test_doubt_about_the_sent_identity_needs_a_person_again(office: Any) -> None:
    item = office.hold(1)
    office.decide(DeskAction.DOUBTFUL, item)
    assert (office.item(item).state, office.item(item).reason) == ("held", "declared_doubtful")
    assert office.decide(DeskAction.ATTACH, item, patient=1).refusal is None


def test_doubt_about_a_patient_takes_status_and_ins_away(office: Any) -> None:
    from router.identity.attached import completed

    sealer = office.journal.store.sealer
    known = office.patient(1).model_copy(update={"status": IdentityStatus.QUALIFIED})
    with office.journal.store.writing() as connection:
        sealed = sealer.seal(known.model_dump_json().encode(), IDENTITY_PLACE)
        connection.execute(update(tables.patient).where(tables.patient.c.id == 1).values(sealed_identity=sealed))
    office.decide(DeskAction.DOUBTFUL, office.hold(1), patient=1)
    doubtful = office.patient(1)
    assert (doubtful.status, doubtful.attributes) == (IdentityStatus.PROVISIONAL, (IdentityAttribute.DOUBTFUL,))
    assert completed(PatientIdentity(), doubtful).ins is None
    office.decide(DeskAction.DOUBTFUL, office.hold(2), patient=1)
    assert office.patient(1) == doubtful, "saying it twice changes nothing"


@pytest.mark.parametrize(
    ("items", "patient_id", "refusal"),
    [((999,), 1, Refusal.NO_ITEM), ((1,), 77, Refusal.NO_PATIENT), ((2,), 1, Refusal.DECIDED)],
)
def test_what_cannot_be_decided_is_refused(office: Any, items: Any, patient_id: int, refusal: Refusal) -> None:
    office.hold(1)
    office.decide(DeskAction.ATTACH, office.hold(2), patient=1)
    before = len(office.rows(tables.identity_decision)), len(office.rows(tables.audit))
    decided = office.decide(DeskAction.ATTACH, *items, patient=patient_id)
    assert (decided.decision_id, decided.refusal) == (None, refusal)
    assert (len(office.rows(tables.identity_decision)), len(office.rows(tables.audit))) == before


def test_an_item_that_the_rules_released_is_no_longer_to_be_decided(office: Any) -> None:
    item = office.hold(1)
    with office.journal.store.writing() as connection:
        connection.execute(update(tables.item).values(state="routed"))
    assert office.decide(DeskAction.REFUSE, item).refusal is Refusal.NOT_HELD


def test_decisions_are_never_rewritten_and_end_with_their_item(office: Any) -> None:
    office.decide(DeskAction.TASK, office.hold(1))
    with (
        pytest.raises(JournalFault),
        translated(),
        office.journal.store.writing() as connection,
    ):
        connection.execute(update(tables.identity_decision).values(actor="somebody else"))
    assert office.rows(tables.identity_decision)[0].actor == "claire"
    with office.journal.store.writing() as connection:
        connection.execute(delete(tables.message))
    assert office.rows(tables.identity_decision) == []


def test_each_action_has_its_reasons() -> None:
    assert set(CHOICES) == set(DeskAction)
    for action, whys in CHOICES.items():
        assert whys[-1] is Why.OTHER
        assert all(reason_of(action, why.value) is why for why in whys)
    assert reason_of(DeskAction.ATTACH, "test_message") is None


def test_nobody_attaches_to_a_patient_who_was_merged(office: Any) -> None:
    with office.journal.store.writing() as connection:
        connection.execute(update(tables.patient).where(tables.patient.c.id == 2).values(merged_into=1))
    assert office.decide(DeskAction.ATTACH, office.hold(1), patient=2).refusal is Refusal.NO_PATIENT
