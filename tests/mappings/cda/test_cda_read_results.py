"""Values, units, ranges and what stands around them in the results of a CR-BIO."""

from __future__ import annotations

import pytest
from cda_documents import codes, cr_bio, observation, reading, relation, report_of, result_of, section, unread

from schemas.coding import LOCAL, LOINC, Coding
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    Observation,
    ObservationValue,
    PreviousResult,
    QuantityValue,
    RangeValue,
    RatioValue,
    Reference,
    ResultStatus,
    SecondResult,
    TextValue,
    Unit,
)

MMOL = Unit(raw="mmol/L", ucum="mmol/L")
LOINC_OID = "2.16.840.1.113883.6.1"


def results(inside: str, text: str = "") -> list[Observation]:
    (chapter,) = report_of(reading(cr_bio(section(inside, text)))).chapters
    return list(chapter.observations)


@pytest.mark.parametrize(
    ("value", "expected", "unit"),
    [
        ('<value xsi:type="PQ" value="6.10" unit="mmol/L"/>', QuantityValue(number="6.10", text="6.10"), MMOL),
        ('<value xsi:type="c:PQ" value="6.10" unit="mmol/L"/>', QuantityValue(number="6.10", text="6.10"), MMOL),
        ('<value xsi:type="PQ" value="-1e3"/>', QuantityValue(number="-1e3", text="-1e3"), None),
        ('<value xsi:type="REAL" value="2.0"/>', QuantityValue(number="2.0", text="2.0"), None),
        ('<value xsi:type="INT" value="12"/>', QuantityValue(number="12", text="12"), None),
        (
            '<value xsi:type="IVL_PQ"><high value="1.0" unit="mmol/L" inclusive="false"/></value>',
            QuantityValue(number="1.0", comparator="<"),
            MMOL,
        ),
        (
            '<value xsi:type="IVL_PQ"><high value="1.0" unit="mmol/L"/></value>',
            QuantityValue(number="1.0", comparator="<="),
            MMOL,
        ),
        (
            '<value xsi:type="IVL_PQ"><low value="8" unit="mmol/L" inclusive="true"/></value>',
            QuantityValue(number="8", comparator=">="),
            MMOL,
        ),
        (
            '<value xsi:type="IVL_PQ"><low value="8" unit="mmol/L" inclusive="false"/></value>',
            QuantityValue(number="8", comparator=">"),
            MMOL,
        ),
        (
            '<value xsi:type="IVL_PQ"><low value="3" unit="mmol/L"/><high value="5" unit="mmol/L"/></value>',
            RangeValue(low="3", high="5"),
            MMOL,
        ),
        (
            '<value xsi:type="RTO_PQ_PQ"><numerator value="1"/><denominator value="128"/></value>',
            RatioValue(numerator="1", denominator="128"),
            None,
        ),
        (
            '<value xsi:type="RTO_PQ_PQ"><numerator value="3" unit="mg"/><denominator value="2" unit="mmol"/></value>',
            RatioValue(numerator="3", denominator="2"),
            Unit(raw="mg/mmol", ucum="mg/mmol"),
        ),
        ('<value xsi:type="ST">clair</value>', TextValue(text="clair"), None),
        ('<value xsi:type="ED"><reference value="#v"/></value>', TextValue(text="dit ailleurs"), None),
        ('<value xsi:type="ED"><reference value="v"/></value>', TextValue(text="dit ailleurs"), None),
        (
            '<value xsi:type="CD"><originalText><reference value="#v"/></originalText></value>',
            TextValue(text="dit ailleurs"),
            None,
        ),
        ('<value xsi:type="TS" value="20250310"/>', DateTimeValue(at="2025-03-10"), None),
        ('<value xsi:type="BL" value="true"/>', TextValue(text="true"), None),
        ('<value value="7" unit="mmol/L"/>', QuantityValue(number="7", text="7"), MMOL),
        ('<value xsi:type="PQ" nullFlavor="UNK"/>', None, None),
        ('<value xsi:type="CD" nullFlavor="UNK"/>', None, None),
    ],
)
def test_values(value: str, expected: ObservationValue | None, unit: Unit | None) -> None:
    found = result_of(value, '<paragraph ID="v">dit ailleurs</paragraph>')
    assert found.value == expected
    assert found.unit == unit


def test_a_coded_value_keeps_all_its_codes_and_the_senders_words() -> None:
    value = (
        '<value xsi:type="CD" code="112283007" displayName="Escherichia coli" codeSystem="2.16.840.1.113883.6.96">'
        '<originalText><reference value="#v"/></originalText>'
        '<translation code="562" displayName="E. coli" codeSystem="2.16.840.1.113883.3.9471"/></value>'
    )
    found = result_of(value, '<content ID="v">colibacille</content>')
    assert found.value == CodedValue(
        codes=(
            Coding(system="http://snomed.info/sct", code="112283007", display="Escherichia coli"),
            Coding(system="urn:oid:2.16.840.1.113883.3.9471", code="562", display="E. coli"),
        ),
        text="colibacille",
    )


