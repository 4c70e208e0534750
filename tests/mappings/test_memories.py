"""What a format remembers from one message to the next must never show in what it reads or writes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings, strategies as st
from lab_strategies import lab_items

from mappings.contracts import FormatError, ReadContext, Reading, WriteContext
from mappings.fhir import FORMAT as FHIR
from mappings.fhir.writing import lab, outlines, patient
from mappings.hl7v2 import FORMAT as HL7V2, observations, reader, unread
from mappings.uuids import uuid5_text
from schemas.item import LabReportItem

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
EXTRAS = ("previous", "nested", "parent", "attachments", "text", "special")


def forget() -> None:
    outlines._KNOWN.clear()
    patient._WRITTEN.clear()
    observations._ANALYSES.clear()
    reader._PATIENTS.clear()
    unread._rest.cache_clear()


def read(content: bytes) -> Reading | str:
    try:
        return HL7V2.read(content, ReadContext())
    except FormatError as refused:
        return refused.code


@given(item=lab_items(extras=EXTRAS))
@settings(max_examples=60, deadline=None)
def test_a_result_written_from_its_outline_is_what_the_ordinary_way_writes(item: LabReportItem) -> None:
    context = WriteContext(now=NOW, identity="delivery-1")
    forget()
    first = FHIR.write(item, context)
    again = FHIR.write(item, context)
    assert outlines._KNOWN or not any(map(outlines.is_plain, _all(item)))
    forget()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lab, "is_plain", lambda _: False)
        plainly = FHIR.write(item, context)
    assert first == again == plainly


def _all(item: LabReportItem) -> list[observations.Observation]:
    waiting = list(item.content.chapters)
    found = []
    for chapter in waiting:
        found += chapter.observations
        waiting += chapter.chapters
    return found


def test_outlines_serve_other_values_and_other_patients(hb: LabReportItem) -> None:
    forget()
    FHIR.write(hb, WriteContext(now=NOW, identity="one"))
    assert len(outlines._KNOWN) == 1
    report = hb.content
    chapter = report.chapters[0]
    value = chapter.observations[0].value
    assert value is not None
    other = chapter.observations[0].model_copy(
        update={"value": value.model_copy(update={"number": "7.1", "text": "7,1"})}
    )
    changed = report.model_copy(update={"chapters": (chapter.model_copy(update={"observations": (other,)}),)})
    written = FHIR.write(hb.model_copy(update={"content": changed}), WriteContext(now=NOW, identity="two")).content
    assert b'"value":7.1' in written
    assert b'"7,1"' in written, "how the sender wrote it is kept, which the outline could not"


@pytest.fixture
def hb() -> LabReportItem:
    message = (
        b"MSH|^~\\&|LABO|LAB|X|Y|20260305||ORU^R01|1|T|2.5\rPID|1||42^^^CH&1.2.3&ISO^PI||TESTROSE^MARIE^^^^^L\r"
        b"OBR|1||R1|58410-2^NFS^LN|||20260305\rOBX|1|NM|718-7^Hb^LN||13.2|g/dL|12-16|N|||F\r"
    )
    found = HL7V2.read(message, ReadContext()).items[0]
    assert isinstance(found, LabReportItem)
    return found


@pytest.mark.shared_data
def test_every_example_reads_the_same_the_second_time(shared_data: Path) -> None:
    contents = [path.read_bytes() for path in sorted((shared_data / "hl7v2").rglob("*.hl7"))]
    assert len(contents) > 100
    alone = []
    for content in contents:
        forget()
        alone.append(read(content))
    forget()
    first = [read(content) for content in contents]
    second = [read(content) for content in reversed(contents)][::-1]
    assert alone == first == second
    assert observations._ANALYSES, "something was remembered"
    assert reader._PATIENTS, "something was remembered"


def test_what_was_noticed_of_a_patient_is_noticed_again() -> None:
    head = b"MSH|^~\\&|LABO|LAB|X|Y|20260305||ORU^R01|1|T|2.5\r"
    pid = b"PID|1||42^^^CH&1.2.3&ISO^PI||TESTROSE^MARIE^^^^^L||19310399|Q||BRETONNE\r"
    tail = b"OBR|1||R1|58410-2^NFS^LN\rOBX|1|NM|718-7^Hb^LN||13.2|g/dL|12-16|N|||F\r"
    forget()
    first, second = (HL7V2.read(head + pid + tail, ReadContext()) for _ in range(2))
    assert {one.code for one in first.findings} >= {"hl7v2.identity.sex"}
    assert first.unread
    assert first == second


@given(st.uuids(), st.text(st.characters(exclude_categories=("Cs",))))
def test_uuids_of_names_are_those_of_the_standard_library(namespace: UUID, name: str) -> None:
    assert uuid5_text(namespace.bytes, name) == str(uuid5(namespace, name))
