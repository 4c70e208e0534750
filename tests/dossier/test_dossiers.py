"""Dossiers in a real journal: opened, changed, closed; what the two doors show of them."""

from __future__ import annotations

from typing import Any

import pytest
from dossier_scene import DAC, Scene, daughter, doctor, document, home_help, nurse, stay

from router.dossier.accesses import accesses, record_accesses, seen_by
from router.dossier.circle import add_member, change_member, circle_at, dossiers_with, end_member, members, prefer
from router.dossier.consents import consents_of, open_emergency, withdraw_consent
from router.dossier.doors import entries_shown, entry_opened
from router.dossier.dossiers import change_state, history, open_dossier
from router.dossier.keeping import Refusal, dossier_of
from router.dossier.may import Rule
from router.dossier.restrictions import lift_restriction, restrict
from router.identity.patients import load_patients
from router.journal import tables
from router.journal.view import viewing
from schemas.circle import Channel, MemberState, Preferences, party_keys
from schemas.consent import ConsentKind
from schemas.dossier import DossierState
from schemas.habilitation import DataCategory
from schemas.visibility import Restriction, RestrictionKind


def shown(scene: Scene, member: Any, **more: Any) -> tuple[list[int], int]:
    """Give the numbers that somebody is shown, and the total that they are told."""
    with viewing(scene.journal.store) as view:
        found = entries_shown(view, scene.reader(member), scene.patient, now=scene.now, **more)
    return [one.item_id for one in found.entries], found.total


def may_open(scene: Scene, member: Any, item: int) -> bool:
    with viewing(scene.journal.store) as view:
        opened = entry_opened(view, scene.reader(member), scene.patient, item, now=scene.now)
    return opened.entry is not None


def test_a_dossier_is_opened_by_a_person_with_the_consent_and_only_once(scene: Scene) -> None:
    done = scene.open(consent=None)
    assert done.refusal is None
    assert scene.open().refusal is Refusal.OPEN_ALREADY
    with viewing(scene.journal.store) as view:
        line = dossier_of(view.connection, view.sealer, 1)
    assert line is not None
    assert line.state is DossierState.PROPOSED
    assert line.body.owner == DAC
    activate = change_state(1, DossierState.ACTIVE, by=scene.by())
    assert scene.journal.apply(activate).refusal is Refusal.NO_CONSENT
    scene.consent(ConsentKind.OPENING)
    assert scene.journal.apply(change_state(1, DossierState.ACTIVE, by=scene.by())).refusal is None
    assert scene.journal.apply(open_dossier(99, DAC, by=scene.by())).refusal is Refusal.NO_PATIENT
    with viewing(scene.journal.store) as view:
        assert load_patients(view.connection, view.sealer, [1])[1].in_coordination
        assert [one.action for one in history(view, line.id)] == ["activate dossier", "record consent", "open dossier"]


def test_a_closed_dossier_shows_nothing_and_a_new_one_begins_anew(dossier: Scene) -> None:
    dossier.add(doctor())
    lab = dossier.lab("a" * 32)
    assert shown(dossier, doctor()) == ([lab], 1)
    assert dossier.journal.apply(change_state(1, DossierState.CLOSED, by=dossier.by(why="décès"))).refusal is None
    assert shown(dossier, doctor()) == ([], 0)
    refused = dossier.journal.apply(add_member(1, nurse(), by=dossier.by()))
    assert refused.refusal is Refusal.CLOSED
    assert dossier.open().refusal is None
    assert shown(dossier, doctor()) == ([], 0), "the former circle is not that of the new dossier"
    dossier.add(doctor())
    assert shown(dossier, doctor()) == ([lab], 1)


def test_what_came_before_the_dossier_is_in_it(scene: Scene) -> None:
    old = scene.receive(document("d" * 32))
    assert scene.rows(tables.dossier_entry) == []
    scene.open()
    scene.add(doctor())
    assert shown(scene, doctor()) == ([old], 1)


