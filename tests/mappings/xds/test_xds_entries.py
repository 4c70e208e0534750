from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha1
from zoneinfo import ZoneInfo

import pytest
from filled_items import DOCTOR, DOCUMENT_ITEM, HOSPITAL, PATIENT
from hypothesis import given, settings, strategies as st

from mappings.contracts import Environment, ReadContext, WriteContext
from mappings.notes import Notes
from mappings.xds import vocabulary
from mappings.xds.documents import completed, document_of, patient_of
from mappings.xds.entries import Carried, document_entry, submission, submission_set
from mappings.xds.model import DocumentEntry
from mappings.xds.vocabulary import class_of_type, type_label
from schemas.coding import LOINC, Coding, Identifier
from schemas.document import Document, DocumentOperation, Wishes
from schemas.identity import PatientIdentity, Sex

PARIS = ZoneInfo("Europe/Paris")
CONTENT = b"<ClinicalDocument/>"
CONTEXT = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="LOT-1")


def made(document: Document, patient: PatientIdentity = PATIENT, **more: str) -> tuple[DocumentEntry, Notes]:
    notes = Notes()
    return document_entry(Carried(document, patient, CONTENT, **more), PARIS, notes), notes  # type: ignore[arg-type]


def test_a_whole_document() -> None:
    entry, _ = made(DOCUMENT_ITEM.content)
    assert (entry.hash, entry.size) == (sha1(CONTENT, usedforsecurity=False).hexdigest(), len(CONTENT))
    assert entry.patient_id == "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"
    assert entry.source_patient_id == "IPP,1\\F\\2^^^&2.999.67.1&ISO^PI"
    assert entry.source_patient_info == (
        "PID-5|FICTIVE-ROSE^MIREILLE^^^^^L",
        "PID-5|D'ESSAI^MIMI^^^^^D",
        "PID-7|19790305",
        "PID-8|F",
    )
    assert len(entry.authors) == 1 + len(DOCUMENT_ITEM.content.other_authors)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("11490-0", "10"), ("60591-5", "11"), ("PRESC-BIO", "42"), ("18776-5", "44"), ("101881-1", None), ("999", None)],
)
def test_the_class_follows_from_the_type(code: str, expected: str | None) -> None:
    found = class_of_type(code)
    assert (found.code if found else None) == expected
    entry, notes = made(Document(type=Coding(system=LOINC, code=code)))
    assert (entry.class_code.code if entry.class_code else None) == expected
    assert ("Document01 classCode" in {one.where for one in notes.findings}) == (expected is None)


def test_a_class_of_the_sender_stands_in_for_an_unknown_type() -> None:
    entry, _ = made(Document(type=Coding(system=LOINC, code="999"), category=Coding(code="52", display="Certificat")))
    assert entry.class_code is not None
    assert entry.class_code.code == "52"
    assert type_label("11490-0") == "Lettre de liaison à la sortie d'un établissement de soins"
    labelled, _ = made(Document(type=Coding(system=LOINC, code="11490-0")))
    assert labelled.type_code is not None
    assert labelled.type_code.label == type_label("11490-0")


