"""What we write passes the ANS's own chain: schema, header, profiles, CR-BIO, for every sample that partners send."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filled_items import DOCUMENT_ITEM, REPORT_ITEM
from lab_strategies import clinical_view

from mappings.cda import FORMAT, is_cda
from mappings.cda.writing import write_item
from mappings.contracts import FormatError, ReadContext, Rendition, Splitter, WriteContext, WriteRefused
from mappings.registry import detect
from router.validation import Package, conforms
from schemas.item import DocumentItem, Item, LabReportItem

pytestmark = pytest.mark.shared_data

CONTEXT = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="VALIDE-1")
NOT_MESSAGES = {".md", ".json", ".csv", ".xsd", ".zip", ".eml", ".pem", ".crt"}
REFUSED = {
    "cda.patient.no_birth_date",
    "cda.patient.no_name",
    "cda.write.no_body",
    "cda.write.media_type",
    "cda.delete",
}
"""Samples without what no conformant document can do without, and those that ask for a deletion."""


def items_of(shared_data: Path) -> Iterator[tuple[str, Item]]:
    for path in sorted([*shared_data.glob("hprim/**/*"), *shared_data.glob("hl7v2/**/*")]):
        if not path.is_file() or path.suffix in NOT_MESSAGES:
            continue
        content = path.read_bytes()
        siblings = {one.name: one.read_bytes() for one in path.parent.iterdir() if one.is_file()}
        try:
            known = detect(content)
            messages = known.split(content) if isinstance(known, Splitter) else [content]
            for message in messages:
                for item in known.read(message, ReadContext(filename=path.name, siblings=siblings)).items:
                    if isinstance(item, (LabReportItem, DocumentItem)):
                        yield path.name, item
        except FormatError:
            continue


def given_through(item: Item) -> bool:
    files = item.content.attachments if isinstance(item, DocumentItem) else ()
    return bool(files and files[0].data and is_cda(base64.b64decode(files[0].data)))


@pytest.mark.slow
def test_everything_that_is_written_of_a_sample_is_valid(shared_data: Path, ans_package: Package) -> None:
    kinds = {"lab_report": 0, "document": 0}
    refused: set[str] = set()
    for name, item in items_of(shared_data):
        if given_through(item):
            continue  # the sender's own document, byte for byte
        try:
            rendition = write_item(item, CONTEXT)
        except WriteRefused as refusal:
            refused.add(refusal.code)
            continue
        findings = ans_package.validate(rendition.content)
        assert conforms(findings), (name, findings[:3])
        kinds[item.kind] += 1
    assert kinds["lab_report"] > 30
    assert kinds["document"] > 8
    assert refused <= REFUSED


def reports_of(shared_data: Path) -> Iterator[tuple[str, LabReportItem]]:
    for path in sorted((shared_data / "cda").glob("*examples/*.xml")):
        for item in FORMAT.read(path.read_bytes(), ReadContext()).items:
            if isinstance(item, LabReportItem):
                yield path.name, item


def read_report(rendition: Rendition) -> LabReportItem:
    found = FORMAT.read(rendition.content, ReadContext()).items
    return next(one for one in found if isinstance(one, LabReportItem))


def test_a_cr_bio_read_and_written_says_the_same(shared_data: Path) -> None:
    count = 0
    for name, report in reports_of(shared_data):
        rendition = write_item(report, CONTEXT)
        sent, again = clinical_view(report), clinical_view(read_report(rendition))
        if any(one.code == "cda.write.pdf_made" for one in rendition.findings):
            assert report.content.attachments == ()
            again["report"]["attachments"] = []
        assert again == sent, name
        count += 1
    assert count == 9


@pytest.mark.slow
def test_a_cr_bio_written_anew_is_valid(shared_data: Path, ans_package: Package) -> None:
    for name, report in reports_of(shared_data):
        findings = ans_package.validate(write_item(report, CONTEXT).content)
        assert conforms(findings), (name, findings[:3])


@pytest.mark.slow
@pytest.mark.parametrize("item", [REPORT_ITEM, DOCUMENT_ITEM], ids=["report", "document"])
def test_items_with_every_field_are_valid(item: Item, ans_package: Package) -> None:
    findings = ans_package.validate(write_item(item, CONTEXT).content)
    assert conforms(findings), findings[:3]


def test_documents_that_are_cda_already_are_given_through(shared_data: Path) -> None:
    for path in sorted((shared_data / "cda").glob("*examples/*.xml")):
        content = path.read_bytes()
        documents = [one for one in FORMAT.read(content, ReadContext()).items if isinstance(one, DocumentItem)]
        assert [write_item(one, CONTEXT).content for one in documents] == [content], path.name
