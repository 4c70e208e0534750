"""Concept maps: codes beside codes, units, CSV both ways, check digits, proposals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings, strategies as st
from lab_strategies import lab_items
from local_codes import GLUCOSE, HAEMOGLOBIN, LABORATORY, POTASSIUM, TSH, message

from mappings.code_suggestions import suggestions
from mappings.concept_map import (
    NO_MAP,
    ConceptMap,
    MapEntry,
    Term,
    TermKind,
    apply_map,
    code_owner,
    is_loinc,
    local_code,
    target_of,
)
from mappings.concept_map_csv import read_maps, write_maps
from mappings.contracts import ReadContext, WriteContext
from mappings.registry import format_named
from schemas.actors import Organization
from schemas.analytes import analytes
from schemas.coding import LOCAL, LOINC, UCUM, Coding
from schemas.item import LabReportItem
from schemas.lab import (
    LabChapter,
    LabReport,
    Observation,
    PreviousResult,
    QuantityValue,
    SecondResult,
    Unit,
)
from schemas.units import ucum_of

GLY, HB, MUI = Term(TermKind.CODE, LOCAL, "GLY"), Term(TermKind.CODE, LOCAL, "HB"), Term(TermKind.UNIT, "", "mUI par L")
MAP = ConceptMap(
    {
        GLY: target_of(TermKind.CODE, "53049-3", display="Glucose à jeun"),
        HB: target_of(TermKind.CODE, "718-7"),
        Term(TermKind.CODE, LOCAL, "K"): target_of(TermKind.CODE, "2823-3"),
        MUI: target_of(TermKind.UNIT, "m[IU]/L"),
    }
)


def item(*results: str, sender: str | None = None) -> LabReportItem:
    content = message(1, *results) if sender is None else message(1, *results, sender=sender)
    found = format_named("hl7v2").read(content, ReadContext()).items[0]
    assert isinstance(found, LabReportItem)
    return found


def mapped(*results: str) -> LabReportItem:
    found = item(*results)
    return found.model_copy(update={"content": apply_map(found.content, MAP).report})


def written(found: LabReportItem, name: str) -> bytes:
    context = WriteContext(now=datetime(2026, 3, 5, tzinfo=UTC), identity="00000000-0000-4000-8000-000000000001")
    return format_named(name).write(found, context).content


# --- what a map adds ----------------------------------------------------------------------------------------------


def test_a_mapped_code_stands_after_the_senders_own_in_every_format() -> None:
    found = mapped(GLUCOSE)
    observation = found.content.chapters[0].observations[0]
    assert [(code.system, code.code) for code in observation.codes] == [(LOCAL, "GLY"), (LOINC, "53049-3")]
    bundle = orjson.loads(written(found, "fhir"))
    (coding,) = [
        entry["resource"]["code"]["coding"]
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Observation" and "valueQuantity" in entry["resource"]
    ]
    assert [(one["system"], one["code"]) for one in coding] == [
        (f"urn:x-passerelle:codes:finess-{LABORATORY}", "GLY"),
        (LOINC, "53049-3"),
    ]
    (obx,) = [line for line in written(found, "hl7v2").decode().split("\r") if line.startswith("OBX")]
    assert obx.split("|")[3] == "GLY^Glycémie^L^53049-3^Glucose à jeun^LN"
    canonical = orjson.loads(written(found, "canonical"))["items"][0]["content"]["chapters"][0]["observations"][0]
    assert [code["code"] for code in canonical["codes"]] == ["GLY", "53049-3"]
    for name in ("hprim-sante", "hprim-medecin"):
        text = written(found, name).decode("cp1252", errors="replace")
        assert "GLY" in text, f"{name} keeps the sender's own code"


def test_what_comes_with_loinc_is_left_as_it_is() -> None:
    found = item(POTASSIUM)
    applied = apply_map(found.content, MAP)
    assert applied.report is found.content
    assert applied.sightings == ()


def test_units_are_mapped_wherever_they_stand_and_keep_what_was_sent() -> None:
    raw, known = Unit(raw="mUI par L"), Unit(raw="g/L", ucum="g/L")
    value = QuantityValue(number="1")
    observation = Observation(
        label="TSH",
        codes=(Coding(system=LOINC, code="3016-3"),),
        value=value,
        unit=raw,
        second=SecondResult(value=value, unit=raw),
        previous=(PreviousResult(value=value, unit=raw), PreviousResult(value=value, unit=known)),
    )
    report = LabReport(chapters=(LabChapter(chapters=(LabChapter(observations=(observation,)),)),))
    applied = apply_map(report, MAP)
    done = applied.report.chapters[0].chapters[0].observations[0]
    assert done.second is not None
    assert [unit and (unit.raw, unit.ucum) for unit in (done.unit, done.second.unit, done.previous[0].unit)] == [
        ("mUI par L", "m[IU]/L")
    ] * 3
    assert done.previous[1].unit == known
    (seen,) = applied.sightings
    assert (seen.term, seen.times, seen.label) == (MUI, 3, "TSH")


def test_sightings_say_what_is_mapped_and_what_is_not() -> None:
    applied = apply_map(item(HAEMOGLOBIN, GLUCOSE, GLUCOSE, TSH).content, ConceptMap({HB: MAP.targets[HB]}))
    assert [(one.term.code, one.target and one.target.code, one.times) for one in applied.sightings] == [
        ("HB", "718-7", 1),
        ("GLY", None, 2),
        ("TSH", None, 1),
        ("mUI par L", None, 1),
    ]


@given(found=lab_items(extras=("previous", "nested", "parent")))
@settings(max_examples=60, deadline=None)
def test_nothing_but_codes_and_ucum_changes(found: LabReportItem) -> None:
    first = apply_map(found.content, NO_MAP)
    assert first.report is found.content
    everything = ConceptMap({one.term: target_of(one.term.kind, *_any_target(one.term)) for one in first.sightings})
    applied = apply_map(found.content, everything)
    assert all(one.target is not None for one in applied.sightings)
    assert _without(applied.report.model_dump()) == _without(found.content.model_dump())
    again = apply_map(applied.report, everything)
    assert again.report is applied.report, "a report that has its codes is left alone"
    assert _codes(found.content) <= _codes(applied.report)


def _any_target(term: Term) -> tuple[str]:
    return ("{unit}",) if term.kind is TermKind.UNIT else ("19146-0",)


def _without(value: Any) -> Any:
    """Leave out of a dumped report what a map may add."""
    if isinstance(value, dict):
        kept = {key: _without(one) for key, one in value.items() if key != "ucum"}
        if "codes" in kept:
            kept["codes"] = [code for code in kept["codes"] if code["code"] != "19146-0"]
        return kept
    return [_without(one) for one in value] if isinstance(value, list | tuple) else value


def _codes(report: LabReport) -> set[tuple[str | None, str]]:
    waiting, found = list(report.chapters), set()
    for chapter in waiting:
        waiting += chapter.chapters
        found |= {(code.system, code.code) for one in chapter.observations for code in one.codes}
    return found


# --- whose codes they are -----------------------------------------------------------------------------------------


def test_the_owner_is_the_sender_then_the_laboratory_then_the_source() -> None:
    found = item(GLUCOSE)
    assert code_owner(found, "labo") == LABORATORY
    named = found.model_copy(update={"sender": Organization(name="LABO SUD (été)")})
    assert code_owner(named, "labo") == "LABO SUD (été)"
    laboratory = found.content.model_copy(update={"laboratory": Organization(name="LABO NORD")})
    nobody = found.model_copy(update={"sender": None, "content": laboratory})
    assert code_owner(nobody, "labo") == "LABO NORD"
    bare = nobody.model_copy(update={"content": laboratory.model_copy(update={"laboratory": None})})
    assert code_owner(bare, "labo") == "source-labo"


def test_a_result_is_mapped_by_the_senders_own_code() -> None:
    other, own = Coding(system="urn:oid:1.2.3", code="X"), Coding(system=LOCAL, code="HB")
    assert local_code((other, own)) is own
    assert local_code((other,)) is other
    assert local_code((own, Coding(system=LOINC, code="718-7"))) is None
    assert local_code(()) is None


def test_what_no_catalogue_holds_is_not_asked_of_a_map() -> None:
    value = QuantityValue(number="1")
    odd = [Coding(system=LOCAL, code=code) for code in ("x" * 121, "a\0b", " ")]
    observations = tuple(Observation(codes=(code,), value=value, unit=Unit(raw=" ")) for code in odd)
    report = LabReport(chapters=(LabChapter(observations=observations),))
    assert apply_map(report, MAP).sightings == ()


# --- targets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["718-7", "2160-0", "19146-0", "53049-3", "100000-9"])
def test_loinc_codes_have_a_check_digit(code: str) -> None:
    assert is_loinc(code)
    other = f"{code[:-1]}{(int(code[-1]) + 1) % 10}"
    assert not is_loinc(other)


@pytest.mark.parametrize("code", ["", "718", "718-", "-7", "71x-7", "718-77", "12345678-9", "\u0667\u0661\u0668-7"])
def test_what_is_no_loinc_code(code: str) -> None:
    assert not is_loinc(code)


def test_targets_that_cannot_be_are_refused() -> None:
    for kind, code, system in (
        (TermKind.CODE, "718-8", ""),
        (TermKind.CODE, " ", ""),
        (TermKind.UNIT, "mUI par L", ""),
        (TermKind.UNIT, "718-7", LOINC),
        (TermKind.CODE, "x" * 121, "urn:oid:1.2.3"),
    ):
        with pytest.raises(ValueError, match="target"):
            target_of(kind, code, system)
    assert target_of(TermKind.CODE, "0123", "urn:oid:1.2.250.1.213.2.5") == Coding(
        system="urn:oid:1.2.250.1.213.2.5", code="0123"
    )


# --- CSV ----------------------------------------------------------------------------------------------------------


def test_a_french_spreadsheet_is_read() -> None:
    text = "Sender;Code;Target;Display\r\nLABO ÉTÉ;GLY;53049-3;Glucose à jeun\r\n;;;\r\n"
    for content in (text.encode("cp1252"), text.encode("utf-8-sig"), text.encode()):
        read = read_maps(content)
        assert read.problems == ()
        assert read.entries == (MapEntry("LABO ÉTÉ", GLY, MAP.targets[GLY]),)


def test_problems_name_their_line_and_the_rest_serves() -> None:
    lines = (
        "sender,kind,code,target",
        "A,code,HB,718-8",
        "A,,HB,718-7",
        ",,GLY,53049-3",
        "A,panel,NFS,58410-2",
        "A,code,HB,789-8",
        'A,unit,"mUI par L",m[IU]/L',
    )
    read = read_maps("\n".join(lines).encode())
    assert [entry.term.code for entry in read.entries] == ["HB", "mUI par L"]
    assert [problem.split(":")[0] for problem in read.problems] == ["line 2", "line 4", "line 5", "line 6"]
    assert "check digit" in read.problems[0]
    assert "sender is empty" in read.problems[1]
    assert "neither code nor unit" in read.problems[2]
    assert "another target above" in read.problems[3]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no column sender, code, target"),
        (b"sender,code\nA,HB\n", "no column target"),
        (b'sender,code,target\nA,"HB,718-7\n', "quotation mark"),
        (b"\xff\xfe\x00", "no column"),
    ],
)
def test_what_is_no_map_says_so(content: bytes, said: str) -> None:
    read = read_maps(content)
    assert read.entries == ()
    assert said in read.problems[0]


words = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=20).map(str.strip)
terms = st.one_of(
    words.filter(bool).map(lambda code: Term(TermKind.CODE, LOCAL, code)),
    words.filter(bool).map(lambda code: Term(TermKind.UNIT, "", code)),
)


@given(st.lists(st.tuples(words.filter(bool), terms, words), max_size=8))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(given_: list[tuple[str, Term, str]]) -> None:
    entries = {
        (sender, term): MapEntry(sender, term, target_of(term.kind, *_any_target(term), display=display))
        for sender, term, display in given_
    }
    read = read_maps(write_maps(entries.values()).encode())
    assert read.problems == ()
    assert read.entries == tuple(entries.values())


def test_no_cell_is_a_formula() -> None:
    text = write_maps([MapEntry("=cmd()", Term(TermKind.CODE, LOCAL, "+1"), target_of(TermKind.CODE, "718-7"))])
    assert text.splitlines()[1].startswith("'=cmd(),code,local,'+1,718-7")


# --- proposals ----------------------------------------------------------------------------------------------------


def test_the_table_of_analyses_holds() -> None:
    assert all(is_loinc(one.loinc) for one in analytes())
    assert all(ucum_of(one.ucum) == one.ucum for one in analytes())
    assert len({one.loinc for one in analytes()}) == len(analytes()) > 80


@pytest.mark.parametrize(
    ("code", "label", "unit", "loinc"),
    [
        ("HB", "Hémoglobine", "g/dL", "718-7"),
        ("X12", "HEMOGLOBINE", None, "718-7"),
        ("GLY", "Glycémie à jeun", "g/L", "53049-3"),
        ("GLY", "GLYCEMIE A JEUN", "mmol/L", "40193-5"),
        ("CRE", "Créatinine sérique", "µmol/L", "14682-9"),
        ("CRE", "Créatinine sérique", "mg/L", "2160-0"),
        ("PNN", "Polynucl. neutrophiles", "G/L", "26499-4"),
        ("PNN", "Polynucléaires neutrophiles", "%", "26511-6"),
        ("LEU", "Leucocytes", "G/L", "6690-2"),
        ("LEUU", "Leucocytes urinaires", "/mL", "30405-5"),
        ("K", None, "mmol/L", "2823-3"),
        ("TGO", "Transaminases SGOT (ASAT)", "UI/L", "1920-8"),
    ],
)
def test_proposals_follow_label_and_unit(code: str, label: str | None, unit: str | None, loinc: str) -> None:
    assert suggestions(code, label, unit)[0].analyte.loinc == loinc


def test_nothing_is_proposed_for_what_is_unlike_everything() -> None:
    assert suggestions("ZZ9", "Sérologie de Lyme", None) == ()
    assert suggestions("---", None, None) == ()


def test_the_target_system_is_that_of_the_kind() -> None:
    assert target_of(TermKind.UNIT, "g/L").system == UCUM
    assert target_of(TermKind.CODE, "718-7").system == LOINC
