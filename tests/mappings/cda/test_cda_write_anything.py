"""Writers get Items of every origin: what is clinical comes back, and no text makes a CDA that its schema refuses."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filled_items import DOCUMENT_ITEM, REPORT_ITEM
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from lab_strategies import clinical_view, lab_items
from lxml import etree
from pydantic import ValidationError

from mappings.cda import FORMAT, is_cda
from mappings.cda.writing import write_item
from mappings.contracts import Environment, ReadContext, WriteContext, WriteRefused
from schemas.item import ITEM, Item, LabReportItem
from schemas.lab import ResultStatus

CONTEXT = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="ESSAI-1", environment=Environment.TEST)
ITEMS: tuple[Item, ...] = (REPORT_ITEM, DOCUMENT_ITEM)
DUMPS = [item.model_dump(mode="json") for item in ITEMS]
TEXTS = st.text(st.characters(exclude_categories=()), max_size=12) | st.sampled_from(
    ["", " ", "&<>\"'", "]]>", "<!--", "\r\n", "\n\n", "\0", "\x1b", "\ud800", "1.2.3", "a b", "%20", "#r1", "’"]
)
ABORTED = (ResultStatus.CANCELLED, ResultStatus.REGISTERED, ResultStatus.ENTERED_IN_ERROR)


def leaves(tree: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list):
        for at, value in enumerate(tree):
            yield from leaves(value, (*path, at))
    elif isinstance(tree, str):
        yield path


PATHS = [[path for path in leaves(dump) if path[-1] not in ("kind", "type", "data", "media_type")] for dump in DUMPS]


@st.composite
def strange_items(draw: st.DrawFn) -> Item:
    at = draw(st.integers(0, len(ITEMS) - 1))
    dump = copy.deepcopy(DUMPS[at])
    for path in draw(st.lists(st.sampled_from(PATHS[at]), min_size=1, max_size=8)):
        place = dump
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = draw(TEXTS)
    try:
        return ITEM.validate_python(dump)
    except ValidationError:
        assume(False)
        raise


def written_of(item: Item) -> bytes | None:
    try:
        return write_item(item, CONTEXT).content
    except WriteRefused as refusal:
        assume(refusal.code.startswith("cda.patient."))
        return None


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(item=strange_items())
def test_any_text_is_written_and_read(item: Item) -> None:
    content = written_of(item)
    if content is not None:
        assert is_cda(content)
        kinds = {one.kind for one in FORMAT.read(content, ReadContext()).items}
        assert item.kind in kinds


@pytest.mark.shared_data
def test_any_text_is_written_as_the_schema_wants(shared_data: Path) -> None:
    schema = etree.XMLSchema(etree.parse(shared_data / "cda" / "infrastructure" / "cda" / "CDA_extended.xsd"))

    @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
    @given(item=strange_items())
    def holds(item: Item) -> None:
        content = written_of(item)
        if content is not None:
            schema.assertValid(etree.fromstring(content))

    holds()


def view_of(item: LabReportItem) -> dict[str, object]:
    """The clinical view but for what a CR-BIO cannot keep: statuses, and the PDF that it must have."""
    view = clinical_view(item)
    view["report"] = {**view["report"], "status": None, "attachments": None}

    def chapter(given: dict) -> dict:
        observations = [{**one, "status": one["status"] in ABORTED} for one in given["observations"]]
        return {**given, "observations": observations, "chapters": [chapter(one) for one in given["chapters"]]}

    view["chapters"] = [chapter(one) for one in view["chapters"]]
    return view


def read_report(content: bytes) -> LabReportItem:
    return next(one for one in FORMAT.read(content, ReadContext()).items if isinstance(one, LabReportItem))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(sent=lab_items(extras=("previous", "nested", "parent", "attachments", "text", "special")))
def test_a_report_keeps_its_clinical_content(sent: LabReportItem) -> None:
    rendition = write_item(sent, CONTEXT)
    again = read_report(rendition.content)
    assert view_of(again) == view_of(sent)
    said = {one.code for one in rendition.findings}
    if clinical_view(again)["report"]["status"] != sent.content.status:
        assert "cda.write.status" in said
    assert ("cda.write.pdf_made" in said) is not bool(sent.content.attachments)
    assert len(again.content.attachments) == 1


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(sent=lab_items(extras=("previous", "nested", "parent", "text")))
def test_a_cr_bio_written_twice_says_the_same(sent: LabReportItem) -> None:
    once = read_report(write_item(sent, CONTEXT).content)
    twice = read_report(write_item(once, CONTEXT).content)
    assert clinical_view(twice) == clinical_view(once)
