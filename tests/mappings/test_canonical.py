from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from lab_strategies import lab_items

from mappings.canonical import FORMAT, dump_item_set
from mappings.contracts import FormatError, ReadContext, WriteContext
from schemas.document import Document
from schemas.finding import Finding, Severity
from schemas.identity import PatientIdentity
from schemas.identity_event import IdentityEvent
from schemas.item import DocumentItem, IdentityItem, LabReportItem, Provenance, StayItem
from schemas.stay import Stay

CONTEXT = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="m/1 é")
EXTRAS = ("previous", "nested", "parent", "attachments", "text", "special")
COMMON = {
    "patient": PatientIdentity(birth_name="FICTIVE-ROSE"),
    "source": Provenance(format="canonical", where="test"),
}


@given(lab_items(extras=EXTRAS))
@settings(max_examples=30)
def test_a_report_comes_back_the_same(item: LabReportItem) -> None:
    rendition = FORMAT.write(item, CONTEXT)
    reading = FORMAT.read(rendition.content, ReadContext())
    assert reading.items == (item,)
    assert reading.findings == reading.unread == ()
    assert FORMAT.sniff(rendition.content) > 0.9


@pytest.mark.parametrize(
    "item",
    [
        StayItem(id="a", content=Stay(event="stay.started", trigger="A01"), **COMMON),
        IdentityItem(id="b", content=IdentityEvent(event="patient.merged", trigger="A40"), **COMMON),
        DocumentItem(id="c", content=Document(title="Lettre de liaison"), **COMMON),
    ],
    ids=lambda item: item.kind,
)
def test_every_kind_comes_back_the_same(item) -> None:
    rendition = FORMAT.write(item, CONTEXT)
    assert re.fullmatch(r"m_1-[a-z0-9]{8}\.json", rendition.filename)
    assert FORMAT.read(rendition.content, ReadContext()).items == (item,)


def test_findings_and_several_items_travel_together() -> None:
    items = [DocumentItem(id=str(n), content=Document(title=f"Lettre {n}"), **COMMON) for n in range(3)]
    finding = Finding(severity=Severity.WARNING, code="hprim.charset.guessed", where="line 3", message="guessed")
    reading = FORMAT.read(dump_item_set(items, [finding], indent=2), ReadContext())
    assert list(reading.items) == items
    assert reading.findings == (finding,)


def test_an_invalid_item_is_a_finding_and_the_others_are_read() -> None:
    document = json.loads(dump_item_set([DocumentItem(id=str(n), content=Document(), **COMMON) for n in range(2)]))
    document["items"][0]["patient"]["birth_date"] = "TESTROSE le 5"
    document["items"][0]["kinds"] = 1
    reading = FORMAT.read(json.dumps(document).encode(), ReadContext())
    assert [item.id for item in reading.items] == ["1"]
    assert {finding.where for finding in reading.findings} == {"items[0].patient.birth_date", "items[0].kinds"}
    assert "TESTROSE" not in repr(reading.findings)


def test_a_bare_item_is_read() -> None:
    item = DocumentItem(id="1", content=Document(), **COMMON)
    content = item.model_dump_json(indent=1).encode()
    assert FORMAT.sniff(content) == 0.7
    assert FORMAT.read(content, ReadContext()).items == (item,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"items": 3}',
        b'{"items": [{}]}',
        b'{"items": [], "more": 1}',
        b'{"items": [{"kind": "\\ud800"}]}',
        b'{"items": ["\xff"]}',
        b'{"items": [NaN]}',
        b"[" * 100_000,
        b'{"items":' * 100_000,
        b"\x00\x01\x02",
        '{"items": []}'.encode("utf-16"),
    ],
    ids=lambda content: repr(content[:20]),
)
def test_what_is_not_canonical_is_refused_with_a_reason(content: bytes) -> None:
    with pytest.raises(FormatError) as refused:
        FORMAT.read(content, ReadContext())
    assert refused.value.code.startswith(("canonical.", "json."))
    FORMAT.positions(content)


@pytest.mark.parametrize(
    ("content", "score"),
    [
        (b' {"items": []}', 0.95),
        (b'\xef\xbb\xbf{\n"findings": []}', 0.95),
        (b'{"resourceType": "Bundle"}', 0.0),
        (b"MSH|^~\\&", 0.0),
        (b"", 0.0),
        (b"[1]", 0.0),
    ],
)
def test_sniffing(content: bytes, score: float) -> None:
    assert FORMAT.sniff(content) == score