@pytest.mark.parametrize(
    ("value", "expected", "code"),
    [
        (
            '<value xsi:type="PQ" value="6,10" unit="g/L"/>',
            QuantityValue(number="6.10", text="6,10"),
            "cda.value.comma",
        ),
        ('<value xsi:type="PQ" value="env. 6" unit="g/L"/>', TextValue(text="env. 6"), "cda.value.number"),
        (
            '<value xsi:type="CD"><originalText><reference value="#absent"/></originalText></value>',
            None,
            "cda.value.empty",
        ),
        ('<value xsi:type="RTO"><numerator value="1"/></value>', None, "cda.value.ratio"),
        ('<value xsi:type="ED" representation="B64">AAAA</value>', None, "cda.value.file"),
    ],
)
def test_values_that_are_not_quite_right_are_said(value: str, expected: ObservationValue | None, code: str) -> None:
    result = reading(cr_bio(section(relation(observation(value)))))
    (chapter,) = report_of(result).chapters
    assert chapter.observations[0].value == expected
    assert codes(result) == [code]


def test_codes_loinc_and_the_laboratorys_own_and_the_label() -> None:
    code = (
        f'<code code="14749-6" displayName="Glucose [Moles/Volume]" codeSystem="{LOINC_OID}"><originalText>'
        '<reference value="#r"/></originalText><translation code="GLU" displayName="Glycémie" codeSystem="1.2.3.833"/>'
        '<translation code="1443252" codeSystem="1.2.250.1.213.1.1.5.130"/><translation code="L1"/></code>'
    )
    (found,) = results(relation(observation("", code)), '<content ID="r">Glucose <br/>à jeun</content>')
    assert found.label == "Glucose\nà jeun"
    assert found.codes == (
        Coding(system=LOINC, code="14749-6", display="Glucose [Moles/Volume]"),
        Coding(system="urn:oid:1.2.3.833", code="GLU", display="Glycémie"),
        Coding(system="urn:oid:1.2.250.1.213.1.1.5.130", code="1443252"),
        Coding(code="L1"),
    )


def test_local_codes_that_we_wrote_are_local_again() -> None:
    from mappings.cda.oids import LOCAL_CODES_OID

    code = f'<code><translation code="GLU" codeSystem="{LOCAL_CODES_OID}"/></code>'
    (found,) = results(relation(observation("", code)))
    assert found.codes == (Coding(system=LOCAL, code="GLU"),)


def test_a_result_without_any_name_is_said() -> None:
    result = reading(cr_bio(section(relation(observation("", "<code/>")))))
    assert codes(result) == ["cda.result.unnamed"]


@pytest.mark.parametrize(
    ("status", "expected", "finding"),
    [
        ("completed", ResultStatus.FINAL, []),
        ("active", ResultStatus.PRELIMINARY, []),
        ("aborted", ResultStatus.CANCELLED, []),
        ("nullified", ResultStatus.ENTERED_IN_ERROR, []),
        ("obsolete", ResultStatus.UNKNOWN, ["cda.status.unknown"]),
    ],
)
def test_statuses(status: str, expected: ResultStatus, finding: list[str]) -> None:
    inside = observation("").replace('statusCode code="completed"', f'statusCode code="{status}"')
    result = reading(cr_bio(section(relation(inside))))
    (chapter,) = report_of(result).chapters
    assert chapter.observations[0].status is expected
    assert codes(result) == finding


def test_flags_method_and_times() -> None:
    found = result_of(
        '<effectiveTime value="202503101030+0100"/><value xsi:type="PQ" value="9"/>'
        '<interpretationCode code="HH" codeSystem="2.16.840.1.113883.5.83"/><interpretationCode code="A"/>'
        "<methodCode><originalText>Immunoturbidimétrie</originalText></methodCode>"
    )
    assert found.flags == ("HH", "A")
    assert found.effective_at == "2025-03-10T10:30+01:00"
    assert found.method == Coding(code="Immunoturbidimétrie", display="Immunoturbidimétrie")


RANGE = (
    '<referenceRange typeCode="REFV"><observationRange>{text}<value xsi:type="IVL_PQ">{bounds}</value>'
    '<interpretationCode code="{meaning}"/></observationRange></referenceRange>'
)


