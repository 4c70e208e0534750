"""Items whose every field is filled, each kind through FHIR and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from filled_items import (
    APPOINTMENT_ITEM,
    COMMON,
    DOCUMENT,
    DOCUMENT_ITEM,
    IDENTITY_ITEMS,
    NOTE_ITEM,
    PATIENT,
    PDF,
    REPORT,
    REPORT_ITEM,
    STAY_ITEM,
    TASK_ITEM,
)

from mappings.contracts import Environment, ReadContext, Reading, WriteContext
from mappings.fhir import FORMAT
from mappings.fhir.check import check_with_fhirclient
from schemas.attachment import Attachment
from schemas.coding import Identifier
from schemas.document import Document, DocumentOperation, Wishes
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity
from schemas.identity_event import IdentityEvent
from schemas.item import DocumentItem, IdentityItem, Item, NoteItem, StayItem
from schemas.lab import (
    LabReport,
)
from schemas.note import LiaisonNote
from schemas.stay import Stay

CONTEXT = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="delivery-1")


def through_fhir(item: Item) -> tuple[Item, Reading]:
    rendition = FORMAT.write(item, CONTEXT)
    assert check_with_fhirclient(rendition.content) == ()
    reading = FORMAT.read(rendition.content, ReadContext())
    (again,) = reading.items
    return again, reading


def the_same(item: Item, again: Item, **known: object) -> None:
    """Equal but for the identity of the reading itself, and for what the test names."""
    changed = {"id": item.id, "source": item.source, **known}
    assert again.model_copy(update=changed).model_dump() == item.model_dump()


def test_a_report_with_everything() -> None:
    again, reading = through_fhir(REPORT_ITEM)
    assert reading.unread == ()
    assert comparable(again.content) == comparable(REPORT)
    the_same(REPORT_ITEM, again, content=REPORT)


def comparable(report: LabReport) -> dict:
    """The whole report, with numbers in JSON's grammar and times with their seconds, as FHIR writes them."""
    dump = report.model_dump()

    def walk(chapters: list[dict]) -> None:
        for chapter in chapters:
            for observation in chapter["observations"]:
                value = observation["value"]
                if value and value["type"] == "quantity":
                    value["number"] = str(Decimal(value["number"]))
                if value and value["type"] == "datetime" and len(value["at"]) == 5:
                    value["at"] += ":00"
            walk(chapter["chapters"])

    walk(dump["chapters"])
    return dump


def test_a_stay_with_everything() -> None:
    again, reading = through_fhir(STAY_ITEM)
    assert reading.unread == reading.findings == ()
    the_same(STAY_ITEM, again)


@pytest.mark.parametrize(
    ("letter", "mode", "code"),
    [
        ("E", None, "EMER"),
        ("I", None, "IMP"),
        ("I", "06", "HH"),
        ("O", None, "AMB"),
        ("R", None, "R"),
        ("V", None, "VR"),
        ("N", None, "UNK"),
    ],
)
def test_the_class_of_a_stay(letter: str, mode: str | None, code: str) -> None:
    stay = Stay(event="stay.started", trigger="A01", patient_class=letter, treatment_mode=mode)
    item = StayItem(id="1", content=stay, **COMMON)
    content = json.loads(FORMAT.write(item, CONTEXT).content)
    (encounter,) = [one["resource"] for one in content["entry"] if one["resource"]["resourceType"] == "Encounter"]
    assert encounter["class"]["code"] == code
    assert through_fhir(item)[0].content == stay


def test_a_document_with_everything() -> None:
    again, reading = through_fhir(DOCUMENT_ITEM)
    assert reading.unread == reading.findings == ()
    assert again.recipients == DOCUMENT.recipients
    moved = DOCUMENT.model_copy(update={"recipients": ()})
    the_same(DOCUMENT_ITEM.model_copy(update={"content": moved}), again, recipients=())


def test_a_note_with_everything() -> None:
    again, reading = through_fhir(NOTE_ITEM)
    assert reading.unread == reading.findings == ()
    the_same(NOTE_ITEM, again)


def test_a_withdrawn_note_is_entered_in_error_and_a_bare_one_says_nothing_more() -> None:
    for content in (LiaisonNote(note_id="2.999.1.7", withdrawn=True), LiaisonNote(text="Bonjour", urgent=False)):
        again, _ = through_fhir(NoteItem(id="1", content=content, **COMMON))
        assert again.content == content


def test_the_address_of_a_patient_leaves_with_his_own_qualified_ins_alone() -> None:
    """The address itself is an INS."""
    address = "279035121518989@patient.mssante.invalid"
    item = NoteItem(id="1", content=LiaisonNote(text="Bonjour", sender_address=address), **COMMON)
    for patient, leaves in (
        (PATIENT, True),
        (PATIENT.model_copy(update={"status": IdentityStatus.VALIDATED}), False),
        (PatientIdentity(), False),
    ):
        rendition = FORMAT.write(item.model_copy(update={"patient": patient}), CONTEXT)
        assert (address.encode() in rendition.content) is leaves
        assert ("fhir.ins.withheld" in {one.code for one in rendition.findings}) is not leaves


