"""What is held before the DMP is asked, what a person may overrule; replacements, deletions, visibility."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dmp_peer import (
    EXISTS,
    SEARCH,
    SUBMIT,
    UPDATE,
    existence,
    objects,
    references,
)
from dmp_rig import UNIQUE_ID, Rig, document, parcel
from lxml import etree
from xdm_archives import cda, entry

from connectors.contracts import Delivered, Hold, Retry
from connectors.testing import PlainMemory
from schemas.document import DocumentOperation, Wishes
from schemas.identity import IdentityStatus
from schemas.item import DocumentItem

APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"


# --- guards


@pytest.mark.parametrize("insisted", [False, True])
@pytest.mark.parametrize(
    ("item", "expected", "may_insist"),
    [
        (document(status=IdentityStatus.PROVISIONAL), ["identity"], False),
        (document(wishes=Wishes(dmp=False)), ["opposed"], False),
        (document(cda(), wishes=Wishes(hidden_from_representatives=True)), ["representatives"], True),
        (document(status=IdentityStatus.VALIDATED, wishes=Wishes(dmp=False)), ["identity", "opposed"], False),
    ],
)
async def test_guards_hold_one_finding_a_reason(
    item: DocumentItem, expected: list[str], may_insist: bool, insisted: bool, rig: Rig
) -> None:
    outcome = await rig.destination.send(parcel(item))
    assert isinstance(outcome, Hold)
    if insisted:
        outcome = await rig.destination.send(parcel(item, insisted=True))
    if insisted and may_insist:
        assert isinstance(outcome, Delivered)
        return
    assert isinstance(outcome, Hold)
    assert [one.code for one in outcome.findings] == [f"dmp.guard.{one}" for one in expected]
    assert rig.peer.calls == []


async def test_a_document_that_is_too_large_is_held(rig: Rig) -> None:
    small = rig.make(max_document=1024)
    outcome = await small.send(parcel())
    assert isinstance(outcome, Hold)
    assert [one.code for one in outcome.findings] == ["dmp.guard.size"]
    assert rig.peer.calls == []


async def test_the_patients_dmp_is_asked_about_once_a_day(rig: Rig) -> None:
    asking = rig.make(existence="ask")
    for status in (None, "terminated"):
        rig.peer.answers[EXISTS] = existence(status)
        outcome = await asking.send(parcel())
        assert isinstance(outcome, Hold)
        assert [one.code for one in outcome.findings] == ["dmp.guard.no_dmp"]
    rig.peer.answers[EXISTS] = existence()
    for number in (1, 2):
        assert isinstance(await asking.send(parcel(number=number)), Delivered)
    assert len(rig.peer.of(EXISTS)) == 3
    rig.services.clock.advance(25 * 3600)
    assert isinstance(await asking.send(parcel(number=3)), Delivered)
    assert len(rig.peer.of(EXISTS)) == 4


async def test_an_answer_about_another_patient_is_none(rig: Rig) -> None:
    rig.peer.answers[EXISTS] = existence(matricule="199999999999999")
    outcome = await rig.make(existence="ask").send(parcel())
    assert isinstance(outcome, Retry)
    assert rig.peer.of(SUBMIT) == []


async def test_what_the_matrix_denies_is_not_sent(rig: Rig) -> None:
    unplanned = {"mode": "DIRECTE", "profile": "MT", "access": "regulation", "purpose": "x", "purpose_label": "x"}
    outcome = await rig.make(**unplanned).send(parcel())
    assert isinstance(outcome, Hold)
    assert [one.code for one in outcome.findings] == ["dmp.guard.rights"]
    assert "MT" in outcome.findings[0].message
    assert rig.peer.calls == []
    trusting = rig.make(**unplanned, local_rights=False)
    assert isinstance(await trusting.send(parcel()), Delivered)


async def test_an_employee_submits_by_card(rig: Rig) -> None:
    secretary = rig.make(mode="DIRECTE", profile="CPE")
    assert isinstance(await secretary.send(parcel()), Delivered)
    assert len(rig.peer.of(SUBMIT)) == 1


async def test_a_person_overrules_what_was_shown_and_nothing_else(rig: Rig) -> None:
    memory = rig.services.memory
    assert isinstance(memory, PlainMemory)
    rig.peer.answers[EXISTS] = existence(None)
    asking = rig.make(existence="ask")
    first = await asking.send(parcel(REPLACEMENT))
    assert isinstance(first, Hold)
    assert [one.code for one in first.findings] == ["dmp.guard.no_dmp"]
    rig.peer.answers[EXISTS] = existence()
    second = await asking.send(parcel(REPLACEMENT, insisted=True))
    assert isinstance(second, Hold)
    assert [one.code for one in second.findings] == ["dmp.guard.former"]
    assert isinstance(await asking.send(parcel(REPLACEMENT, insisted=True)), Delivered)
    assert [key for key in memory.values if key.startswith("held/")] == []


# --- replacement, deletion, visibility

FORMER = "urn:uuid:aaaaaaaa-2222-4333-8444-555555555555"
REPLACEMENT = document(cda("1.2.250.1.999.67.2", replaces=UNIQUE_ID))


async def test_a_replacement_names_the_entry_that_it_replaces(rig: Rig) -> None:
    rig.peer.answers[SEARCH] = references(FORMER)
    assert isinstance(await rig.destination.send(parcel(REPLACEMENT)), Delivered)
    (call,) = rig.peer.of(SUBMIT)
    targets = re.findall(r'targetObject="([^"]*)"', call.envelope)
    assert targets == ["Document01", FORMER, "Signature01", "SubmissionSet01"]


async def test_of_several_versions_the_approved_one_is_replaced(rig: Rig) -> None:
    rig.peer.answers[SEARCH] = [references("urn:uuid:old", FORMER), references("urn:uuid:other", FORMER)]
    assert isinstance(await rig.destination.send(parcel(REPLACEMENT)), Delivered)
    assert f'targetObject="{FORMER}"' in rig.peer.of(SUBMIT)[0].envelope


async def test_a_replacement_without_its_former_waits_for_a_person(rig: Rig) -> None:
    outcome = await rig.destination.send(parcel(REPLACEMENT))
    assert isinstance(outcome, Hold)
    assert [one.code for one in outcome.findings] == ["dmp.guard.former"]
    assert isinstance(await rig.destination.send(parcel(REPLACEMENT, insisted=True)), Delivered)
    assert "RPLC" not in rig.peer.of(SUBMIT)[0].envelope


def registered(status: str, *, uuid: str = FORMER, unique_id: str = UNIQUE_ID) -> str:
    raw = entry(None, symbol=uuid, uri=None, unique_id=unique_id, hashed="", size=-1)
    raw = raw.replace("<ExtrinsicObject ", f'<ExtrinsicObject lid="urn:uuid:lid" status="{status}" ', 1)
    return raw.replace("<Classification", '<VersionInfo versionName="3"/><Classification', 1)


async def test_who_may_read_metadata_replaces_the_current_version_only(rig: Rig) -> None:
    rig.peer.answers[SEARCH] = objects(registered("urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"))
    doctor = rig.make(doctor=True)
    outcome = await doctor.send(parcel(REPLACEMENT))
    assert isinstance(outcome, Hold)
    assert "current version" in outcome.detail
    rig.peer.answers[SEARCH] = objects(registered(APPROVED))
    assert isinstance(await doctor.send(parcel(REPLACEMENT)), Delivered)


DELETION = document(operation=DocumentOperation.DELETE)


async def test_a_deletion_changes_the_status(rig: Rig) -> None:
    rig.peer.answers[SEARCH] = [references(FORMER), references("urn:uuid:other"), references(FORMER)]
    outcome = await rig.destination.send(parcel(DELETION))
    assert isinstance(outcome, Delivered)
    (call,) = rig.peer.of(UPDATE)
    assert re.findall(r"StatusType:(\w+)<", call.envelope) == ["Archived", "Deleted"]
    assert f'targetObject="{FORMER}"' in call.envelope


@pytest.mark.parametrize("answers", [[references()], [references(FORMER), references(), references()]])
async def test_what_is_gone_needs_no_deletion(answers: list[str], rig: Rig) -> None:
    rig.peer.answers[SEARCH] = answers
    outcome = await rig.destination.send(parcel(DELETION))
    assert isinstance(outcome, Delivered)
    assert "nothing to delete" in outcome.detail
    assert rig.peer.of(UPDATE) == []


MASKED = document(wishes=Wishes(update_visibility=True, masked_to_professionals=True))


async def test_visibility_is_changed_by_a_doctor_and_not_by_a_structure(rig: Rig) -> None:
    rig.peer.answers[SEARCH] = references(FORMER)
    held = await rig.destination.send(parcel(MASKED))
    assert isinstance(held, Hold)
    assert [one.code for one in held.findings] == ["dmp.guard.rights"]
    rig.peer.answers[SEARCH] = objects(registered(APPROVED))
    assert isinstance(await rig.make(doctor=True).send(parcel(MASKED)), Delivered)
    (call,) = rig.peer.of(UPDATE)
    assert "MASQUE_PS" in call.envelope
    assert re.search(r'name="PreviousVersion"><rim:ValueList><rim:Value>3<', call.envelope)
    assert 'lid="urn:uuid:lid"' in call.envelope


@pytest.mark.shared_data
async def test_every_message_is_valid_by_its_schema(rig: Rig, shared_data: Path) -> None:
    import base64

    folder = shared_data / "dmp" / "schema"
    rig.peer.answers[SEARCH] = objects(registered(APPROVED))
    doctor = rig.make(doctor=True, existence="ask")
    for item in (document(cda("1.2.250.1.999.67.9")), REPLACEMENT, DELETION, MASKED):
        assert isinstance(await doctor.send(parcel(item)), Delivered)
    schemas = {
        SUBMIT: "IHE/XDS.b_DocumentRepository.xsd",
        SEARCH: "ebRS/query.xsd",
        UPDATE: "ebRS/lcm.xsd",
        EXISTS: "HL7V3/NE2009/multicacheschemas/PRPA_IN201307UV02.xsd",
    }
    seen = set()
    saml = etree.XMLSchema(etree.parse(next((folder / "saml").glob("*assertion*.xsd"))))
    envelope_schema = etree.XMLSchema(etree.parse(folder / "soap-1.2-envelope.xsd"))
    for call in rig.peer.calls:
        root = etree.fromstring(call.envelope.encode())
        for include in root.iter("{http://www.w3.org/2004/08/xop/include}Include"):
            parent = include.getparent()
            assert parent is not None
            parent.text = base64.b64encode(call.parts[include.get("href", "").removeprefix("cid:")]).decode()
            parent.remove(include)
        (body,) = root.findall("{http://www.w3.org/2003/05/soap-envelope}Body")
        schema = etree.XMLSchema(etree.parse(folder / schemas[call.action]))
        schema.assertValid(etree.fromstring(etree.tostring(body[0])))
        whole = etree.fromstring(call.envelope.encode())
        for typed in whole.iter("{urn:hl7-org:v3}Role", "{urn:hl7-org:v3}PurposeOfUse"):
            del typed.attrib["{http://www.w3.org/2001/XMLSchema-instance}type"]  # HL7's own type, not in this schema
        envelope_schema.assertValid(whole)
        (assertion,) = whole.iter("{urn:oasis:names:tc:SAML:2.0:assertion}Assertion")
        saml.assertValid(etree.fromstring(etree.tostring(assertion)))
        seen.add(call.action)
    assert seen == set(schemas)
