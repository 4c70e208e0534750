"""HPRIM Santé files as they are read: the whole Reading, its report, its results, the codes of its findings."""

from __future__ import annotations

from hprim_files import oru

from mappings.contracts import ReadContext, Reading
from mappings.hprim_sante import FORMAT
from mappings.lab_status import observations_of
from schemas.item import LabReportItem
from schemas.lab import (
    LabReport,
    Observation,
)

HB = "OBX|1|NM|HB~Hémoglobine~L||11.8|g/dL|12.0 - 16.0|L|||F"


def read(content: bytes, **context: object) -> Reading:
    return FORMAT.read(content, ReadContext(**context))  # type: ignore[arg-type]  # keyword by keyword from tests


def report_of(content: bytes) -> LabReport:
    (item,) = read(content).items
    assert isinstance(item, LabReportItem)
    return item.content


def results(*segments: str) -> list[Observation]:
    return list(observations_of(report_of(oru(*segments)).chapters))


def codes(reading: Reading) -> set[str]:
    return {finding.code for finding in reading.findings}


def lab(reading: Reading) -> list[LabReportItem]:
    return [item for item in reading.items if isinstance(item, LabReportItem)]
