"""Documents through FHIR in every form: inline, PDSm comprehensive, PDSm simplified."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from hashlib import sha1
from pathlib import Path

import pytest
from document_strategies import GENERALIST, changed, document_items
from filled_items import COMMON, DOCUMENT, DOCUMENT_ITEM, PATIENT, PDF
from hypothesis import HealthCheck, given, settings

from mappings.contracts import Environment, FormatError, ReadContext, Reading, Rendition, WriteContext, WriteRefused
from mappings.fhir import FORMAT, PDSM_FORMAT
from mappings.fhir.check import check_with_fhirclient
from schemas.attachment import Attachment
from schemas.document import Document, DocumentOperation, Wishes
from schemas.finding import Severity
from schemas.identity import PatientIdentity
from schemas.item import DocumentItem, ReceiptItem
from schemas.receipt import Receipt, ReceiptStage

DELETED = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-is-deleted"
FORMS = ("inline", "pdsm", "pdsm-simplified")
WHERE = {
    "wishes": "content.wishes",
    "reply_to": "content.reply_to",
    "mail_body_professionals": "content.mail_body_professionals",
    "mail_body_patient": "content.mail_body_patient",
    "confidentiality": "content.wishes",  # wishes about visibility become labels
    "files": "content.attachments",
    "file_titles": "content.attachments",
    "file_names": "content.attachments",
}


def context(form: str, **changes: object) -> WriteContext:
    given = {"now": datetime(2026, 3, 5, 9, 0, tzinfo=UTC), "identity": "delivery-1", "options": {"document": form}}
    return WriteContext(**(given | changes))


def through(item: DocumentItem, form: str) -> tuple[DocumentItem, Reading, Rendition]:
    rendition = FORMAT.write(item, context(form))
    assert check_with_fhirclient(rendition.content) == ()
    reading = FORMAT.read(rendition.content, ReadContext())
    (again,) = reading.items
    assert isinstance(again, DocumentItem)
    return again, reading, rendition


def resources(rendition: Rendition) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for entry in json.loads(rendition.content)["entry"]:
        found.setdefault(entry["resource"]["resourceType"], []).append(entry)
    return found


@pytest.mark.parametrize("form", FORMS)
@given(item=document_items(extras=("wishes", "files", "special")))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_document_keeps_everything_or_says_what_it_lost(form: str, item: DocumentItem) -> None:
    again, reading, rendition = through(item, form)
    said = {one.where for one in rendition.findings}
    lost = changed(item, again)
    assert {name: values for name, values in lost.items() if WHERE.get(name) not in said} == {}
    assert reading.unread == ()
    assert reading.findings == ()


@pytest.mark.parametrize("form", FORMS[1:])
def test_a_document_with_everything(form: str) -> None:
    one_file = DOCUMENT.model_copy(update={"attachments": (PDF,), "recipients": ()})
    item = DOCUMENT_ITEM.model_copy(update={"content": one_file, "recipients": DOCUMENT.recipients})
    if form == "pdsm-simplified":
        item = item.model_copy(update={"author": None})
    patient = PATIENT.model_copy(update={"confidential": None})
    item = item.model_copy(update={"patient": patient})
    again, reading, rendition = through(item, form)
    assert reading.unread == reading.findings == ()
    assert {one.code for one in rendition.findings} == set()
    known = {"id": item.id, "source": item.source}
    assert again.model_copy(update=known).model_dump() == item.model_dump()


def test_the_comprehensive_submission() -> None:
    _, _, rendition = through(DOCUMENT_ITEM, "pdsm")
    bundle = json.loads(rendition.content)
    found = resources(rendition)
    assert bundle["type"] == "transaction"
    assert bundle["meta"]["profile"] == [
        "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-comprehensive-provide-document-bundle"
    ]
    assert {name: len(some) for name, some in found.items()} == {
        "List": 1,
        "DocumentReference": 1,
        "Binary": 1,
        "Parameters": 1,
    }
    (submission,), (reference,), (binary,) = found["List"], found["DocumentReference"], found["Binary"]
    document = reference["resource"]
    (content,) = document["content"]
    assert submission["resource"]["entry"] == [{"item": {"reference": reference["fullUrl"]}}]
    assert content["attachment"]["url"] == binary["fullUrl"]
    assert "data" not in content["attachment"]
    raw = base64.b64decode(binary["resource"]["data"])
    assert content["attachment"]["size"] == len(raw)
    assert base64.b64decode(content["attachment"]["hash"]) == sha1(raw, usedforsecurity=False).digest()
    assert document["masterIdentifier"] == {"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.999.3.1"}
    assert document["subject"] == {"reference": "Patient?identifier=urn:oid:1.2.250.1.213.1.4.10|279035121518989"}
    contained = {one["id"]: one["resourceType"] for one in document["contained"]}
    assert contained[document["context"]["sourcePatientInfo"]["reference"][1:]] == "Patient"
    assert contained[document["custodian"]["reference"][1:]] == "Organization"
    assert contained[document["author"][0]["reference"][1:]] == "PractitionerRole"
    (patch,) = found["Parameters"]
    assert patch["request"] == {
        "method": "PATCH",
        "url": "DocumentReference?identifier=urn:ietf:rfc:3986|urn:oid:2.999.3.0",
    }


def test_the_format_of_document_sharing_writes_submissions() -> None:
    bare = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="delivery-1")
    assert PDSM_FORMAT.write(DOCUMENT_ITEM, bare) == FORMAT.write(DOCUMENT_ITEM, context("pdsm"))
    simplified = context("inline", options={"publication": "simplified"})
    assert PDSM_FORMAT.write(DOCUMENT_ITEM, simplified) == FORMAT.write(DOCUMENT_ITEM, context("pdsm-simplified"))
    assert PDSM_FORMAT.sniff(FORMAT.write(DOCUMENT_ITEM, context("pdsm")).content) == 0.0
    with pytest.raises(FormatError, match="publication is one of"):
        PDSM_FORMAT.write(DOCUMENT_ITEM, context("inline", options={"publication": "ITI-65"}))
    with pytest.raises(WriteRefused):
        PDSM_FORMAT.write(
            ReceiptItem(id="1", content=Receipt(stage=ReceiptStage.READ, positive=True), source=DOCUMENT_ITEM.source),
            bare,
        )


@pytest.mark.parametrize("form", FORMS[1:])
def test_who_submits_learns_of_an_opposition_and_of_a_change_of_visibility(form: str) -> None:
    wishes = Wishes(dmp=False, update_visibility=True, masked_to_professionals=True)
    item = DOCUMENT_ITEM.model_copy(update={"content": DOCUMENT.model_copy(update={"wishes": wishes})})
    again, reading, _ = through(item, form)
    assert again.content.wishes == Wishes(dmp=False, update_visibility=True)
    assert reading.unread == ()
    plain = FORMAT.write(item, context("inline")).content
    assert b"not-to-be-shared" not in plain


@pytest.mark.parametrize(
    "deleted",
    [
        {"status": "entered-in-error"},
        {"status": "superseded", "extension": [{"url": DELETED, "valueBoolean": True}]},
        {"status": "superseded", "tag": True},
    ],
)
def test_every_way_of_saying_that_a_document_is_gone_is_read(deleted: dict) -> None:
    tagged = deleted.pop("tag", False)
    document = {"resourceType": "DocumentReference", "masterIdentifier": {"value": "urn:oid:2.999.1"}, **deleted}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": document}]}
    if tagged:
        bundle["meta"] = {"tag": [{"system": "urn:x-passerelle:event", "code": "document.deleted"}]}
    reading = FORMAT.read(json.dumps(bundle).encode(), ReadContext())
    (item,) = reading.items
    assert item.content.operation is DocumentOperation.DELETE
    assert reading.unread == ()


def test_a_form_that_there_is_not_is_refused() -> None:
    with pytest.raises(FormatError, match="is one of"):
        FORMAT.write(DOCUMENT_ITEM, context("PDSm"))


def test_a_retry_says_the_same() -> None:
    for form in FORMS:
        assert FORMAT.write(DOCUMENT_ITEM, context(form)) == FORMAT.write(DOCUMENT_ITEM, context(form))


def test_the_simplified_publication_is_a_document_reference_alone() -> None:
    _, _, rendition = through(DOCUMENT_ITEM, "pdsm-simplified")
    document = json.loads(rendition.content)
    assert document["resourceType"] == "DocumentReference"
    assert document["status"] == "current"
    (content,) = document["content"]
    assert content["attachment"]["data"] == PDF.data
    assert "url" not in content["attachment"]
    assert [one.code for one in rendition.findings] == ["fhir.not_carried", "fhir.pdsm.one_file"]


def test_what_a_profile_asks_for_is_assumed_and_not_read_back() -> None:
    bare = DocumentItem(id="1", content=Document(title="Lettre", attachments=(PDF,)), **COMMON)
    letter = bare.model_copy(update={"content": bare.content.model_copy(update={"type": DOCUMENT.type})})
    again, _, rendition = through(letter, "pdsm")
    category = resources(rendition)["DocumentReference"][0]["resource"]["category"]
    assert (category[0]["id"], category[0]["coding"][0]["code"]) == ("assumed", "10")
    assert changed(letter, again) == {}
    again, reading, rendition = through(bare, "pdsm")
    document = resources(rendition)["DocumentReference"][0]["resource"]
    assert document["masterIdentifier"]["value"].startswith("urn:uuid:")
    assert document["date"] == document["context"]["period"]["start"] == "2026-03-05T10:00:00+01:00"
    assert document["securityLabel"][0]["coding"][0]["code"] == "N"
    assert document["custodian"]["id"] == "assumed"
    said = {(one.code, one.where) for one in rendition.findings}
    assert {where for code, where in said if code == "fhir.pdsm.assumed"} == {
        "content.created_at",
        "content.period_start",
        "content.custodian",
        "content.confidentiality",
        "List.source",
    }
    assert {where for code, where in said if code == "fhir.pdsm.missing"} == {
        "type",
        "category",
        "author",
        "content.format",
        "context.facilityType",
        "context.practiceSetting",
    }
    assert changed(bare, again) == {}
    assert reading.unread == reading.findings == ()


def test_a_deletion_is_an_update_and_said() -> None:
    gone = DOCUMENT.model_copy(update={"operation": DocumentOperation.DELETE, "replaces_id": None})
    item = DOCUMENT_ITEM.model_copy(update={"content": gone, "replaces": "2.999.3.1"})
    again, _, rendition = through(item, "pdsm")
    assert resources(rendition)["DocumentReference"][0]["request"]["method"] == "PUT"
    assert "fhir.pdsm.deletion" in {one.code for one in rendition.findings}
    assert again.content.operation is DocumentOperation.DELETE


@pytest.mark.parametrize("form", FORMS[1:])
def test_a_patient_without_a_number_is_contained(form: str) -> None:
    item = DocumentItem(id="1", content=DOCUMENT, **{**COMMON, "patient": PatientIdentity(birth_name="TESTROSE")})
    again, _, rendition = through(item, form)
    assert "fhir.patient.no_identifier" in {one.code for one in rendition.findings}
    assert again.patient.birth_name == "TESTROSE"


@pytest.mark.parametrize("form", FORMS)
def test_a_test_says_that_it_is_one(form: str) -> None:
    content = FORMAT.write(DOCUMENT_ITEM, context(form, environment=Environment.TEST)).content
    assert FORMAT.read(content, ReadContext()).test is True


def test_a_file_that_is_not_what_was_hashed_is_an_error() -> None:
    content = FORMAT.write(DOCUMENT_ITEM, context("pdsm")).content
    altered = content.replace(PDF.data.encode(), base64.b64encode(b"%PDF-1.5\n"))
    assert altered != content
    found = FORMAT.read(altered, ReadContext()).findings
    assert [(one.code, one.severity) for one in found] == [("fhir.attachment.hash", Severity.ERROR)]


def test_a_submission_about_somebody_else_is_an_alarm() -> None:
    content = FORMAT.write(DOCUMENT_ITEM, context("pdsm")).content
    bundle = json.loads(content)
    (patient,) = [one for one in bundle["entry"][0]["resource"]["contained"] if one["resourceType"] == "Patient"]
    patient["birthDate"] = "1980-01-01"
    found = FORMAT.read(json.dumps(bundle).encode(), ReadContext()).findings
    assert [(one.code, one.where) for one in found] == [("document.other_patient", "Bundle.entry[0]")]


def test_the_id_of_a_document_is_an_oid_or_an_extension_of_one() -> None:
    for number, written in (
        ("2.999.3.1", {"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.999.3.1"}),
        ("2.999.3^D 1", {"system": "urn:oid:2.999.3", "value": "D 1"}),
        (
            "0B8C7F3A-53a5-5f0e-8a46-504153534552",
            {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:0B8C7F3A-53a5-5f0e-8a46-504153534552"},
        ),
        ("urn:uuid:x", {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:x"}),
        ("LETTRE-1", {"system": "urn:x-passerelle:ids:finess-990000017:document", "value": "LETTRE-1"}),
    ):
        item = DocumentItem(id="1", content=Document(document_id=number, attachments=(PDF,)), **COMMON)
        again, _, rendition = through(item, "inline")
        assert resources(rendition)["DocumentReference"][0]["resource"]["masterIdentifier"] == written
        assert again.content.document_id == number


def test_the_recipients_of_item_and_document_are_written_once() -> None:
    recipients = (*DOCUMENT.recipients, DOCUMENT.recipients[0].model_copy(update={"professional": GENERALIST}))
    item = DOCUMENT_ITEM.model_copy(update={"recipients": recipients})
    again, _, _ = through(item, "inline")
    assert again.recipients == recipients


def test_a_file_elsewhere_stays_unread_with_its_url() -> None:
    content = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": "Patient?identifier=urn:oid:2.999.1|IPP%5C,1"},
        "content": [{"attachment": {"contentType": "application/pdf", "url": "https://ged.invalid/Binary/1"}}],
    }
    reading = FORMAT.read(json.dumps(content).encode(), ReadContext())
    (item,) = reading.items
    assert isinstance(item, DocumentItem)
    assert item.content.attachments == (Attachment(media_type="application/pdf"),)
    assert [(one.system, one.value) for one in item.patient.identifiers] == [("urn:oid:2.999.1", "IPP,1")]
    assert [(one.where, one.text) for one in reading.unread] == [
        ("content[0].attachment.url", "https://ged.invalid/Binary/1")
    ]


@pytest.mark.shared_data
def test_the_examples_of_the_guide_are_read(shared_data: Path) -> None:
    paths = [*shared_data.glob("dmp/fhir/DocumentReference-*.json"), *shared_data.glob("dmp/fhir/Bundle-*td2*.json")]
    assert len(paths) >= 3
    for path in paths:
        reading = FORMAT.read(path.read_bytes(), ReadContext())
        (item,) = reading.items
        assert isinstance(item, DocumentItem), path.name
        assert [one for one in reading.findings if one.severity is Severity.ERROR] == [], path.name
        assert item.patient.identifiers, path.name
        assert item.content.document_id, path.name
    submission = FORMAT.read(
        (shared_data / "dmp/fhir/Bundle-example-td2-iti65-lot-soumission.json").read_bytes(), ReadContext()
    )
    (item,) = submission.items
    assert item.author is not None
    assert item.author.identifiers[0].value == "99700218896"
    assert item.content.attachments[0].data is not None
