"""Who is told of what: the rules, in a real journal, with the Item that says it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dossier_scene import (
    HOUR,
    NOW,
    Scene,
    daughter,
    doctor,
    document,
    home_help,
    nurse,
    professional,
    stay,
)
from web_journal import person, report

from router.dossier.accesses import Access, record_accesses
from router.dossier.circle import end_member, prefer
from router.dossier.consents import open_emergency
from router.dossier.happenings import happenings
from router.dossier.may import Rule, verdict
from router.dossier.notices import RulesFault, after_quiet, default_rules, default_rules_text, read_rules
from router.dossier.telling import telling_of
from router.identity.tasks import TaskKind, open_tasks
from router.journal import tables
from router.journal.actions import replay_messages
from router.journal.operations import CommitReadings, PreparedMessage
from router.journal.tables import MessageState
from router.journal.view import viewing
from schemas.circle import Channel, Preferences
from schemas.consent import ConsentKind
from schemas.habilitation import Action, DataCategory
from schemas.item import LabReportItem
from schemas.lab import ResultStatus


def lab(key: str, *, flag: str = "N", **more: Any) -> LabReportItem:
    """Give a report with one result of this flag, for the general practitioner."""
    found = report(person(1), key, number="LAB7")
    first = found.content.chapters[0].observations[0].model_copy(update={"flags": (flag,)})
    chapter = found.content.chapters[0].model_copy(update={"observations": (first,)})
    content = found.content.model_copy(update={"chapters": (chapter,), **more})
    return found.model_copy(update={"content": content})


@pytest.fixture
def circle(dossier: Scene) -> dict[str, int]:
    """The circle of the fact sheet (S01): the daughter asked to be told of events, a former nurse is gone."""
    found = {"gp": dossier.add(doctor()), "nurse": dossier.add(nurse()), "saad": dossier.add(home_help())}
    found["daughter"] = dossier.add(daughter(preferences=Preferences(events=True)))
    found["former"] = dossier.add(
        nurse(professional=professional("89900000003", "TESTANCIENNE"), start="2025-06-01", end="2025-12-31")
    )
    dossier.consent(ConsentKind.SHARE, members=(found["daughter"],))
    return found


def told(scene: Scene, event: str, since: int = 0) -> set[int]:
    return {member for said, member, _, state in scene.notices(since=since) if said == event and state != "cancelled"}


def test_an_admission_reaches_everyone_once(dossier: Scene, circle: dict[str, int]) -> None:
    """S01 to S03: the circle but for who has left; a resend or an update of the same stay says nothing new."""
    four = {circle[name] for name in ("gp", "nurse", "saad", "daughter")}
    dossier.receive(stay("1" * 32))
    assert told(dossier, "ADM") == four
    assert len(dossier.notices()) == 4
    dossier.receive(stay("2" * 32, occurred_at="2026-03-05T09:42:00+01:00"))
    dossier.receive(stay("3" * 32, "stay.updated", "A08"))
    assert len(dossier.notices()) == 4
    alert = dossier.rows(tables.alert)[0]
    assert (alert.event, alert.level, alert.rule) == ("ADM", "urgent", "admission")


def test_a_relative_who_did_not_ask_is_told_of_no_event(dossier: Scene, circle: dict[str, int]) -> None:
    dossier.journal.apply(prefer(1, circle["daughter"], Preferences(events=False), by=dossier.by()))
    dossier.journal.apply(prefer(1, circle["nurse"], Preferences(events=False), by=dossier.by()))
    dossier.receive(stay("1" * 32))
    assert told(dossier, "ADM") == {circle["gp"], circle["saad"]}


@pytest.mark.usefixtures("circle")
def test_an_expected_discharge_is_told_when_it_changes(dossier: Scene) -> None:
    dossier.receive(stay("0" * 32, "stay.updated", "A08", expected_discharge_at="2026-03-08"))
    assert dossier.notices() == []
    dossier.receive(stay("1" * 32, expected_discharge_at="2026-03-08"))
    for key, date, count in (("2", "2026-03-08", 0), ("3", "2026-03-09", 4), ("4", "2026-03-09", 4)):
        dossier.receive(stay(key * 32, "stay.updated", "A08", expected_discharge_at=date))
        assert len([one for one in dossier.notices() if one[0] == "DATE"]) == count


def test_an_annulled_admission_is_taken_back_from_who_was_told(dossier: Scene, circle: dict[str, int]) -> None:
    dossier.receive(stay("1" * 32))
    with dossier.journal.store.writing() as connection:
        sent = tables.alert_notice.c.member_id != circle["saad"]
        connection.execute(tables.alert_notice.update().where(sent).values(state="sent"))
    dossier.receive(stay("2" * 32, "stay.cancelled", "A11"))
    assert told(dossier, "ANN") == {circle[name] for name in ("gp", "nurse", "daughter")}
    assert ("ADM", circle["saad"], "webhook", "cancelled") in dossier.notices()
    dossier.receive(stay("3" * 32, "stay.cancelled", "A11"))
    assert len([one for one in dossier.notices() if one[0] == "ANN"]) == 3
    dossier.receive(stay("4" * 32))
    assert len([one for one in dossier.notices() if one[0] == "ADM"]) == 8, "a new admission is told anew"


def test_a_discharge_goes_to_all_and_its_letter_to_whom_it_concerns(dossier: Scene, circle: dict[str, int]) -> None:
    """S05, S06."""
    dossier.receive(stay("1" * 32, "stay.ended", "A03"))
    assert told(dossier, "SOR") == {circle[name] for name in ("gp", "nurse", "saad", "daughter")}
    dossier.receive(document("2" * 32))
    assert told(dossier, "DOC") == {circle["gp"], circle["nurse"]}
    before = len(dossier.notices())
    dossier.receive(document("3" * 32, document_id="2.999.7", labels=("V",)))
    assert [one[1] for one in dossier.notices()[before:]] == [circle["gp"]]


def test_critical_results_are_for_the_practitioner_and_the_prescriber(dossier: Scene, circle: dict[str, int]) -> None:
    """S08: once, however often the laboratory sends the same results; never to who may not read them."""
    prescriber = professional("89900000002", "TESTINFIRMIERE")
    dossier.receive(lab("1" * 32, flag="N", prescriber=prescriber))
    assert dossier.notices() == []
    dossier.receive(lab("2" * 32, flag="HH", prescriber=prescriber))
    assert told(dossier, "CRITICAL") == {circle["gp"], circle["nurse"]}
    assert dossier.rows(tables.alert)[-1].level == "urgent"
    count = len(dossier.notices())
    dossier.receive(lab("3" * 32, flag="HH", prescriber=prescriber, status=ResultStatus.FINAL, comment="x"))
    assert len(dossier.notices()) == count


def test_a_correction_is_told_to_who_saw_what_it_corrects(dossier: Scene, circle: dict[str, int]) -> None:
    """S09."""
    first = dossier.receive(lab("1" * 32))
    thing = dossier.rows(tables.dossier_entry)[-1].thing
    reader = dossier.reader(nurse())
    access = Access(
        1,
        reader,
        Action.READ,
        DataCategory.LAB,
        verdict(Rule.MATRIX, allowed=True, member=circle["nurse"]),
        first,
        thing,
    )
    dossier.journal.apply(record_accesses([access], now=dossier.now))
    dossier.receive(lab("2" * 32, status=ResultStatus.CORRECTED))
    assert told(dossier, "CORRECTED") == {circle["nurse"]}


def test_who_opposes_or_left_is_told_nothing(dossier: Scene, circle: dict[str, int]) -> None:
    """S14, S15, and a refusal of hospital notifications."""
    dossier.consent(ConsentKind.OPPOSITION_MEMBER, members=(circle["saad"],))
    dossier.journal.apply(end_member(1, circle["nurse"], by=dossier.by()))
    dossier.receive(stay("1" * 32))
    assert told(dossier, "ADM") == {circle["gp"], circle["daughter"]}
    dossier.consent(ConsentKind.HOSPITAL, given=False)
    dossier.receive(stay("2" * 32, visit="VEN-2"))
    assert len(dossier.notices()) == 2


def test_channels_and_quiet_hours_are_the_members_own(dossier: Scene) -> None:
    quiet = Preferences(channels=(Channel.SMS, Channel.WEBHOOK), quiet_from="08:30", quiet_to="18:00")
    one = dossier.add(nurse(preferences=quiet))
    dossier.receive(document("1" * 32))
    dossier.receive(stay("2" * 32))
    assert dossier.notices() == [("DOC", one, "sms", "queued"), ("ADM", one, "sms", "queued")]
    letter, urgent = dossier.rows(tables.alert_notice)
    assert letter.not_before == NOW + 9 * HOUR  # 18:00 in Paris is 17:00 UTC
    assert urgent.not_before < NOW + HOUR


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [("22:00", "07:00", 0), ("22:00", "09:30", 0.5), ("09:00", "09:30", 0.5), ("09:01", "09:30", 0), (None, None, 0)],
)
def test_quiet_hours_may_span_midnight(start: str | None, end: str | None, hours: float) -> None:
    wait = after_quiet(Preferences(quiet_from=start, quiet_to=end), NOW, ZoneInfo("Europe/Paris"))
    assert wait == NOW + int(hours * HOUR)


def test_quiet_hours_that_began_yesterday_evening_end_this_morning() -> None:
    night = Preferences(quiet_from="22:00", quiet_to="07:00")
    evening = NOW + 14 * HOUR  # 23:00 in Paris
    assert after_quiet(night, evening, ZoneInfo("Europe/Paris")) == evening + 8 * HOUR
    assert after_quiet(night, evening + 3 * HOUR, ZoneInfo("Europe/Paris")) == evening + 8 * HOUR


def test_an_emergency_is_told_to_the_practitioner(dossier: Scene, circle: dict[str, int]) -> None:
    keys = frozenset({"rpps|89900000009"})
    dossier.journal.apply(open_emergency(1, keys, "Dr TESTGARDE", by=dossier.by(why="malaise")))
    assert dossier.notices() == [("EMERGENCY", circle["gp"], "webhook", "queued")]


def test_nothing_is_told_or_shown_while_the_dossier_is_only_proposed(scene: Scene) -> None:
    scene.open(consent=None)
    scene.add(doctor())
    scene.receive(stay("1" * 32))
    assert scene.notices() == []
    assert len(scene.rows(tables.dossier_entry)) == 1


def test_a_feed_opens_no_dossier_and_asks_a_person_once(dossier: Scene) -> None:
    """S04: no alert, no dossier, one task for a patient who has none; nothing at all where nobody has one."""
    other = dossier.know(2)
    for key in ("1", "2"):
        dossier.receive(stay(key * 32), patient=other)
    assert len(dossier.rows(tables.dossier)) == 1
    assert dossier.notices() == []
    assert dossier.rows(tables.dossier_entry) == []
    with viewing(dossier.journal.store) as view:
        assert [(one.kind, one.patient_id) for one in open_tasks(view)] == [(TaskKind.NO_DOSSIER, other)]


def test_a_router_without_dossiers_asks_nobody(scene: Scene) -> None:
    scene.receive(stay("1" * 32))
    with viewing(scene.journal.store) as view:
        assert open_tasks(view) == []


def test_what_was_prepared_before_any_dossier_is_prepared_again_once_there_is_one(scene: Scene) -> None:
    message = scene.journal.message(scene.now, control="RACE")
    item = replace(scene.journal.item(stay("1" * 32), line="x", to=()), untold=True)
    prepared = PreparedMessage(message, MessageState.PROCESSED, "hl7v2", 0, 0, None, (item,))
    scene.open()
    operation = CommitReadings([prepared], scene.now)
    scene.journal.apply(operation)
    assert operation.stale == [message]
    assert scene.rows(tables.item) == []
    told = replace(item, untold=False, tell=telling_of(stay("1" * 32), scene.journal.store.sealer))
    again = CommitReadings([replace(prepared, items=(told,))], scene.now)
    scene.journal.apply(again)
    assert again.stale == []
    assert len(scene.rows(tables.dossier_entry)) == 1


@pytest.mark.usefixtures("circle")
def test_what_a_replay_reads_again_is_told_once(dossier: Scene) -> None:
    dossier.receive(stay("1" * 32))
    prepared = dossier.journal.item(stay("1" * 32), line="x", to=())
    number = dossier.rows(tables.message)[-1].id
    dossier.journal.apply(replay_messages([number], actor="claire", now=dossier.now))
    tell = telling_of(stay("1" * 32), dossier.journal.store.sealer)
    dossier.journal.read(number, dossier.now, [replace(prepared, tell=tell)])
    assert len(dossier.rows(tables.dossier_entry)) == 2
    assert len(dossier.notices()) == 4


def test_somebody_with_two_seats_is_told_once(dossier: Scene) -> None:
    dossier.add(doctor(end="2027-01-31"))
    second = dossier.add(doctor(start="2027-02-01"))
    with dossier.journal.store.writing() as connection:
        both = tables.dossier_member.update().where(tables.dossier_member.c.id == second)
        connection.execute(both.values(start_at=0))
    dossier.receive(stay("1" * 32))
    assert len(dossier.notices()) == 1


def test_rules_are_read_and_wrong_ones_are_told() -> None:
    assert read_rules(default_rules_text()) == default_rules()
    assert {rule.event.value for rule in default_rules()} >= {"ADM", "SOR", "CRITICAL", "CORRECTED", "DOC", "ANN"}
    wrong = """
[[rule]]
name = "a"
event = "NOTHING"
to = []
[[rule]]
name = "b"
event = "EMERGENCY"
to = ["pcp"]
[[rule]]
name = "b"
event = "DOC"
to = ["circle"]
levle = "info"
[other]
"""
    with pytest.raises(RulesFault) as caught:
        read_rules(wrong)
    said = "\n".join(caught.value.problems)
    for expected in ("rule 1, event", "rule 1, to", "rule 3, levle", "no such table as 'other'", "by no rule"):
        assert expected in said
    with pytest.raises(RulesFault, match="not valid TOML"):
        read_rules("[[rule")


def test_a_report_says_what_it_is_for_people() -> None:
    critical = lab("1" * 32, flag="LL")
    assert [one.event.value for one in happenings(critical)] == ["LAB", "CRITICAL"]
    said = lab("1" * 32).content.chapters[0].observations[0].model_copy(update={"comment": "Valeur CRITIQUE"})
    worded = lab("1" * 32)
    chapter = worded.content.chapters[0].model_copy(update={"observations": (said,)})
    worded = worded.model_copy(update={"content": worded.content.model_copy(update={"chapters": (chapter,)})})
    assert [one.event.value for one in happenings(worded)] == ["LAB", "CRITICAL"]