def range_of(bounds: str, text: str = "", meaning: str = "N") -> str:
    return RANGE.format(bounds=bounds, text=text, meaning=meaning)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (range_of('<low value="3.9" unit="g/L"/><high value="5.5" unit="g/L"/>'), Reference(low="3.9", high="5.5")),
        (range_of('<high value="5.0" unit="g/L"/>'), Reference(high="5.0")),
        (range_of('<low value="1"/>', '<text><reference value="#n"/></text>'), Reference(low="1", text="voir notice")),
        (range_of("", "<text>selon l'âge</text>"), Reference(text="selon l'âge")),
        (
            '<referenceRange><observationRange><value xsi:type="ST">sans</value></observationRange></referenceRange>',
            Reference(text="sans"),
        ),
        (range_of('<low value="9"/>', meaning="H") + range_of('<low value="3"/>'), Reference(low="3")),
    ],
)
def test_reference_ranges(written: str, expected: Reference) -> None:
    value = '<value xsi:type="PQ" value="6" unit="g/L"/>'
    assert result_of(value, '<paragraph ID="n">voir notice</paragraph>', written).reference == expected


def test_a_range_in_another_unit_is_said_and_its_unit_left_unread() -> None:
    value = '<value xsi:type="PQ" value="6" unit="g/L"/>' + range_of('<low value="3" unit="mmol/L"/>')
    result = reading(cr_bio(section(relation(observation(value)))))
    assert codes(result) == ["cda.reference.unit"]
    assert list(unread(result).values()) == ["mmol/L"]


def test_previous_results() -> None:
    earlier = (
        '<entryRelationship typeCode="REFR"><observation classCode="OBS" moodCode="EVN">'
        f'<code code="14749-6" codeSystem="{LOINC_OID}"/><statusCode code="completed"/>'
        '<effectiveTime value="20240901"/><value xsi:type="PQ" value="5.4" unit="mmol/L"/></observation>'
        "</entryRelationship>"
    )
    found = result_of('<value xsi:type="PQ" value="6"/>', after=earlier)
    assert found.previous == (
        PreviousResult(value=QuantityValue(number="5.4", text="5.4"), unit=MMOL, effective_at="2024-09-01"),
    )


def test_two_units_with_their_own_bounds() -> None:
    grams = 'codeSystem="2.16.840.1.113883.6.8"'
    value = (
        '<value xsi:type="IVL_PQ"><high value="6.1" unit="mmol/L" inclusive="false">'
        f'<translation value="1.1" code="g/L" {grams}/></high></value>'
    )
    bounds = f'<low value="3.9" unit="mmol/L"><translation value="0.7" code="g/L" {grams}/></low>'
    found = result_of(value, after=range_of(bounds))
    assert found.value == QuantityValue(number="6.1", comparator="<")
    assert found.second == SecondResult(
        value=QuantityValue(number="1.1", comparator="<"),
        unit=Unit(raw="g/L", ucum="g/L"),
        reference=Reference(low="0.7"),
    )


def test_a_second_value_is_the_second_result() -> None:
    found = result_of('<value xsi:type="PQ" value="6"/><value xsi:type="PQ" value="1.1" unit="g/L"/>')
    assert found.second == SecondResult(value=QuantityValue(number="1.1", text="1.1"), unit=Unit(raw="g/L", ucum="g/L"))


def test_the_laboratorys_own_spelling_of_a_unit() -> None:
    spelling = '<translation nullFlavor="OTH"><originalText>{}</originalText></translation>'
    found = result_of(f'<value xsi:type="PQ" value="6" unit="10*9/L">{spelling.format("G/L")}</value>')
    assert found.unit == Unit(raw="G/L", ucum="10*9/L")
    assert found.second is None
    unknown = result_of(f'<value xsi:type="PQ" value="6" unit="{{champ}}">{spelling.format("/champ")}</value>')
    assert unknown.unit == Unit(raw="/champ", ucum=None)


def test_comments_of_a_result_are_resolved_in_the_whole_document() -> None:
    act = (
        '<entryRelationship typeCode="SUBJ" inversionInd="true"><act classCode="ACT" moodCode="EVN">'
        f'<code code="48767-8" codeSystem="{LOINC_OID}"/><text><reference value="#c"/></text>'
        '<statusCode code="completed"/></act></entryRelationship>'
    )
    other = section("", '<paragraph ID="c">À contrôler.</paragraph>', title="AUTRE")
    result = reading(cr_bio(section(relation(observation(act))) + other))
    assert report_of(result).chapters[0].observations[0].comment == "À contrôler."
    assert unread(result) == {}


def test_a_dangling_reference_is_tolerated_and_said() -> None:
    code = (
        f'<code code="14749-6" displayName="Glucose" codeSystem="{LOINC_OID}"><originalText>'
        '<reference value="#absent"/></originalText></code>'
    )
    result = reading(cr_bio(section(relation(observation("", code)))))
    assert report_of(result).chapters[0].observations[0].label == "Glucose"
    assert [one.code for one in result.findings] == ["cda.reference.dangling"]


def test_participants_without_a_place_are_left_unread() -> None:
    device = (
        '<participant typeCode="DEV"><participantRole><playingDevice><code code="KIT-1"/>'
        "</playingDevice></participantRole></participant>"
    )
    result = reading(cr_bio(section(relation(observation(device)))))
    (where,) = unread(result)
    assert where.endswith("observation/participant")
    assert unread(result)[where] == "KIT-1"
