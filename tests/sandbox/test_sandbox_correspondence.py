"""The sandbox's mails and notes say to our readers what was meant, and letters have versions."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from connectors.sandbox.adt import CARDIOLOGY, Movement, Visit
from connectors.sandbox.analyses import NFS
from connectors.sandbox.cda import LETTER_TYPE, discharge_letter, oid_of
from connectors.sandbox.correspondence import hospital_mail, laboratory_mail
from connectors.sandbox.hospital import Letter
from connectors.sandbox.laboratory import PARIS
from connectors.sandbox.liaison import note_bundle
from connectors.sandbox.mdm import mdm
from connectors.sandbox.people import PRESCRIBER, ROSE
from connectors.sandbox.reports import draw_report
from mappings.contracts import Environment, ReadContext, Reading
from mappings.registry import format_named
from schemas.document import DocumentOperation
from schemas.item import DocumentItem, LabReportItem, NoteItem

AT = datetime(2026, 3, 9, 14, 20, tzinfo=PARIS)
VISIT = Visit("SEJ1", "DOS1", AT - timedelta(days=4), discharged_at=AT)
TEST = ReadContext(environment=Environment.TEST)


def read(name: str, content: bytes) -> Reading:
    return format_named(name).read(content, TEST)


def test_a_hospital_mails_its_letter_as_xdm() -> None:
    found = read("mail", hospital_mail(ROSE, VISIT, ["Bonjour"], number="MSS1", at=AT))
    (item,) = found.items
    assert isinstance(item, DocumentItem)
    assert item.content.document_id == oid_of("MSS1")
    assert item.patient.ins is not None
    assert item.patient.ins.matricule == ROSE.matricule
    assert [one for one in found.findings if one.severity != "info"] == []


def test_a_laboratory_mails_its_report_as_hprim() -> None:
    report = draw_report(random.Random(1), ROSE, 7, AT, panels=(NFS,))
    found = read("mail", laboratory_mail(report, number="LABM1"))
    (item,) = found.items
    assert isinstance(item, LabReportItem)
    assert item.content.report_id == report.report_id
    assert [one for one in found.findings if one.severity == "error"] == []


def test_a_tool_writes_a_note() -> None:
    found = read("fhir", note_bundle(ROSE, PRESCRIBER, "Poids", "Plus deux kilos.", number="N1", at=AT))
    (item,) = found.items
    assert isinstance(item, NoteItem)
    assert (item.content.subject, item.content.text) == ("Poids", "Plus deux kilos.")
    assert item.patient.ins is not None
    assert item.author is not None
    assert found.findings == ()


def test_a_corrected_letter_replaces_the_former() -> None:
    former = Letter("LET1")
    letter = former.next()
    cda = discharge_letter(ROSE, VISIT, ["Corrigé"], number=letter.number, at=AT, version=2, replaces=former.number)
    message = mdm(
        ROSE,
        VISIT,
        Movement("MVT1", AT, CARDIOLOGY),
        cda,
        document_id=letter.document_id,
        kind=LETTER_TYPE,
        control_id="M2",
        at=AT,
        replaces=former.document_id,
    )
    found = read("hl7v2", message)
    (item,) = found.items
    assert isinstance(item, DocumentItem)
    assert message.split(b"|")[8] == b"MDM^T10^MDM_T02"
    assert item.content.operation is DocumentOperation.REPLACE
    assert (item.content.document_id, item.replaces) == (letter.document_id, former.document_id)
    assert item.content.version == 2
    assert found.findings == ()
