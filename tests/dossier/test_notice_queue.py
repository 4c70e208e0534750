"""The notices that wait: taken by their senders when they are due, decided anew, settled once."""

from __future__ import annotations

import pytest
from dossier_scene import HOUR, NOW, Scene, doctor, document, home_help, stay

from router.dossier.accesses import record_accesses
from router.dossier.doors import entry_opened
from router.dossier.queue import Due, ordinary_text, settle, take_due
from router.journal import tables
from router.journal.view import viewing
from schemas.circle import Channel, Preferences
from schemas.consent import ConsentKind


@pytest.fixture
def told(dossier: Scene) -> Scene:
    """An admission that a doctor is told of by MSSanté, and a home help, who sleeps at noon, by SMS."""
    dossier.add(doctor(preferences=Preferences(channels=(Channel.MSSANTE,))))
    dossier.add(home_help(preferences=Preferences(channels=(Channel.SMS,), quiet_from="08:30", quiet_to="18:00")))
    dossier.receive(stay("1" * 32, "stay.ended", "A03"))
    return dossier


def taken(scene: Scene, channel: Channel, *, later: int = 0) -> list[Due]:
    return scene.journal.apply(take_due(channel, now=scene.now + later))


def test_a_notice_is_due_on_its_channel_when_quiet_hours_are_over(told: Scene) -> None:
    (mail,) = taken(told, Channel.MSSANTE)
    assert (mail.event, mail.patient_id, mail.member.mailbox) == ("SOR", 1, "cabinet@test.mssante.fr")
    assert taken(told, Channel.SMS) == []
    (text,) = taken(told, Channel.SMS, later=10 * HOUR)
    assert text.member_id == 2
    assert taken(told, Channel.WEBHOOK, later=10 * HOUR) == []


def test_what_is_no_longer_allowed_is_cancelled_and_not_sent(told: Scene) -> None:
    told.consent(ConsentKind.OPPOSITION_MEMBER, members=(1,))
    assert taken(told, Channel.MSSANTE) == []
    row = told.rows(tables.alert_notice)[0]
    assert (row.state, row.detail) == ("cancelled", "opposition_member")


def test_a_notice_is_settled_once(told: Scene) -> None:
    (mail,) = taken(told, Channel.MSSANTE)

    def settled(state: str, **more: int) -> bool:
        return told.journal.apply(settle(mail.id, state, now=told.now, **more))

    assert settled("queued", again_at=NOW + HOUR)
    assert taken(told, Channel.MSSANTE) == []
    assert taken(told, Channel.MSSANTE, later=HOUR)[0].attempts == 1
    assert settled("sent")
    assert settled("delivered")
    assert not settled("failed"), "what arrived does not fail afterwards"
    assert settled("read")
    assert not settled("delivered")
    assert taken(told, Channel.MSSANTE, later=HOUR) == []


def test_who_opens_what_they_were_told_of_has_read_it(told: Scene) -> None:
    letter = told.receive(document("2" * 32))
    with viewing(told.journal.store) as view:
        opened = entry_opened(view, told.reader(doctor()), 1, letter, now=told.now)
    assert opened.access is not None
    told.journal.apply(record_accesses([opened.access], now=told.now))
    states = [(row.member_id, row.state) for row in told.rows(tables.alert_notice)]
    assert states == [(1, "queued"), (2, "queued"), (1, "read")]


@pytest.mark.parametrize("language", ["fr", "en", "xx"])
def test_an_ordinary_channel_says_nothing_of_anybody(told: Scene, language: str) -> None:
    (text,) = taken(told, Channel.SMS, later=10 * HOUR)
    said = " ".join(ordinary_text(language)).casefold()
    for word in (text.event, text.category, "rose", "hôpital", "hospital", "sortie", "discharge", "fictif", "résultat"):
        assert word.casefold() not in said
    assert Channel.SMS.is_ordinary
