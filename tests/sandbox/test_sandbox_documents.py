"""The sandbox's documents: valid by the ANS's own rules, and what they say is what was meant."""

from __future__ import annotations

import base64
import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from connectors.sandbox.adt import Visit
from connectors.sandbox.analyses import HEART, INFLAMMATION, IONOGRAM, KIDNEY, NFS
from connectors.sandbox.cda import consultation_report, cr_bio, discharge_letter, oid_of, report_document_id
from connectors.sandbox.laboratory import PARIS
from connectors.sandbox.people import PRESCRIBER, ROSE, population
from connectors.sandbox.reports import draw_report
from mappings.cda import FORMAT
from mappings.contracts import ReadContext
from schemas.item import DocumentItem, LabReportItem
from schemas.lab import QuantityValue

if TYPE_CHECKING:
    from router.validation import Package

AT = datetime(2026, 3, 9, 14, 20, tzinfo=PARIS)
VISIT = Visit("SEJ1", "DOS1", AT - timedelta(days=4), discharged_at=AT)


@pytest.mark.slow
@pytest.mark.shared_data
def test_they_are_valid_by_the_rules_of_the_ans(ans_package: Package) -> None:
    for seed, person in enumerate(population(6)):
        report = draw_report(random.Random(seed), person, seed, AT)
        assert ans_package.validate(cr_bio(report)) == []
        letter = discharge_letter(person, VISIT, ["Texte & fiction", "<fin>"], number=f"LET{seed}", at=AT)
        assert ans_package.validate(letter) == []
        again = discharge_letter(person, VISIT, ["Corrigé"], number="LET/2", at=AT, version=2, replaces="LET")
        assert ans_package.validate(again) == []
        visit = consultation_report(person, PRESCRIBER, ["Revu"], number=f"CS{seed}/2", at=AT, version=2, replaces="CS")
        assert ans_package.validate(visit) == []


def test_a_cr_bio_says_what_was_measured() -> None:
    report = draw_report(random.Random(3), ROSE, 7, AT, panels=(NFS, KIDNEY, INFLAMMATION, IONOGRAM, HEART))
    found = FORMAT.read(cr_bio(report), ReadContext())
    lab, document = found.items
    assert isinstance(lab, LabReportItem)
    assert isinstance(document, DocumentItem)
    assert lab.patient.ins is not None
    assert lab.patient.ins.matricule == ROSE.matricule
    assert lab.content.report_id == report.report_id
    assert document.content.document_id == report_document_id(report)
    waiting, values = list(lab.content.chapters), []
    while waiting:
        chapter = waiting.pop(0)
        values += [one.value for one in chapter.observations]
        waiting = [*chapter.chapters, *waiting]
    numbers = [(value.comparator or "", value.number) for value in values if isinstance(value, QuantityValue)]
    assert numbers == [(one.comparator, one.number) for one in report.measures]
    assert found.findings == ()


def test_a_letter_holds_a_pdf_that_can_be_opened() -> None:
    (item,) = FORMAT.read(discharge_letter(ROSE, VISIT, ["Bonjour"], number="LET1", at=AT), ReadContext()).items
    assert isinstance(item, DocumentItem)
    assert item.content.document_id == oid_of("LET1")
    pdf = base64.b64decode(item.content.attachments[1].data or "")
    assert pdf.startswith(b"%PDF-1.4")
    table = int(pdf.rsplit(b"startxref\n", 1)[1].split(b"\n", 1)[0])
    assert pdf[table : table + 4] == b"xref"
    for number, line in enumerate(pdf[table:].split(b"\n")[3:8], start=1):
        assert pdf[int(line[:10]) :].startswith(b"%d 0 obj" % number)