def test_what_a_document_says_to_who_routes_it_is_a_finding() -> None:
    wishes = Wishes(dmp=True, hidden_from_patient=True)
    document = Document(
        title="Lettre",
        wishes=wishes,
        reply_to="x@fictif.invalid",
        attachments=(Attachment(media_type="a/b", sha256="0"),),
    )
    rendition = FORMAT.write(DocumentItem(id="1", content=document, **COMMON), CONTEXT)
    assert {(finding.code, finding.where) for finding in rendition.findings} == {
        ("fhir.not_carried", "content.wishes"),
        ("fhir.not_carried", "content.reply_to"),
        ("fhir.attachment.no_data", "content.attachments"),
    }
    (again,) = FORMAT.read(rendition.content, ReadContext()).items
    assert [code.code for code in again.content.confidentiality] == ["INVISIBLE_PATIENT"]


def test_a_deleted_document_is_entered_in_error() -> None:
    document = Document(document_id="D1", operation=DocumentOperation.DELETE, attachments=(PDF,))
    again, _ = through_fhir(DocumentItem(id="1", content=document, **COMMON))
    assert again.content == document.model_copy(update={"title": "Lettre"})


@pytest.mark.parametrize("item", IDENTITY_ITEMS, ids=lambda item: item.content.event)
def test_an_identity_event(item: IdentityItem) -> None:
    again, reading = through_fhir(item)
    assert reading.unread == reading.findings == ()
    the_same(item, again)


def test_a_merge_makes_the_absorbed_inactive() -> None:
    absorbed = Identifier(system="urn:oid:2.999.67.1", value="IPP-9", type="PI")
    item = IdentityItem(
        id="1", content=IdentityEvent(event="patient.merged", trigger="A40", absorbed=(absorbed,)), **COMMON
    )
    entries = json.loads(FORMAT.write(item, CONTEXT).content)["entry"]
    patients = {one["request"]["url"]: one for one in entries if one["resource"]["resourceType"] == "Patient"}
    gone = patients["Patient?identifier=urn:oid:2.999.67.1|IPP-9"]
    kept = patients["Patient?identifier=urn:oid:1.2.250.1.213.1.4.10|279035121518989"]
    assert gone["resource"]["active"] is False
    assert gone["resource"]["link"] == [{"other": {"reference": kept["fullUrl"]}, "type": "replaced-by"}]
    assert kept["resource"]["link"] == [{"other": {"reference": gone["fullUrl"]}, "type": "replaces"}]


@pytest.mark.parametrize(
    ("changes", "environment", "code"),
    [
        ({"status": IdentityStatus.VALIDATED}, None, "fhir.ins.withheld"),
        ({"status": None}, None, "fhir.ins.withheld"),
        ({"attributes": (IdentityAttribute.DOUBTFUL,)}, None, "fhir.ins.withheld"),
        ({}, Environment.PRODUCTION, "fhir.ins.environment"),
        (
            {"ins": Ins(matricule="180017505600004", oid="1.2.250.1.213.1.4.8")},
            Environment.TEST,
            "fhir.ins.environment",
        ),
        (
            {
                "ins": None,
                "identifiers": (Identifier(system="urn:oid:1.2.250.1.213.1.4.8", value="180017505600004", type="INS"),),
            },
            None,
            "fhir.ins.withheld",
        ),
    ],
)
def test_an_ins_leaves_only_when_it_may(changes: dict, environment: Environment | None, code: str) -> None:
    patient = PATIENT.model_copy(update={"identifiers": PATIENT.identifiers[:1], **changes})
    item = DocumentItem(id="1", content=Document(attachments=(PDF,)), **{**COMMON, "patient": patient})
    context = WriteContext(now=CONTEXT.now, identity="d", environment=environment)
    rendition = FORMAT.write(item, context)
    assert code in {finding.code for finding in rendition.findings}
    for number in (b"279035121518989", b"180017505600004"):
        assert number not in rendition.content
    assert b"fr-core-patient-ins" not in rendition.content


def test_the_older_fr_core_says_vali_for_an_identity_with_an_ins() -> None:
    item = DocumentItem(id="1", content=Document(attachments=(PDF,)), **COMMON)
    context = WriteContext(now=CONTEXT.now, identity="d", options={"fr_core": "2.1"})
    rendition = FORMAT.write(item, context)
    assert b"fr-core-cs-v2-0445" in rendition.content
    (again,) = FORMAT.read(rendition.content, ReadContext()).items
    assert again.patient == PATIENT


def test_a_patient_without_a_key_is_said_and_never_confused_with_another() -> None:
    nobody = PatientIdentity(birth_name="TESTROSE", identifiers=(Identifier(value="1790351215189", type="NH"),))
    contents = []
    for name in ("1", "2"):
        rendition = FORMAT.write(
            DocumentItem(id=name, content=Document(attachments=(PDF,)), **{**COMMON, "patient": nobody}), CONTEXT
        )
        assert "fhir.patient.no_identifier" in {finding.code for finding in rendition.findings}
        contents.append(json.loads(rendition.content)["entry"][0]["request"]["ifNoneExist"])
    assert contents[0] != contents[1]


@pytest.mark.parametrize("item", [APPOINTMENT_ITEM, TASK_ITEM], ids=lambda item: item.kind)
def test_an_appointment_and_a_request_with_everything(item: Item) -> None:
    again, reading = through_fhir(item)
    assert reading.unread == ()
    the_same(item, again)