def test_wishes_become_visibility_codes_beside_the_confidentiality() -> None:
    wishes = Wishes(masked_to_professionals=True, hidden_from_patient=False, hidden_from_representatives=True)
    entry, _ = made(Document(wishes=wishes))
    assert [(one.code, one.scheme) for one in entry.confidentiality_codes] == [
        ("N", "2.16.840.1.113883.5.25"),
        ("MASQUE_PS", "1.2.250.1.213.1.1.4.13"),
        ("INVISIBLE_REPRESENTANTS_LEGAUX", "1.2.250.1.213.1.1.4.13"),
    ]
    restricted = Coding(system="http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code="R")
    masked = Coding(system="urn:oid:1.2.250.1.213.1.1.4.13", code="MASQUE_PS")
    entry, _ = made(Document(confidentiality=(restricted, masked), wishes=wishes))
    assert [one.code for one in entry.confidentiality_codes] == ["R", "MASQUE_PS", "INVISIBLE_REPRESENTANTS_LEGAUX"]
    assert entry.confidentiality_codes[0].label == "Restreint"


def test_nothing_is_made_up() -> None:
    entry, notes = made(Document(), PatientIdentity())
    assert entry.patient_id is None
    assert entry.source_patient_info == ()
    assert entry.format_code == vocabulary.OUTSIDE_PROFILES
    missing = {one.where.removeprefix("Document01 ") for one in notes.findings if one.code == "xds.missing"}
    assert {"patientId", "typeCode", "classCode", "practiceSettingCode", "creationTime", "authors"} <= missing
    assert entry.unique_id is not None
    assert entry.unique_id.startswith("2.25.")
    assert "xds.unique_id.made" in {one.code for one in notes.findings}


def test_a_text_that_is_too_long_is_cut_and_said() -> None:
    entry, notes = made(
        Document(title="x" * 1100, legal_authenticator=DOCTOR.model_copy(update={"given_name": "y" * 300}))
    )
    assert entry.title is not None
    assert len(entry.title) == 1024
    assert {one.where for one in notes.findings if one.code == "xds.too_long"} == {"Document01 title", "Document01"}


def test_a_submission_relates_its_documents() -> None:
    notes = Notes()
    carried = Carried(DOCUMENT_ITEM.content, PATIENT, CONTENT)
    entry, _ = made(DOCUMENT_ITEM.content)
    lot = submission_set([entry], carried, CONTEXT, notes)
    whole = submission(lot, [entry], {"Document01": "urn:uuid:00000000-0000-4000-8000-000000000001"})
    assert [(one.type, one.source, one.target) for one in whole.associations] == [
        (vocabulary.HAS_MEMBER, "SubmissionSet01", "Document01"),
        (vocabulary.REPLACES, "Document01", "urn:uuid:00000000-0000-4000-8000-000000000001"),
    ]
    assert lot.patient_id == entry.patient_id
    assert lot.submission_time == "20260305090000"
    again = WriteContext(now=CONTEXT.now, identity="LOT-2", options={"content_type": "04", "source_id": "1.2.3"})
    other = submission_set([entry], carried, again, notes)
    assert other.unique_id != lot.unique_id
    assert other.source_id == "1.2.3"
    assert other.content_type_code is not None
    assert other.content_type_code.code == "04"
    assert submission_set([], Carried(Document(), PATIENT, b""), CONTEXT, notes).source_id is not None
    assert "xds.source_id.made" in {one.code for one in notes.findings}


def test_metadata_read_back_are_the_document_that_they_were_made_of() -> None:
    document = Document(
        document_id="1.2.250.1.999.67.1",
        type=Coding(system=LOINC, code="11490-0", display="Lettre"),
        title="Lettre",
        language="fr-FR",
        created_at="2026-03-05T08:30:00Z",
        author=DOCTOR.model_copy(
            update={"identifiers": DOCTOR.identifiers[:1], "organization": None, "telecoms": (), "civility": None}
        ),
        author_organization=HOSPITAL.model_copy(update={"address": None, "telecoms": ()}),
        period_start="2026-03-02",
        comment="à lire",
        wishes=Wishes(hidden_from_patient=True),
    )
    entry, _ = made(document)
    found = document_of(entry)
    told = {"category", "format", "confidentiality"}
    assert found.model_copy(update=dict.fromkeys(told, None)) == document.model_copy(update=dict.fromkeys(told, None))
    notes = Notes()
    assert (
        completed(document, entry, notes, "D").model_copy(
            update={"category": None, "format": None, "confidentiality": ()}
        )
        == document
    )
    assert notes.findings == ()


def test_what_the_metadata_say_differently_is_told_and_the_document_wins() -> None:
    entry, _ = made(
        Document(type=Coding(system=LOINC, code="11502-2"), title="Autre", created_at="2026-03-05T10:00:00Z")
    )
    notes = Notes()
    document = Document(
        type=Coding(system=LOINC, code="11490-0"), title="1979 - Lettre", created_at="2026-03-05T10:00:00+01:00"
    )
    found = completed(document, entry, notes, "D")
    assert (found.type, found.title, found.created_at) == (document.type, document.title, document.created_at)
    assert {one.where for one in notes.findings} == {"D typeCode", "D title", "D creationTime"}


def test_the_patient_of_metadata() -> None:
    entry, _ = made(Document())
    notes = Notes()
    found = patient_of(entry, ReadContext(environment=Environment.TEST), notes, "D")
    assert found.ins == PATIENT.ins
    assert (found.birth_name, found.first_given_name) == ("FICTIVE-ROSE", "MIREILLE")
    assert (found.used_name, found.used_given_name) == ("D'ESSAI", "MIMI")
    assert (found.birth_date, found.sex) == ("1979-03-05", Sex.FEMALE)
    assert found.identifiers == (Identifier(system="urn:oid:2.999.67.1", value="IPP,1|2", type="PI"),)
    odd = DocumentEntry("D", source_patient_info=("PID-11|1 rue^^VILLE", "PID-8|?", "PID-7|hier"))
    assert patient_of(odd, ReadContext(), notes, "D").sex is Sex.UNKNOWN
    assert [one.text for one in notes.unread] == ["PID-11|1 rue^^VILLE", "PID-7|hier"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=9, max_size=9), st.sampled_from(list(DocumentOperation)))
def test_any_metadata_are_read_without_a_fault(texts: list[str], operation: DocumentOperation) -> None:
    entry = DocumentEntry(
        "D",
        unique_id=texts[0],
        patient_id=texts[1],
        source_patient_id=texts[2],
        source_patient_info=(f"PID-5|{texts[3]}", f"PID-7|{texts[4]}", texts[5]),
        creation_time=texts[6],
        legal_authenticator=texts[7],
        title=texts[8],
    )
    notes = Notes()
    document = document_of(entry)
    assert document.title == texts[8]
    patient_of(entry, ReadContext(), notes, "D")
    assert completed(Document(operation=operation), entry, notes, "D").operation is operation
