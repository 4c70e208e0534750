"""Documents as ORU and MDM: what a message can say is read back, what it cannot is a Finding."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from document_strategies import AUTHOR, COLLEAGUE, GENERALIST, HOSPITAL, changed, document_items
from filled_items import DOCUMENT_ITEM, PATIENT
from hl7v2_messages import PID, cda, reading
from hypothesis import HealthCheck, given, settings

from mappings.contracts import FormatError, ReadContext, Rendition, WriteContext
from mappings.hl7v2 import FORMAT
from schemas.actors import Organization, Professional, Recipient, Telecom
from schemas.attachment import Attachment
from schemas.coding import Coding
from schemas.document import Document, DocumentOperation, Wishes
from schemas.finding import Severity
from schemas.item import DocumentItem, Provenance

FIELDS = {
    "set_id": "the id that all versions share",
    "version": "the number of the version",
    "category": "the class of the document",
    "format": "the format of the document",
    "language": "the language",
    "author_role": "the role of the author",
    "custodian": "the custodian",
    "event_codes": "the codes of what was done",
    "performer": "who did what is documented",
    "performer_organization": "where it was done",
    "practice_setting": "the practice setting",
    "facility_type": "the kind of facility",
    "encounter_type": "the kind of encounter",
    "participants": "a participant",
    "document_id": "the id of the document",
    "replaces_id": "the id of the replaced document",
    "replaces": "the id of the replaced document",
    "confidentiality": "the confidentiality",
    "status": "nothing says whether the document is final",
    "author_organization": "the sender of the item was written",
    "file_names": "the file name of an attachment",
    "recipients": "the address of",
}
"""The words in a Finding that name the loss of a field of the view."""


def context(**options: str) -> WriteContext:
    return WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="DOC-1", options=options)


def written(item: DocumentItem, **options: str) -> tuple[Rendition, list[list[str]]]:
    rendition = FORMAT.write(item, context(**options))
    return rendition, [line.split("|") for line in rendition.content.decode().rstrip("\r").split("\r")]


def again(rendition: Rendition) -> DocumentItem:
    found = FORMAT.read(rendition.content, ReadContext())
    assert [one for one in found.findings if one.severity is Severity.ERROR] == []
    item = found.items[-1]
    assert isinstance(item, DocumentItem)
    return item


@pytest.mark.parametrize("message", ["oru", "mdm"])
@given(item=document_items(extras=("wishes", "files", "special")))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_document_keeps_everything_or_says_what_it_lost(message: str, item: DocumentItem) -> None:
    rendition, _ = written(item, document_message=message)
    said = " ".join(one.message for one in rendition.findings)
    lost = changed(item, again(rendition))
    assert unsaid(item, lost, said) == {}


def unsaid(item: DocumentItem, lost: dict[str, tuple], said: str) -> dict[str, tuple]:
    """Give the losses that no Finding names; what a deletion replaces is the document itself."""
    fields = FIELDS | (
        {"replaces": FIELDS["document_id"]} if item.content.operation is DocumentOperation.DELETE else {}
    )
    return {name: values for name, values in lost.items() if fields.get(name, "?") not in said}


def carrying(content: bytes, **changes: object) -> DocumentItem:
    """Give the Item that the CDA reader makes, about the patient of `PID`."""
    from mappings.cda import FORMAT as CDA

    item = CDA.read(content, ReadContext()).items[-1]
    assert isinstance(item, DocumentItem)
    document = item.content.model_copy(update={"recipients": (), **changes})
    patient = reading(PID, "OBR|1").items[0].patient
    known = {"patient": patient, "content": document, "recipients": (), "replaces": None, "author": AUTHOR}
    return item.model_copy(update=known)


WISHES = Wishes(dmp=True, mssante_patient=True, patient_may_not_reply=True, reading_receipt=False)


@pytest.mark.parametrize("message", ["oru", "mdm"])
@pytest.mark.parametrize(
    ("operation", "event", "control", "status"),
    [
        (DocumentOperation.CREATE, "T02", "NW", "F"),
        (DocumentOperation.REPLACE, "T10", "RO", "C"),
        (DocumentOperation.DELETE, "T04", "CA", "D"),
    ],
)
def test_a_cda_leaves_byte_for_byte(
    message: str, operation: DocumentOperation, event: str, control: str, status: str
) -> None:
    content = cda(replaces='<id root="1.2.3.9"/>' if operation is DocumentOperation.REPLACE else "")
    item = carrying(content, operation=operation, wishes=WISHES, mail_body_patient="Bonjour,\nà lire.")
    rendition, lines = written(item, document_message=message)
    by_name = {line[0]: line for line in lines}
    kind = {"oru": "ORU^R01^ORU_R01", "mdm": f"MDM^{event}^MDM_T02"}[message]
    assert (by_name["MSH"][8], by_name["MSH"][20]) == (kind, "2.1^CISIS_CDA_HL7_V2")
    assert by_name["MSH"][11] == {"oru": "2.5", "mdm": "2.6"}[message]
    assert by_name["ORC"][1] == control
    results = [line for line in lines if line[0] == "OBX"]
    text = "text" if message == "mdm" else "TEXT"
    assert results[0][2:6] == [
        "ED",
        "11502-2^CR fictif^LN",
        "",
        f"^{text}^XML^Base64^{base64.b64encode(content).decode()}",
    ]
    assert results[0][11] == status
    assert len([one for one in results if one[2] == "ED" and "MetaDMPMSS" not in one[3]]) == 1, "its PDF is inside"
    assert [line[0] for line in lines if line[0] in ("OBR", "TXA", "PRT", "EVN")] == {
        "oru": ["OBR", "PRT"],
        "mdm": ["EVN", "OBR", "TXA", "PRT"],
    }[message]
    back = again(rendition)
    expected = {"status": (None, "final")} if message == "mdm" else {}
    replaced = {DocumentOperation.DELETE: "1.2.3^D-1", DocumentOperation.REPLACE: "1.2.3.9"}.get(operation)
    assert back.replaces == replaced
    assert changed(item.model_copy(update={"replaces": replaced}), back) == expected
    assert base64.b64decode(back.content.attachments[0].data or "") == content


def test_txa_names_the_document_and_the_one_that_it_replaces() -> None:
    item = carrying(cda(), operation=DocumentOperation.REPLACE)
    _, lines = written(item, document_message="mdm")
    (txa,) = [line for line in lines if line[0] == "TXA"]
    assert (txa[2], txa[3], txa[12], txa[13], txa[17]) == (
        "11502-2",
        "TEXT",
        "D-1^^1.2.3^ISO",
        "D-0^^1.2.3^ISO",
        "AU",
    )


def test_wishes_stand_in_the_order_of_the_profile() -> None:
    rendition, lines = written(carrying(cda(), wishes=WISHES), document_message="mdm")
    metas = [(line[2], line[3].split("^")[0], line[5][:1]) for line in lines if line[0] == "OBX" and "Meta" in line[3]]
    assert metas == [
        ("CWE", "MASQUE_PS", "N"),
        ("CWE", "INVISIBLE_PATIENT", "N"),
        ("CWE", "INVISIBLE_REP_LEGAUX", "N"),
        ("CWE", "CONNEXION_SECRETE", "N"),
        ("CWE", "MODIF_CONF_CODE", "N"),
        ("CWE", "DESTDMP", "Y"),
        ("CWE", "DESTMSSANTEPS", "N"),
        ("CWE", "DESTMSSANTEPAT", "Y"),
        ("CWE", "ACK_LECTURE_MSS", "N"),
    ]
    at = next(rank for rank, line in enumerate(lines) if line[0] == "NTE")
    assert lines[at] == ["NTE", "1", "", "", "FIN"]
    assert lines[at - 1][3].startswith("DESTMSSANTEPAT")
    assert "hl7v2.write.wishes" in {one.code for one in rendition.findings}


def test_recipients_are_a_professional_a_patient_and_a_unit() -> None:
    unit = Organization(name="Urologie", telecoms=(Telecom(kind="mssante", value="uro@test.mssante.fr"),))
    people = (
        Recipient(professional=GENERALIST),
        Recipient(professional=Professional(telecoms=(Telecom(kind="mssante", value="1@patient.mssante.fr"),))),
        Recipient(organization=unit),
    )
    item = carrying(cda(), reply_to="reponse@test.mssante.fr", wishes=WISHES)
    rendition, lines = written(item.model_copy(update={"recipients": people}))
    found = [line + [""] * 16 for line in lines if line[0] == "PRT"]
    assert [(line[4].split("^")[0], line[5].split("^")[0], line[8].split("^")[0], line[15]) for line in found] == [
        ("SB", "99700000017", "", ""),
        ("RCT", "99700000033", "", "^^X.400^fictive.generaliste@test.mssante.fr"),
        ("RCT", "", "", "^^X.400^1@patient.mssante.fr"),
        ("RCT", "", "Urologie", "^^X.400^uro@test.mssante.fr"),
        ("REPLY", "", "", "^^X.400^reponse@test.mssante.fr"),
    ]
    assert {line[2] for line in found} == {"UC"}
    assert [one.model_copy(update={"role": None}) for one in again(rendition).recipients] == list(people)


def test_labels_of_visibility_are_wishes() -> None:
    url = "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
    label = Coding(system=url, code="INVISIBLE_REPRESENTANTS_LEGAUX")
    normal = Coding(system="http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code="N")
    rendition, lines = written(carrying(cda(), confidentiality=(normal, label)))
    answers = {line[3].split("^")[0]: line[5][0] for line in lines if line[0] == "OBX" and "Meta" in line[3]}
    assert (answers["INVISIBLE_REP_LEGAUX"], answers["INVISIBLE_PATIENT"]) == ("Y", "N")
    assert "hl7v2.write.visibility" in {one.code for one in rendition.findings}


def test_a_cda_that_says_otherwise_stands_and_that_is_told() -> None:
    item = carrying(cda(), title="Un autre titre", set_id="9.9", author=COLLEAGUE)
    rendition, _ = written(item)
    said = " ".join(one.message for one in rendition.findings)
    assert "the title" in said
    assert "the id that all versions share" in said
    assert again(rendition).content.title == "Document fictif"
    assert again(rendition).content.author is not None, "the CDA names no author: the message does"


def test_a_document_may_be_made_a_cda_first() -> None:
    rendition, lines = written(DOCUMENT_ITEM, document_content="cda")
    (first, *_) = [line for line in lines if line[0] == "OBX"]
    assert first[5].startswith("^TEXT^XML^Base64^")
    back = again(rendition)
    assert b"ClinicalDocument" in base64.b64decode(back.content.attachments[0].data or "")
    assert back.content.custodian is not None
    assert back.content.attachments[1].media_type == "application/pdf"


def test_a_file_that_is_no_cda_claims_no_profile() -> None:
    _, lines = written(DOCUMENT_ITEM, document_message="mdm")
    assert lines[0][20:] == []
    assert [line[3] for line in lines if line[0] == "TXA"] == ["AP"]


def test_the_mail_of_a_document_for_a_care_software() -> None:
    item = carrying(cda(), wishes=Wishes(hidden_from_patient=True, dmp=True), mail_body_professionals="Cher confrère")
    rendition, lines = written(item, document_message="mdm", document_profile="1.1^CISIS_CDA_HL7_LPS")
    assert [line[2] for line in lines if line[0] == "PV1"] == ["N"]
    results = [line for line in lines if line[0] == "OBX"]
    assert results[1][2:4] == ["ED", "DOC-1^Document fictif"]
    assert [line[3].split("^")[0] for line in results[2:]] == [
        "MASQUE_PS",
        "INVISIBLE_PATIENT",
        "INVISIBLE_REP_LEGAUX",
        "MODIF_CONF_CODE",
    ]
    assert "the wish DESTDMP" in " ".join(one.message for one in rendition.findings)
    back = again(rendition)
    assert back.content.mail_body_professionals == "Cher confrère"
    assert [one.media_type for one in back.content.attachments] == ["text/xml", "application/pdf"]


@pytest.mark.parametrize("attachments", [(), (Attachment(media_type="text/xml", sha256="00"),)])
def test_a_document_without_bytes_is_an_error(attachments: tuple[Attachment, ...]) -> None:
    item = DocumentItem(
        id="1",
        patient=PATIENT,
        sender=HOSPITAL,
        content=Document(title="Lettre", attachments=attachments),
        source=Provenance(format="test", where="here"),
    )
    errors = [one.code for one in FORMAT.write(item, context()).findings if one.severity is Severity.ERROR]
    assert errors == ["hl7v2.write.no_bytes" if attachments else "hl7v2.write.no_content"]


def test_an_option_that_does_not_exist_is_refused() -> None:
    for options in ({"document_message": "MDM^T02"}, {"document_content": "pdf"}):
        with pytest.raises(FormatError, match="is one of"):
            FORMAT.write(DOCUMENT_ITEM, context(**options))


@pytest.mark.shared_data
def test_every_real_document_is_written_and_read_again(shared_data: Path) -> None:
    """ORU and MDM of the agency, in both messages: the CDA untouched, wishes and recipients kept."""
    count = 0
    for path in sorted([*shared_data.glob("hl7v2/ans/**/*"), *shared_data.glob("hl7v2/own-examples/*cda*")]):
        if not path.is_file() or path.suffix not in (".er7", ".hl7") or "lps" in str(path):
            continue
        for item in FORMAT.read(path.read_bytes(), ReadContext()).items:
            if not isinstance(item, DocumentItem) or not item.content.attachments:
                continue
            count += 1
            for message in ("oru", "mdm"):
                rendition, _ = written(item, document_message=message)
                back = FORMAT.read(rendition.content, ReadContext())
                assert isinstance(back.items[-1], DocumentItem), path.name
                lost = changed(item, back.items[-1])
                said = " ".join(one.message for one in rendition.findings)
                known = {"file_titles"} | ({"files", "file_names"} if "a second file" in said else set())
                assert unsaid(item, lost, said).keys() <= known, (path.name, lost)
                assert back.items[-1].content.attachments[0].data == item.content.attachments[0].data
    assert count >= 12
