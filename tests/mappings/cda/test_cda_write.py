"""Documents as CDA level 1: what the header says, what it fills in and says so, what it refuses."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime

import pytest
from filled_items import STAY_ITEM
from lxml import etree

from mappings.cda import FORMAT
from mappings.cda.writing import write_item
from mappings.contracts import Environment, FormatError, ReadContext, Rendition, WriteContext, WriteRefused
from schemas.actors import Organization, Professional, Recipient
from schemas.attachment import Attachment
from schemas.coding import LOINC, Coding, Identifier
from schemas.document import Document, DocumentOperation, Participant
from schemas.identifiers import PROFESSIONALS, STRUCTURES
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity, Sex
from schemas.item import DocumentItem, Provenance

NS = {"h": "urn:hl7-org:v3", "xsi": "http://www.w3.org/2001/XMLSchema-instance"}
CONTEXT = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="ENVOI-1", environment=Environment.TEST)
PATIENT = PatientIdentity(
    ins=Ins(matricule="279035121518989", oid="1.2.250.1.213.1.4.10"),
    status=IdentityStatus.QUALIFIED,
    identifiers=(
        Identifier(system="urn:oid:1.2.250.1.213.1.4.8", value="279035121518989", type="NH"),
        Identifier(system="urn:oid:2.999.67", value="IPP-1", type="PI"),
    ),
    birth_name="TESTROSE",
    birth_given_names=("MARIE", "JEANNE"),
    first_given_name="MARIE",
    used_name="FICTIVE",
    birth_date="1979-03-05",
    sex=Sex.FEMALE,
    birth_place="35238",
)
HOSPITAL = Organization(
    name="HÔPITAL FICTIF", identifiers=(Identifier(system=STRUCTURES, value="990000017", type="FINEG"),)
)
DOCTOR = Professional(
    identifiers=(Identifier(system=PROFESSIONALS, value="99700000017", type="RPPS"),),
    family_name="TESTEUR",
    given_name="Hélène",
    civility="Dr",
    specialty=Coding(system="urn:oid:1.2.250.1.213.2.28", code="SM26"),
)
LETTER = Document(
    document_id="2.999.5^LET-1",
    set_id="2.999.5^LET",
    type=Coding(system=LOINC, code="11490-0", display="Lettre"),
    title="Lettre de liaison",
    created_at="2026-03-04T10:00:00+01:00",
    author=DOCTOR,
    legal_authenticator=DOCTOR,
    custodian=HOSPITAL,
    practice_setting=Coding(system="urn:oid:1.2.250.1.213.1.1.4.9", code="ETABLISSEMENT"),
    facility_type=Coding(system="urn:oid:1.2.250.1.71.4.2.4", code="SA01"),
    period_start="2026-03-01",
    period_end="2026-03-04T09:00:00+01:00",
    attachments=(Attachment(media_type="text/plain", data=base64.b64encode("Courrier été".encode()).decode()),),
)


def document(content: Document = LETTER, patient: PatientIdentity = PATIENT) -> DocumentItem:
    return DocumentItem(
        id="1" * 32, patient=patient, sender=HOSPITAL, content=content, source=Provenance(format="hl7v2", where="MSH")
    )


def changed(**values: object) -> Document:
    return LETTER.model_copy(update=values)


def parsed(rendition: Rendition) -> etree._Element:
    return etree.fromstring(rendition.content)


def found(root: etree._Element, path: str) -> list[str]:
    return [str(one) for one in root.xpath(path, namespaces=NS)]


def codes(rendition: Rendition) -> set[str]:
    return {one.code for one in rendition.findings}


def test_a_letter_has_a_complete_header() -> None:
    rendition = write_item(document(), CONTEXT)
    root = parsed(rendition)
    assert found(root, "h:templateId/@root") == [
        "2.16.840.1.113883.2.8.2.1",
        "1.2.250.1.213.1.1.1.1",
        "1.3.6.1.4.1.19376.1.2.20",
    ]
    assert found(root, "h:id/@root | h:id/@extension") == ["2.999.5", "LET-1"]
    assert found(root, "h:setId/@root | h:setId/@extension") == ["2.999.5", "LET"]
    assert found(root, "h:code/@displayName") == ["Lettre de liaison à la sortie d'un établissement de soins"]
    assert found(root, "h:effectiveTime/@value") == ["20260304100000+0100"]
    assert found(root, "h:legalAuthenticator/h:assignedEntity/h:id/@extension") == ["899700000017"]
    assert found(root, "h:legalAuthenticator//h:assignedEntity/h:code/@code") == ["G15_10/SM26"]
    assert found(root, "h:custodian//h:id/@extension") == ["1990000017"]
    assert found(root, "h:documentationOf//h:low/@value | h:documentationOf//h:effectiveTime/h:high/@value") == [
        "20260301",
        "20260304090000+0100",
    ]
    assert found(root, "//h:standardIndustryClassCode/@code") == ["ETABLISSEMENT"]
    body = found(root, "h:component/h:nonXMLBody/h:text/text()")
    assert base64.b64decode(body[0]).decode() == "Courrier été"
    assert rendition.media_type == "text/xml"
    assert rendition.filename == "ENVOI-1.xml"
    assert codes(rendition) == set()


def test_what_was_written_is_read_back() -> None:
    content = write_item(document(), CONTEXT).content
    (item,) = FORMAT.read(content, ReadContext()).items
    assert isinstance(item, DocumentItem)
    again = item.content
    for name in ("document_id", "set_id", "title", "created_at", "period_start", "period_end"):
        assert getattr(again, name) == getattr(LETTER, name), name
    assert item.patient.ins == PATIENT.ins
    assert item.patient.birth_given_names == PATIENT.birth_given_names
    assert item.patient.used_name == PATIENT.used_name
    assert [one.media_type for one in again.attachments] == ["text/xml", "text/plain"]
    assert write_item(item, CONTEXT).content == content


def test_the_same_item_gives_the_same_bytes() -> None:
    assert write_item(document(), CONTEXT) == write_item(document(), CONTEXT)


def test_a_document_without_number_gets_one_of_its_sending() -> None:
    unnumbered = document(changed(document_id=None, set_id=None))
    (first,) = found(parsed(write_item(unnumbered, CONTEXT)), "h:id/@root")
    other = WriteContext(now=CONTEXT.now, identity="ENVOI-2", environment=Environment.TEST)
    (second,) = found(parsed(write_item(unnumbered, other)), "h:id/@root")
    assert first.startswith("2.25.")
    assert first != second


def test_a_version_and_what_replaces_it_agree_on_a_number_that_is_no_oid() -> None:
    first = parsed(write_item(document(changed(document_id="DOC 1", set_id=None)), CONTEXT))
    later = changed(document_id="DOC 2", set_id=None, replaces_id="DOC 1", operation=DocumentOperation.REPLACE)
    second = parsed(write_item(document(later), CONTEXT))
    assert found(second, "h:relatedDocument/@typeCode") == ["RPLC"]
    assert found(second, "h:relatedDocument/h:parentDocument/h:id/@root") == found(first, "h:id/@root")
    assert found(second, "h:versionNumber/@value") == ["2"]
    assert found(second, "h:setId/@root") == found(first, "h:setId/@root")


def test_a_cda_is_given_through_unchanged() -> None:
    own = write_item(document(), CONTEXT).content
    whole = Attachment(media_type="text/xml; charset=utf-8", data=base64.b64encode(own).decode())
    carried = write_item(document(changed(attachments=(whole,)), PatientIdentity()), CONTEXT)
    assert carried.content == own
    assert carried.findings == ()


@pytest.mark.parametrize(
    ("patient", "code"),
    [
        (PATIENT.model_copy(update={"birth_date": None}), "cda.patient.no_birth_date"),
        (
            PATIENT.model_copy(update={"birth_name": None, "used_name": None, "ins": None}),
            "cda.patient.no_name",
        ),
    ],
)
def test_a_patient_whom_no_header_can_name_is_refused(patient: PatientIdentity, code: str) -> None:
    with pytest.raises(WriteRefused) as refusal:
        write_item(document(patient=patient), CONTEXT)
    assert refusal.value.code == code


def test_a_patient_without_a_number_gets_one_that_links_no_other_document() -> None:
    unnumbered = PATIENT.model_copy(update={"ins": None, "identifiers": PATIENT.identifiers[:1]})
    numbers = []
    for identity in ("first", "second"):
        written = write_item(document(patient=unnumbered), WriteContext(now=CONTEXT.now, identity=identity))
        assert "cda.write.patient_id" in {one.code for one in written.findings}
        numbers.append(re.findall(rb'<patientRole><id root="2.25.(\d+)" extension="([^"]+)"/>', written.content))
        (again,) = FORMAT.read(written.content, ReadContext()).items
        assert again.patient.identifiers == (), "it is nobody's number"
    assert numbers[0] != numbers[1]
    assert all(len(found) == 1 for found in numbers)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": IdentityStatus.VALIDATED}, "cda.ins.withheld"),
        ({"attributes": (IdentityAttribute.DOUBTFUL,)}, "cda.ins.withheld"),
        ({"ins": Ins(matricule="279035121518989", oid="1.2.250.1.213.1.4.8")}, "cda.ins.environment"),
        ({"birth_place": None}, "cda.ins.traits"),
        ({"birth_date": "1979-20-15"}, "cda.ins.traits"),
    ],
)
def test_an_ins_leaves_only_when_it_may(changes: dict[str, object], code: str) -> None:
    rendition = write_item(document(patient=PATIENT.model_copy(update=changes)), CONTEXT)
    assert code in codes(rendition)
    assert found(parsed(rendition), "//h:patientRole/h:id/@extension") == ["IPP-1"]


def test_names_have_their_qualifiers() -> None:
    root = parsed(write_item(document(), CONTEXT))
    names = root.find(".//h:patient/h:name", NS)
    written = [(one.tag.rpartition("}")[2], one.get("qualifier"), one.text) for one in names]
    assert written == [
        ("family", "BR", "TESTROSE"),
        ("given", None, "MARIE JEANNE"),
        ("given", "BR", "MARIE"),
        ("family", "CL", "FICTIVE"),
    ]


def test_a_name_of_unstated_kind_is_one_in_use() -> None:
    patient = PatientIdentity(
        identifiers=PATIENT.identifiers[1:], family_name="TESTROSE", given_name="Marie", birth_date="1979-03-05"
    )
    rendition = write_item(document(patient=patient), CONTEXT)
    root = parsed(rendition)
    assert found(root, "//h:patient/h:name/*/@qualifier") == ["CL", "CL"]
    assert found(root, "//h:administrativeGenderCode/@code") == ["UN"]
    assert {"cda.write.name_kind", "cda.write.filled"} <= codes(rendition)


def test_the_options_of_a_partner_complete_the_header() -> None:
    bare = document(
        Document(attachments=LETTER.attachments, created_at="2026-03-04"),
        PATIENT,
    ).model_copy(update={"sender": None})
    rendition = write_item(bare, CONTEXT)
    filled = {one.where for one in rendition.findings if one.code == "cda.write.filled"}
    assert {"custodian/id", "legalAuthenticator", "code", "componentOf/facility"} <= filled
    options = {
        "custodian_finess": "990000017",
        "custodian_name": "HÔPITAL FICTIF",
        "responsible_family": "TESTEUR",
        "responsible_rpps": "99700000017",
        "practice_setting": "HAD",
        "facility_type": "SA04",
        "encounter_type": "HH",
        "document_type": "34112-3",
        "author_specialty": "G15_10/SM54",
    }
    context = WriteContext(now=CONTEXT.now, identity="ENVOI-1", environment=Environment.TEST, options=options)
    root = parsed(write_item(bare, context))
    assert found(root, "h:code/@code") == ["34112-3"]
    assert found(root, "h:custodian//h:id/@extension") == ["1990000017"]
    assert found(root, "h:legalAuthenticator/h:assignedEntity/h:id/@extension") == ["899700000017"]
    assert found(root, "h:legalAuthenticator//h:assignedEntity/h:code/@code") == ["G15_10/SM54"]
    assert found(root, "//h:standardIndustryClassCode/@code") == ["HAD"]
    assert found(root, "h:componentOf//h:code/@code") == ["HH", "SA04"]


def test_an_option_outside_its_value_set_is_wrong_usage() -> None:
    context = WriteContext(now=CONTEXT.now, identity="ENVOI-1", options={"facility_type": "SA999"})
    with pytest.raises(FormatError, match="national value set") as problem:
        write_item(document(changed(facility_type=None)), context)
    assert problem.value.code == "cda.option"


def test_people_around_the_document_are_named() -> None:
    attending = Coding(system="urn:oid:2.16.840.1.113883.5.88", code="PCP")
    doctor = Participant(kind="INF", function=attending, professional=DOCTOR)
    relative = Participant(kind="informant", professional=Professional(family_name="TESTROSE"))
    item = document(changed(participants=(doctor, relative), recipients=(Recipient(professional=DOCTOR),)))
    rendition = write_item(item, CONTEXT)
    root = parsed(rendition)
    assert found(root, "h:participant/@typeCode | h:participant/h:functionCode/@code") == ["INF", "PCP"]
    assert found(root, "h:informationRecipient//h:family/text()") == ["TESTEUR"]
    assert any(one.where == "participants" for one in rendition.findings)


@pytest.mark.parametrize(
    ("attachments", "code"),
    [
        ((), "cda.write.no_body"),
        ((Attachment(media_type="image/png", data="AAAA"),), "cda.write.media_type"),
        ((Attachment(media_type="application/pdf", sha256="0" * 64),), "cda.write.no_bytes"),
    ],
)
def test_a_document_without_a_body_for_level_1_is_refused(attachments: tuple[Attachment, ...], code: str) -> None:
    with pytest.raises(WriteRefused) as refusal:
        write_item(document(changed(attachments=attachments)), CONTEXT)
    assert refusal.value.code == code


def test_a_text_is_written_in_utf_8() -> None:
    latin = Attachment(
        media_type="text/plain; charset=iso-8859-1", data=base64.b64encode("été".encode("latin-1")).decode()
    )
    root = parsed(write_item(document(changed(attachments=(latin,))), CONTEXT))
    assert base64.b64decode(found(root, "//h:nonXMLBody/h:text/text()")[0]) == "été".encode()


def test_a_pdf_that_is_not_pdf_a1_is_said_and_written() -> None:
    def findings(content: bytes) -> set[str]:
        pdf = Attachment(media_type="application/pdf", data=base64.b64encode(content).decode())
        return codes(write_item(document(changed(attachments=(pdf,))), CONTEXT))

    assert "cda.write.not_pdf_a1" in findings(b"%PDF-1.4\n%%EOF")
    assert "cda.write.not_pdf_a1" in findings(b"%PDF-1.4\n<rdf:li pdfaid:part='3'/>")
    assert "cda.write.not_pdf_a1" not in findings(b"%PDF-1.4\n<pdfaid:part>1</pdfaid:part>")
    assert "cda.write.not_pdf" in findings(b"not a pdf")


def test_other_kinds_are_refused() -> None:
    with pytest.raises(WriteRefused) as refusal:
        write_item(STAY_ITEM, CONTEXT)
    assert refusal.value.code == "cda.kind"
    deletion = document(changed(operation=DocumentOperation.DELETE))
    with pytest.raises(WriteRefused) as refusal:
        write_item(deletion, CONTEXT)
    assert refusal.value.code == "cda.delete"
