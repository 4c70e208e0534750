"""Writers get Items of every origin: whatever stands in their texts, what is written is read back without an error."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from filled_items import IDENTITY_ITEMS, REPORT_ITEM, STAY_ITEM
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from pydantic import ValidationError

from mappings.contracts import ReadContext, WriteContext
from mappings.hl7v2 import FORMAT
from mappings.hl7v2.reader import read
from mappings.hl7v2.writer import write
from schemas.finding import Severity
from schemas.item import ITEM, Item, LabReportItem
from schemas.lab import QuantityValue

ITEMS: tuple[Item, ...] = (REPORT_ITEM, STAY_ITEM, *IDENTITY_ITEMS)
CONTEXT = WriteContext(now=datetime(2026, 1, 5, 9, 15, tzinfo=UTC), identity="ESSAI-1")
TEXTS = st.text(st.characters(exclude_categories=()), max_size=12) | st.sampled_from(
    ['""', "^", "|", "\\", "\\X41\\", "\r\n", "\nMSH|^~\\&|A\r", "\0", "\x1c\r\x0b", "~", "&", " ", "’", "\ud800"]
)


def leaves(tree: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list):
        for at, value in enumerate(tree):
            yield from leaves(value, (*path, at))
    elif isinstance(tree, str):
        yield path


DUMPS = [item.model_dump(mode="json") for item in ITEMS]
PATHS = [[path for path in leaves(dump) if path[-1] not in ("kind", "type", "data")] for dump in DUMPS]


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


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-15"])
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(item=strange_items())
def test_any_text_is_written_and_read_without_an_error(charset: str, item: Item) -> None:
    context = WriteContext(now=CONTEXT.now, identity="ESSAI-1", charset=charset)
    rendition = write(item, context)
    assert FORMAT.sniff(rendition.content) > 0.9
    assert FORMAT.split(rendition.content) == [rendition.content]
    found = FORMAT.read(rendition.content, ReadContext())
    assert len(found.items) == 1
    assert found.items[0].kind == item.kind
    assert found.control_id == "ESSAI-1"
    if isinstance(item, LabReportItem):
        again = found.items[0]
        assert isinstance(again, LabReportItem)
        sent, got = (
            [one.value.number for one in report.chapters[1].observations if isinstance(one.value, QuantityValue)]
            for report in (item.content, again.content)
        )
        assert sent[:1] == got[:1]


@pytest.mark.parametrize("item", ITEMS, ids=[f"{item.kind}-{rank}" for rank, item in enumerate(ITEMS)])
def test_filled_items_say_what_they_lose(item: Item) -> None:
    rendition = write(item, CONTEXT)
    lost = {finding.message.partition(":")[0] for finding in rendition.findings if "not_carried" in finding.code}
    assert {
        "the address of the sender",
        "the specialty of a professional",
        "the organisation of a professional",
        "the use of an address",
    } <= lost
    removed = getattr(item.content, "ins_removed", False)
    assert removed or "hl7v2.write.ins" in [finding.code for finding in rendition.findings]
    errors = [one for one in read(rendition.content, ReadContext()).findings if one.severity is Severity.ERROR]
    assert errors == []


def test_stay_and_report_name_their_own_losses() -> None:
    def lost(item: Item) -> set[str]:
        return {finding.message.partition(":")[0] for finding in write(item, CONTEXT).findings}

    assert {"where the stay was moved from", "the authority of a facility"} <= lost(STAY_ITEM)
    assert {
        "the code of the report",
        "the number of the report that this one replaces",
        "whether the birth date was corrected",
        "a third code of a result",
        "the file name of an attachment",
    } <= lost(REPORT_ITEM)
