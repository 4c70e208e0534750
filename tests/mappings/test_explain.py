from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from filled_items import REPORT_ITEM, STAY_ITEM
from hypothesis import given, strategies as st

from mappings.contracts import FormatError, Piece, Position, ReadContext, Reading, Rendition, WriteContext, item_id
from mappings.explain import ExplainedValue, Explanation, explain
from mappings.leaves import differences, leaves_of
from mappings.mutation import byte_candidates, parts, text_candidates
from mappings.registry import format_named
from schemas.identity import PatientIdentity
from schemas.item import ItemKind, LabReportItem, Provenance
from schemas.lab import LabChapter, LabReport, Observation, QuantityValue, ResultStatus, Unit

ORU = "\r".join(
    [
        r"MSH|^~\&|LABFIC|LABO|HOP|HOPITAL|20260305120000||ORU^R01^ORU_R01|M1|P|2.5|||||FRA|UNICODE UTF-8",
        r"PID|1||IPP-1^^^HOP&1.2.3&ISO^PI||TESTROSE^ZOÉ^^^^^L||19790305|F",
        r"OBR|1|D1|R1|NFS^HÉMATO^L|||20260305081000|||||||||||||||20260305110000||HM|F",
        r"OBX|1|NM|HB^Hémoglobine^L||13,20|g/dL|12.0-16.0|N|||F",
        r"NTE|1|L|contrôlé",
    ]
).encode()
OBSERVATION = "items[0].content.chapters[0].observations[0]"


@pytest.fixture(scope="module")
def explanation() -> Explanation:
    targets = [format_named(name) for name in ("fhir", "hprim-medecin", "canonical")]
    return explain(ORU, format_named("hl7v2"), ReadContext(), targets)


def value(explanation: Explanation, path: str) -> ExplainedValue:
    return next(one for one in explanation.values if one.path == path)


def written(content: bytes, positions: Sequence[Position]) -> list[str]:
    return [content[one.start : one.end].decode("utf-8", "replace") for one in positions]


@pytest.mark.parametrize(
    ("path", "text", "piece"),
    [
        (f"{OBSERVATION}.value.number", "13.20", "13,20"),
        (f"{OBSERVATION}.unit.raw", "g/dL", "g/dL"),
        (f"{OBSERVATION}.reference.low", "12.0", "12.0-16.0"),
        (f"{OBSERVATION}.reference.high", "16.0", "12.0-16.0"),
        (f"{OBSERVATION}.flags[0]", "N", "N"),
        (f"{OBSERVATION}.comment", "contrôlé", "contrôlé"),
        ("items[0].patient.birth_date", "1979-03-05", "19790305"),
        ("items[0].content.report_id", "R1", "R1"),
        ("message.control_id", "M1", "M1"),
    ],
)
def test_a_value_comes_from_its_piece(explanation: Explanation, path: str, text: str, piece: str) -> None:
    found = value(explanation, path)
    assert found.value == text
    assert piece in written(ORU, found.sources)


def test_a_value_goes_to_its_pieces(explanation: Explanation) -> None:
    number = value(explanation, f"{OBSERVATION}.value.number")
    (fhir,) = explanation.renditions["fhir"]
    assert written(fhir, number.targets["fhir"]) == ["13.20"]
    (hprim,) = explanation.renditions["hprim-medecin"]
    assert any("13.20" in text or "13,20" in text for text in written(hprim, number.targets["hprim-medecin"]))
    name = value(explanation, "items[0].patient.birth_name")
    assert written(fhir, name.targets["fhir"]) == ["TESTROSE"]
    status = value(explanation, f"{OBSERVATION}.status")
    assert written(fhir, status.targets["fhir"]) == ["final"]


def test_what_influences_nothing_is_said(explanation: Explanation) -> None:
    silent = {
        one.where.split("[")[0]: text
        for one, text in zip(explanation.silent, written(ORU, explanation.silent), strict=True)
    }
    assert "MSH" in silent
    assert "13,20" not in written(ORU, explanation.silent)
    assert "ORU" in written(ORU, explanation.structure)
    assert explanation.complete


def test_every_value_of_a_canonical_document_comes_from_itself() -> None:
    canonical = format_named("canonical")
    context = WriteContext(now=datetime(2026, 3, 5, tzinfo=UTC), identity="d")
    found = explain(canonical.write(REPORT_ITEM, context).content, canonical, ReadContext(), [])
    wrong = [
        one.path
        for one in found.values
        if one.sources
        and one.path not in {source.where for source in one.sources}
        and not one.path.startswith("message.")
    ]
    assert wrong == []


