"""The CDA inside a message: its header completes the document, its results are read, its patient must be the one."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filled_items import REPORT_ITEM
from hl7v2_messages import CDA_INS, PID, cda, codes, document, message, reading

from mappings.cda import FORMAT as CDA
from mappings.contracts import ReadContext, Reading, WriteContext
from mappings.hl7v2 import FORMAT
from schemas.document import DocumentOperation
from schemas.finding import Severity
from schemas.item import DocumentItem, LabReportItem
from schemas.lab import ResultStatus

OBR = "OBR|1|||11502-2^CR d'examens biologiques^LN"


def carried(content: bytes, *, control: str = "NW", status: str = "F", pid: str = PID, obr: str = OBR) -> Reading:
    data = base64.b64encode(content).decode()
    obx = f"OBX|1|ED|11502-2^CR d'examens biologiques^LN||^TEXT^XML^Base64^{data}||||||{status}"
    return reading(*([pid] if pid else []), f"ORC|{control}", obr, obx)


def test_the_header_says_what_the_message_does_not() -> None:
    found = carried(cda())
    content = document(found).content
    assert (content.document_id, content.set_id, content.version) == ("1.2.3^D-1", "1.2.3^SERIE", 2)
    assert (content.title, content.language) == ("Document fictif", "fr-FR")
    assert content.created_at == document(found).occurred_at == "2026-01-05T09:00:00+01:00"
    assert [one.code for one in content.confidentiality] == ["N"]
    assert content.type is not None
    assert (content.type.system, content.type.code) == ("http://loinc.org", "11502-2")
    assert base64.b64decode(content.attachments[0].data or "") == cda()
    assert base64.b64decode(content.attachments[1].data or "") == b"%PDF-1.4 fictif"
    assert document(found).patient.identifiers[0].value == "IPP-1", "the patient is the message's"
    assert codes(found) == []
    assert found.unread == ()


def test_a_message_that_says_more_is_kept() -> None:
    obr = "OBR|1|DEM-1|RES-1|11502-2^CR d'examens biologiques^LN|||20260104"
    content = document(carried(cda(), obr=obr)).content
    assert (content.order_id, content.report_id, content.period_start) == ("DEM-1", "RES-1", "2026-01-04")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"code": "18748-4"}, "hl7v2.document.type"),
        ({"family": "AUTRE"}, "document.other_patient"),
        ({"ins": CDA_INS.replace("199017599999948", "279035121518989")}, "document.other_patient"),
    ],
)
def test_what_must_agree(changes: dict[str, str], code: str) -> None:
    found = carried(cda(**changes))
    assert code in codes(found)
    place = {one.code: one.where for one in found.findings}[code]
    assert place == "OBX-5"


def test_a_document_about_another_is_an_error_that_holds_the_message() -> None:
    (alarm,) = [one for one in carried(cda(family="AUTRE")).findings if one.severity is Severity.ERROR]
    assert alarm.code == "document.other_patient"
    assert "AUTRE" not in alarm.message


def test_another_number_of_the_same_person_is_no_alarm() -> None:
    found = carried(cda(ins='<id root="2.999.1" extension="77"/>'))
    assert "document.other_patient" not in codes(found)


def test_a_message_about_nobody_has_the_patient_of_its_document() -> None:
    found = carried(cda(), pid="")
    assert codes(found) == ["hl7v2.pid.missing"]
    assert document(found).patient.birth_name == "FICTIVE"


def test_a_cda_that_cannot_be_read_is_kept_and_said() -> None:
    content = cda().replace(b"</recordTarget>", b"")
    found = carried(content)
    assert codes(found) == ["hl7v2.document.cda"]
    (file,) = document(found).content.attachments
    assert base64.b64decode(file.data or "") == content


def test_a_deletion_knows_what_it_deletes_even_from_a_cda_about_nobody() -> None:
    start, rest = cda().split(b"<recordTarget>")
    found = carried(start + rest.split(b"</recordTarget>")[1], control="CA", status="D")
    assert codes(found) == ["hl7v2.document.cda"]
    assert document(found).replaces == document(found).content.document_id == "1.2.3^D-1"


def test_what_the_profile_calls_a_cda_and_is_none() -> None:
    data = base64.b64encode(b"Document fictif").decode()
    lines = (PID, "ORC|NW", OBR, f"OBX|1|ED|11502-2^CR^LN||^TEXT^XML^Base64^{data}||||||F")
    content = message(*lines).replace(b"UNICODE UTF-8\r", b"UNICODE UTF-8|FR||2.1^CISIS_CDA_HL7_V2\r")
    assert codes(FORMAT.read(content, ReadContext())) == ["hl7v2.document.not_cda"]


def test_findings_of_the_cda_have_their_place() -> None:
    content = cda().replace(b'<birthTime value="19900112"/>', b'<birthTime value="autrefois"/>')
    found = [one for one in carried(content).findings if one.code.startswith("cda.")]
    assert found
    assert all(one.where.startswith("OBX-5.5 ") for one in found)


WHOLE = CDA.write(
    REPORT_ITEM.model_copy(update={"patient": reading(PID, "OBR|1").items[0].patient, "recipients": ()}),
    WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="CR-1"),
).content
"""A CR-BIO about the patient of `PID`."""


@pytest.mark.parametrize(
    ("control", "status", "operation"),
    [
        ("NW", "F", DocumentOperation.CREATE),
        ("RO", "C", DocumentOperation.REPLACE),
        ("CA", "D", DocumentOperation.DELETE),
    ],
)
def test_a_laboratory_report_is_read_before_its_document(
    control: str, status: str, operation: DocumentOperation
) -> None:
    found = carried(WHOLE, control=control, status=status)
    report, letter = found.items
    assert isinstance(report, LabReportItem)
    assert isinstance(letter, DocumentItem)
    assert letter.content.operation is operation
    assert report.patient == letter.patient
    assert report.sender == letter.sender
    assert report.source == letter.source
    assert report.id != letter.id
    assert report.content.chapters
    if operation is DocumentOperation.DELETE:
        assert report.content.status is ResultStatus.ENTERED_IN_ERROR
    assert (report.replaces is None) == (operation is DocumentOperation.CREATE)
    assert not [one for one in found.findings if one.severity is Severity.ERROR]


@pytest.mark.shared_data
def test_the_documents_of_the_agency_are_completed(shared_data: Path) -> None:
    """Full CDA in ORU and MDM: metadata from the header, the patient compared, results of a CR-BIO."""
    seen = 0
    for path in sorted((shared_data / "hl7v2" / "ans").rglob("*full_cda*")):
        found = FORMAT.read(path.read_bytes(), ReadContext())
        letter = found.items[-1]
        assert isinstance(letter, DocumentItem), path.name
        assert letter.content.created_at, path.name
        assert letter.content.custodian, path.name
        assert letter.content.author, path.name
        assert "hl7v2.document.cda" not in codes(found), path.name
        if letter.content.type is not None and letter.content.type.code == "11502-2":
            assert isinstance(found.items[0], LabReportItem), path.name
        seen += 1
    assert seen >= 4