def test_the_circle_is_kept_with_its_versions(dossier: Scene) -> None:
    gp = dossier.add(doctor())
    helper = dossier.add(home_help())
    assert dossier.journal.apply(add_member(1, doctor(), by=dossier.by())).refusal is Refusal.MEMBER_THERE
    unnumbered = doctor(professional=doctor().professional.model_copy(update={"identifiers": ()}))  # type: ignore[union-attr]
    assert dossier.journal.apply(add_member(1, unnumbered, by=dossier.by())).refusal is Refusal.NO_NUMBER
    assert dossier.journal.apply(add_member(1, nurse(end="2025-01-01"), by=dossier.by())).refusal is Refusal.PERIOD
    assert dossier.journal.apply(add_member(1, nurse(start="2026-02-30"), by=dossier.by())).refusal is Refusal.PERIOD
    preferences = Preferences(channels=(Channel.MSSANTE,))
    assert dossier.journal.apply(prefer(1, gp, preferences, by=dossier.by())).version == 4
    assert dossier.journal.apply(end_member(1, helper, by=dossier.by(why="parti"))).version == 5
    assert dossier.journal.apply(end_member(1, helper, by=dossier.by())).refusal is Refusal.MEMBER_ENDED
    assert dossier.journal.apply(end_member(1, 99, by=dossier.by())).refusal is Refusal.NO_MEMBER
    with viewing(dossier.journal.store) as view:
        found = members(view, 1, now=dossier.now)
        assert [(one.seat.id, one.standing) for one in found] == [(gp, True), (helper, False)]
        assert (found[0].rpps, found[0].mailbox) == ("89900000001", "cabinet@test.mssante.fr")
        assert found[0].seat.member.preferences == preferences
        assert [len(circle_at(view, 1, version) or []) for version in (1, 2, 3, 5)] == [0, 1, 2, 2]
        before = circle_at(view, 1, 4)
        assert before is not None
        assert before[1][1].end is None
        assert circle_at(view, 1, 9) is None
        assert dossiers_with(view, party_keys(home_help().identifiers)) == [1]
        assert history(view, 1)[0].why == "parti"


def test_a_member_is_changed_but_for_who_they_are(dossier: Scene) -> None:
    gp = dossier.add(doctor())
    changed = nurse(in_care_team=False, basis=None)
    done = dossier.journal.apply(change_member(1, gp, changed, by=dossier.by(), version=2))
    assert done.refusal is None
    with viewing(dossier.journal.store) as view:
        seat = members(view, 1, now=dossier.now)[0].seat
    assert (seat.member.rpps, seat.member.family, seat.member.in_care_team) == ("89900000001", changed.family, False)
    stale = dossier.journal.apply(change_member(1, gp, doctor(), by=dossier.by(), version=2))
    assert stale.refusal is Refusal.STALE
    relative = dossier.journal.apply(change_member(1, gp, daughter(), by=dossier.by()))
    assert relative.refusal is Refusal.NO_FAMILY


def test_a_member_who_left_and_came_back_is_two_members(dossier: Scene) -> None:
    first = dossier.add(nurse())
    dossier.journal.apply(end_member(1, first, by=dossier.by()))
    assert dossier.add(nurse(start="2027-01-15")) != first


def test_the_end_of_a_day_that_has_begun_is_now(dossier: Scene) -> None:
    number = dossier.add(nurse())
    lab = dossier.lab("b" * 32)
    assert shown(dossier, nurse()) == ([lab], 1)
    assert dossier.journal.apply(end_member(1, number, by=dossier.by(), on="2027-01-15")).refusal is None
    assert shown(dossier, nurse()) == ([], 0)


def test_a_later_end_lets_them_read_until_then(dossier: Scene) -> None:
    number = dossier.add(nurse())
    assert dossier.journal.apply(end_member(1, number, by=dossier.by(), on="2027-01-31")).refusal is None
    assert shown(dossier, nurse())[1] == 0
    dossier.lab("b" * 32)
    assert shown(dossier, nurse())[1] == 1


def test_the_letter_for_the_doctor_only_leaks_nowhere(dossier: Scene) -> None:
    """S05, S06, S29: what may not be read is in no list, no total, and is answered like what is not there."""
    dossier.add(doctor())
    dossier.add(nurse())
    dossier.add(home_help())
    letter = dossier.receive(document("c" * 32, labels=("INVISIBLE_PATIENT", "R")))
    event = dossier.receive(stay("e" * 32))
    very = dossier.receive(document("f" * 32, labels=("V",)))
    assert shown(dossier, doctor()) == ([letter, event, very], 3)
    assert shown(dossier, nurse()) == ([letter, event], 2)
    assert shown(dossier, home_help()) == ([event], 1)
    assert shown(dossier, home_help(), category=DataCategory.DOCUMENTS) == ([], 0)
    assert [may_open(dossier, home_help(), one) for one in (letter, event, very, 999)] == [False, True, False, False]
    assert shown(dossier, doctor(), limit=1) == ([letter], 3)
    assert shown(dossier, doctor(), after=letter, limit=1) == ([event], 3)


def test_a_new_version_of_what_is_hidden_is_hidden_and_tells_nobody_that_there_is_one(dossier: Scene) -> None:
    one = dossier.add(nurse())
    dossier.add(doctor())
    first = dossier.receive(document("1" * 32, document_id="2.999.1"))
    hide = Restriction(kind=RestrictionKind.HIDDEN, members=(one,))
    done = dossier.journal.apply(restrict(1, first, hide, by=dossier.by()))
    assert done.refusal is None
    second = dossier.receive(document("2" * 32, document_id="2.999.2", replaces_id="2.999.1"))
    third = dossier.receive(document("3" * 32, document_id="2.999.3", replaces_id="2.999.2"))
    assert shown(dossier, nurse()) == ([], 0)
    assert shown(dossier, doctor()) == ([first, second, third], 3)
    assert dossier.journal.apply(restrict(1, 999, hide, by=dossier.by())).refusal is Refusal.NO_ENTRY
    assert dossier.journal.apply(lift_restriction(1, done.number or 0, by=dossier.by())).refusal is None
    assert dossier.journal.apply(lift_restriction(1, done.number or 0, by=dossier.by())).refusal is Refusal.WITHDRAWN
    secret = dossier.receive(document("4" * 32, labels=("V",), document_id="2.999.4", replaces_id="2.999.3"))
    with viewing(dossier.journal.store) as view:
        for member, expected in ((nurse(), [True, True, False]), (doctor(), [True, True, True, False])):
            found = entries_shown(view, dossier.reader(member), 1, now=dossier.now)
            assert [line.superseded for line in found.entries] == expected
    assert shown(dossier, doctor())[0][-1] == secret


