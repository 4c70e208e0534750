from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from lab_strategies import clinical_view, lab_items

from mappings.contracts import ReadContext, WriteContext
from mappings.fhir import FORMAT
from mappings.fhir.check import check_with_fhirclient
from schemas.item import LabReportItem

CONTEXT = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="delivery-1")
EXTRAS = ("previous", "nested", "parent", "attachments", "text", "special")


@given(lab_items(extras=EXTRAS))
@settings(max_examples=40, deadline=None)
def test_every_clinical_value_comes_back(item: LabReportItem) -> None:
    rendition = FORMAT.write(item, CONTEXT)
    reading = FORMAT.read(rendition.content, ReadContext())
    (again,) = reading.items
    assert clinical_view(again) == clinical_view(item)
    assert reading.unread == ()
    assert reading.findings == ()
    assert again.patient == item.patient
    assert again.content.laboratory == item.content.laboratory
    assert again.content.prescriber == item.content.prescriber
    assert again.sender == item.sender


@given(lab_items(extras=EXTRAS))
@settings(max_examples=10, deadline=None)
def test_every_resource_passes_fhirclient(item: LabReportItem) -> None:
    assert check_with_fhirclient(FORMAT.write(item, CONTEXT).content) == ()
