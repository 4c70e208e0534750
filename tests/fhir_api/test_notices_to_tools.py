"""Notices to tools: what the rules queue becomes an event of the member's own subscription, once, and ends there."""

from __future__ import annotations

from typing import Any

import pytest
from dossier_scene import SOURCE, coordinator, daughter, document, home_help, nurse, professional, stay
from fhir_rig import DOCTOR, NURSE
from fhir_subscriber import ADMISSIONS, Alerted, alerted_over, event
from web_journal import person

from router.journal import tables
from schemas.circle import Channel, Preferences
from schemas.coding import Coding
from schemas.consent import ConsentKind
from schemas.item import NoteItem
from schemas.note import LiaisonNote

Rig = Any
SAAD = "http://finess.esante.gouv.fr|670000002"
AVS = "urn:oid:2.999.67.7|AVS-1"
DAUGHTER = "urn:oid:2.999.67.8|FILLE-1"
HOUR = 3_600_000_000


@pytest.fixture
async def alerted(rig: Rig) -> Any:
    await rig.follow()
    found = alerted_over(rig)
    yield found
    await found.notifier.close()


async def test_an_admission_reaches_every_member_by_their_own_tool(alerted: Alerted) -> None:
    scene = alerted.rig.scene
    members = [1, scene.add(nurse()), scene.add(home_help()), scene.add(daughter(preferences=Preferences(events=True)))]
    scene.consent(ConsentKind.SHARE, members=(members[3],))
    users = {"gp": DOCTOR, "idel": NURSE, "famille": DAUGHTER}
    subscriptions = [await alerted.subscribe(name, ADMISSIONS, user) for name, user in users.items()]
    subscriptions.append(await alerted.subscribe("saad", ADMISSIONS, AVS, structure=SAAD))
    scene.receive(stay("a" * 32))
    await alerted.run()
    assert sorted(whose for whose, _ in alerted.told) == sorted(subscriptions)
    (reference,) = {reference for _, reference in alerted.told}
    assert {state for state, _ in alerted.ends().values()} == {"delivered"}
    read = (await alerted.rig.tool("idel", user=NURSE).get(reference)).json()
    assert read["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == "ADM"
    assert read["extension"][1]["valueDateTime"] == "2026-03-05T09:41:00+01:00"
    assert read["contained"][0]["name"] == "CH FICTIF"
    assert read["subject"]["reference"] == alerted.rig.patient
    before = len(alerted.subscriber.got)
    await alerted.run()
    assert len(alerted.subscriber.got) == before, "nothing is told twice"


async def test_who_is_not_told_neither_hears_nor_sees_that_somebody_was(alerted: Alerted) -> None:
    scene = alerted.rig.scene
    scene.add(nurse(preferences=Preferences(events=False)))
    await alerted.subscribe("gp", ADMISSIONS, DOCTOR)
    await alerted.subscribe("idel", ADMISSIONS, NURSE)
    scene.receive(stay("a" * 32))
    await alerted.run()
    assert len(alerted.told) == 1
    assert await alerted.rig.tool("idel", user=NURSE).found(f"CommunicationRequest?patient={alerted.rig.patient}") == []
    assert len(await alerted.rig.tool("gp").found(f"CommunicationRequest?patient={alerted.rig.patient}")) == 1


async def test_an_annulled_admission_is_told_to_whoever_was_told_and_in_order(alerted: Alerted) -> None:
    scene = alerted.rig.scene
    await alerted.subscribe("gp", ADMISSIONS, DOCTOR)
    alerted.subscriber.statuses = [500]
    scene.receive(stay("a" * 32))
    await alerted.run()
    scene.add(nurse())
    await alerted.subscribe("idel", ADMISSIONS, NURSE)
    scene.receive(stay("b" * 32, "stay.cancelled", "A11"))
    await alerted.run()
    scene.now += 2_000_000
    await alerted.run()
    numbers = [
        event(bundle)["event-number"] for _, bundle in alerted.subscriber.got if "notification-event" in str(bundle)
    ]
    assert numbers == ["1", "1", "2"], "the admission failed once, and the annulment waited for it"
    (_, reference), *_rest = alerted.told
    read = (await alerted.rig.tool("gp").get(reference)).json()
    assert (read["status"], read["meta"]["versionId"]) == ("revoked", "2")
    assert alerted.ends().keys() == {1}


async def test_without_a_tool_the_next_channel_is_tried_and_the_end_says_why(alerted: Alerted) -> None:
    scene = alerted.rig.scene
    scene.add(coordinator(preferences=Preferences(channels=(Channel.PUSH, Channel.SMS))))
    scene.receive(stay("a" * 32))
    await alerted.run()
    ends = alerted.ends()
    assert ends[1] == ("failed", "no_mssante")
    assert ends[2] == ("failed", "no_gateway")


async def test_a_document_counts_as_told_by_the_subscription_to_documents(alerted: Alerted) -> None:
    await alerted.subscribe("gp", f"DocumentReference?patient={alerted.rig.patient}", DOCTOR)
    alerted.rig.scene.receive(document("d" * 32))
    assert await alerted.senders.once() is False, "its subscription may still be told of it: no other channel yet"
    await alerted.run()
    alerted.rig.scene.now += 2_000_000
    await alerted.run()
    assert alerted.ends()[1] == ("delivered", "by_tool")
    assert len(alerted.told) == 1


async def test_what_is_opposed_before_it_is_sent_is_not_sent(alerted: Alerted) -> None:
    scene = alerted.rig.scene
    await alerted.subscribe("gp", ADMISSIONS, DOCTOR)
    alerted.subscriber.statuses = [500]
    scene.receive(stay("a" * 32))
    await alerted.run()
    scene.consent(ConsentKind.OPPOSITION_MEMBER, members=(1,))
    scene.now += 5_000_000
    await alerted.run()
    assert alerted.ends()[1][0] == "cancelled"
    assert len(alerted.told) == 1, "the one attempt that failed"


async def test_a_subscription_that_is_given_up_fails_its_notice(alerted: Alerted) -> None:
    await alerted.subscribe("gp", ADMISSIONS, DOCTOR)
    alerted.rig.scene.receive(stay("a" * 32))
    await alerted.senders.once()
    alerted.subscriber.statuses = [410]
    await alerted.run()
    assert alerted.ends()[1] == ("failed", "HTTP 410")


async def test_an_urgent_note_is_told_to_all_but_its_author(alerted: Alerted) -> None:
    scene = alerted.rig.scene
    scene.add(nurse())
    mine = await alerted.subscribe("gp", "CommunicationRequest?event-type=NOT", DOCTOR)
    await alerted.subscribe("idel", "CommunicationRequest?event-type=NOT", NURSE)
    content = LiaisonNote(note_id="N1", text="Chute dans l’escalier.", urgent=True)
    author = professional("89900000002", "TESTINFIRMIERE")
    scene.receive(NoteItem(id="n" * 32, patient=person(1), author=author, source=SOURCE, content=content))
    await alerted.run()
    assert [whose for whose, _ in alerted.told] == [mine]
    assert alerted.ends() == {1: ("delivered", "by_tool")}


async def test_a_request_for_an_opinion_is_told_to_who_may_read_it(alerted: Alerted) -> None:
    scene = alerted.rig.scene
    helper, other = scene.add(home_help()), scene.add(nurse())
    for code, told in (("DEM-AVIS", {1, other}), ("OBS", {1, other, helper})):
        before = len(scene.rows(tables.alert))
        content = LiaisonNote(note_id=code, text="Avis demandé.", type=Coding(code=code))
        scene.receive(NoteItem(id=code.ljust(32, "0"), patient=person(1), source=SOURCE, content=content))
        assert {one[1] for one in scene.notices(since=before)} == told
        assert scene.rows(tables.dossier_entry)[-1].category == "notes"