def test_an_opposition_takes_effect_at_once_and_its_lifting_too(dossier: Scene) -> None:
    """S15."""
    helper = dossier.add(home_help())
    dossier.receive(stay("e" * 32))
    assert shown(dossier, home_help())[1] == 1
    number = dossier.consent(ConsentKind.OPPOSITION_MEMBER, members=(helper,))
    assert shown(dossier, home_help()) == ([], 0)
    assert dossier.journal.apply(withdraw_consent(1, number, by=dossier.by())).refusal is None
    assert shown(dossier, home_help())[1] == 1
    with viewing(dossier.journal.store) as view:
        assert [one.withdrawn is not None for one in consents_of(view.connection, view.sealer, 1)] == [False, True]


def test_a_consent_to_share_makes_an_invited_member_active(dossier: Scene) -> None:
    """S16."""
    guest = dossier.add(nurse(in_care_team=False, state=MemberState.PROPOSED))
    dossier.lab("a" * 32)
    letter = dossier.receive(document("b" * 32))
    assert shown(dossier, nurse()) == ([], 0)
    dossier.consent(ConsentKind.SHARE, members=(guest,), categories=(DataCategory.DOCUMENTS,))
    with viewing(dossier.journal.store) as view:
        assert members(view, 1, now=dossier.now)[0].seat.member.state is MemberState.ACTIVE
    assert shown(dossier, nurse()) == ([letter], 1)


def test_emergencies_are_for_health_professionals_with_a_reason(dossier: Scene) -> None:
    dossier.add(doctor())
    keys = frozenset({"rpps|89900000009"})

    def asked(why: str = "détresse respiratoire", who: frozenset[str] = keys) -> Any:
        return dossier.journal.apply(open_emergency(1, who, "Dr TESTGARDE", by=dossier.by(why=why))).refusal

    assert asked(why=" ") is Refusal.NO_REASON
    assert asked(who=frozenset({"staff|1"})) is Refusal.NOT_HEALTH
    assert asked() is None
    dossier.consent(ConsentKind.OPPOSITION_TOTAL)
    assert asked() is Refusal.OPPOSED


def test_every_decision_is_kept_with_its_rule(dossier: Scene) -> None:
    gp = dossier.add(doctor())
    lab = dossier.lab("a" * 32)
    with viewing(dossier.journal.store) as view:
        opened = entry_opened(view, dossier.reader(doctor()), 1, lab, now=dossier.now)
        denied = entry_opened(view, dossier.reader(nurse()), 1, lab, now=dossier.now)
    assert opened.access is not None
    assert denied.access is not None
    dossier.journal.apply(record_accesses([opened.access, denied.access], now=dossier.now))
    with viewing(dossier.journal.store) as view:
        kept = accesses(view, 1)
        assert [(one.allowed, one.rule, one.member_id) for one in kept] == [
            (False, Rule.NOT_MEMBER.value, None),
            (True, Rule.MATRIX.value, gp),
        ]
        assert opened.entry is not None
        assert seen_by(view.connection, opened.entry.thing.thing or 0) == {gp}


def test_nothing_of_a_dossier_is_clear_in_the_journal(dossier: Scene) -> None:
    dossier.add(doctor())
    dossier.add(daughter())
    dossier.consent(ConsentKind.SHARE, proof="formulaire TESTPREUVE")
    store = dossier.journal.store
    with store.reading() as connection:
        for table in tables.metadata.sorted_tables:
            for row in connection.execute(table.select()):
                said = repr(tuple(row))
                assert not any(
                    word in said
                    for word in ("TESTMEDECIN", "TESTROSE", "89900000001", "670000001", "mssante.fr", "TESTPREUVE")
                ), table.name


@pytest.mark.parametrize("table", ["dossier_history", "dossier_consent", "dossier_member"])
def test_a_dossier_goes_with_its_patient(dossier: Scene, table: str) -> None:
    dossier.add(doctor())
    assert dossier.rows(tables.metadata.tables[table])
    with dossier.journal.store.writing() as connection:
        connection.execute(tables.patient.delete())
    assert dossier.rows(tables.metadata.tables[table]) == []