def test_a_target_that_cannot_carry_the_item_is_said() -> None:
    canonical = format_named("canonical")
    context = WriteContext(now=datetime(2026, 3, 5, tzinfo=UTC), identity="d")
    content = canonical.write(STAY_ITEM, context).content
    found = explain(content, canonical, ReadContext(), [format_named("hprim-medecin")])
    assert list(found.not_written) == ["hprim-medecin"]
    assert found.renditions == {}


def test_what_cannot_be_read_is_not_explained() -> None:
    with pytest.raises(FormatError):
        explain(b"garbage", format_named("canonical"), ReadContext(), [])


class ThirdParty:
    """A format that the project does not know: `name=number unit` lines."""

    name = "third-party"
    media_type = "text/plain"
    extension = ".txt"
    reads = writes = frozenset({ItemKind.LAB_REPORT})
    line = re.compile(rb"(\w+)=(\S+) (\S+) #(.*)\n")

    def sniff(self, content: bytes) -> float:
        return 0.0

    def read(self, content: bytes, context: ReadContext) -> Reading:
        observations = tuple(
            Observation(label=name.decode(), value=QuantityValue(number=number.decode()), unit=Unit(raw=unit.decode()))
            for name, number, unit, _ in self.line.findall(content)
            if number.replace(b".", b"").isdigit()
        )
        if not observations:
            raise FormatError("third.empty", "content", "no line")
        report = LabReport(chapters=(LabChapter(observations=observations),))
        provenance = Provenance(format=self.name, where="")
        item = LabReportItem(id=item_id(content, 0), patient=PatientIdentity(), content=report, source=provenance)
        return Reading(items=(item,))

    def write(self, item: LabReportItem, context: WriteContext) -> Rendition:
        lines = [
            f"{one.label}={one.value.number} {one.unit.raw} #\n"
            for chapter in item.content.chapters
            for one in chapter.observations
        ]
        return Rendition("".join(lines).encode(), self.media_type, "x.txt")

    def positions(self, content: bytes) -> Sequence[Position]:
        return [
            Position(f"{found.group(1).decode()}.{group}", *found.span(group))
            for found in self.line.finditer(content)
            for group in (1, 2, 3, 4)
            if found.group(group)
        ]

    def pieces(self, content: bytes) -> Sequence[Piece]:
        return ()


def test_it_works_for_a_format_that_it_does_not_know() -> None:
    fmt = ThirdParty()
    found = explain(b"hb=13.2 g/dL #ignored\nk=4.0 mmol/L #\n", fmt, ReadContext(), [fmt])
    rows = {one.path.rpartition("observations")[2]: one for one in found.values}
    assert [one.where for one in rows["[0].value.number"].sources] == ["hb.2"]
    assert [one.where for one in rows["[1].unit.raw"].targets["third-party"]] == ["k.3"]
    assert [one.where for one in found.silent] == ["hb.4"]


@given(st.binary(min_size=1, max_size=40))
def test_candidates_differ_from_what_they_change(piece: bytes) -> None:
    assert all(candidate != piece for candidate in byte_candidates(piece))
    spans = parts(piece)
    assert spans == sorted(spans)
    assert all(0 <= start < end <= len(piece) for start, end in spans)


@given(st.text(min_size=1, max_size=30))
def test_text_candidates_differ_from_what_they_change(text: str) -> None:
    assert all(candidate != text for candidate in text_candidates(text))


def test_a_word_of_a_vocabulary_changes_in_the_same_order_in_every_process() -> None:
    """Which one is tried first decides what `explain` shows; the order of a set differs from process to process."""
    words = [one.value for one in ResultStatus]
    tried = list(text_candidates("final"))
    assert [one for one in tried if one in words] == [one for one in words if one != "final"]


@pytest.mark.parametrize(
    ("day", "other"), [("2026-03-05", "2026-03-04"), ("2026-03-31", "2026-03-21"), ("2026-02-01", "2026-02-02")]
)
def test_a_date_changes_by_a_day_that_exists(day: str, other: str) -> None:
    assert next(text_candidates(day)) == other


def test_differences_are_the_paths_that_changed() -> None:
    one = Reading(items=(REPORT_ITEM,), control_id="a")
    content = REPORT_ITEM.content.model_copy(update={"conclusion": "autre", "title": None})
    other = Reading(items=(REPORT_ITEM.model_copy(update={"content": content, "id": "9"}),), control_id="b")
    assert differences(one, other) == {"items[0].content.conclusion", "items[0].content.title", "message.control_id"}
    assert differences(one, Reading()) >= leaves_of(one).keys() - {"message.control_id"} - {"items[0].id"}
    assert differences(one, one) == set()
