from __future__ import annotations

import pytest
from hl7v2_messages import codes, result_of

from schemas.coding import LOCAL, LOINC
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    QuantityValue,
    RangeValue,
    RatioValue,
    ResultStatus,
    TextValue,
)


@pytest.mark.parametrize(
    ("sent", "number", "comparator", "text"),
    [
        ("13.2", "13.2", None, "13.2"),
        ("13.20", "13.20", None, "13.20"),
        ("12,4", "12.4", None, "12,4"),
        (" 7 ", "7", None, "7"),
        ("<20", "20", "<", "<20"),
        ("> 300", "300", ">", "> 300"),
        ("<=0,05", "0.05", "<=", "<=0,05"),
        ("≥ 5", "5", ">=", "≥ 5"),
        ("=5", "5", None, "=5"),
        ("-3.1", "-3.1", None, "-3.1"),
        ("+12", "+12", None, "+12"),
        (".5", ".5", None, ".5"),
    ],
)
def test_numbers_are_read_with_their_habits(sent: str, number: str, comparator: str | None, text: str) -> None:
    found, observation = result_of(f"NM|718-7^Hb^LN||{sent}|g/dL|||||F")
    assert observation.value == QuantityValue(number=number, comparator=comparator, text=text)
    assert codes(found) == []


@pytest.mark.parametrize("sent", ["positif", "1 234", "12.5.3", "1/2", "12h30", "3-5", "++"])
def test_declared_number_that_is_none_stays_text_with_a_finding(sent: str) -> None:
    found, observation = result_of(f"NM|X^X^L||{sent}||||||F")
    assert observation.value == TextValue(text=sent)
    assert codes(found) == ["hl7v2.obx.not_a_number"]


def test_unit_inside_the_value_becomes_the_unit() -> None:
    found, observation = result_of("NM|X^X^L||13.2 g/dL||||||F")
    assert observation.value == QuantityValue(number="13.2", text="13.2 g/dL")
    assert observation.unit is not None
    assert (observation.unit.raw, observation.unit.ucum) == ("g/dL", "g/dL")
    assert [finding.code for finding in found.findings] == ["hl7v2.obx.unit_in_value"]


def test_unit_inside_the_value_that_contradicts_obx_6_stays_text() -> None:
    found, observation = result_of("NM|X^X^L||13.2 g/dL|mmol/L|||||F")
    assert observation.value == TextValue(text="13.2 g/dL")
    assert codes(found) == ["hl7v2.obx.not_a_number"]


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ("<^20", QuantityValue(number="20", comparator="<", text="<20")),
        ("^182", QuantityValue(number="182", text="182")),
        ("=^5", QuantityValue(number="5", text="=5")),
        ("^1^:^128", RatioValue(numerator="1", denominator="128", separator=":", text="1:128")),
        (">^1^/^80", RatioValue(numerator="1", denominator="80", separator="/", comparator=">", text=">1/80")),
        ("^3^-^5", RangeValue(low="3", high="5", text="3-5")),
        ("^2^+", TextValue(text="2+")),
        ("20", QuantityValue(number="20", text="20")),
        ("<20", QuantityValue(number="20", comparator="<", text="<20")),
    ],
)
def test_structured_numbers(sent: str, value: object) -> None:
    found, observation = result_of(f"SN|X^X^L||{sent}||||||F")
    assert observation.value == value
    assert codes(found) == []


@pytest.mark.parametrize("sent", ["<>^5", "^abc", "<^3^-^5", "^3^.^5"])
def test_structured_number_that_is_none_stays_text_with_a_finding(sent: str) -> None:
    found, observation = result_of(f"SN|X^X^L||{sent}||||||F")
    assert observation.value == TextValue(text=sent.replace("^", ""))
    assert codes(found) == ["hl7v2.obx.not_structured"]


@pytest.mark.parametrize("kind", ["CE", "CWE", "CF"])
def test_codes_keep_both_codings_and_the_text(kind: str) -> None:
    _, observation = result_of(f"{kind}|882-1^Groupe^LN||A+^A positif^L^278147001^Groupe A^SCT||||||F")
    value = observation.value
    assert isinstance(value, CodedValue)
    assert [(code.system, code.code, code.display) for code in value.codes] == [
        (LOCAL, "A+", "A positif"),
        ("http://snomed.info/sct", "278147001", "Groupe A"),
    ]
    assert value.text == "A positif"


def test_original_text_of_a_code_is_its_text() -> None:
    _, observation = result_of("CWE|X^X^L||112283007^Escherichia coli^SCT^^^^^^E. coli, nombreuses||||||F")
    assert isinstance(observation.value, CodedValue)
    assert observation.value.text == "E. coli, nombreuses"


def test_several_codes_and_a_code_that_is_only_a_text() -> None:
    _, observation = result_of("CE|X^X^L||A^un^L~B^deux^L||||||F")
    assert isinstance(observation.value, CodedValue)
    assert [code.code for code in observation.value.codes] == ["A", "B"]
    assert observation.value.text == "un\ndeux"
    _, observation = result_of("CE|X^X^L||^texte libre||||||F")
    assert observation.value == CodedValue(text="texte libre")


@pytest.mark.parametrize(
    ("kind", "sent", "text"),
    [
        ("ST", r"50 ans (\S\calculé)", "50 ans (^calculé)"),
        ("ST", "10^9 & 3", "10^9 & 3"),
        ("TX", "un~deux", "un\ndeux"),
        ("FT", r"un\.br\deux~trois", "un\ndeux\ntrois"),
        ("ST", "13.2", "13.2"),
        ("FT", "  tableau", "  tableau"),
        ("RP", "https://exemple.invalid/i^^image^PICT", "https://exemple.invalid/i image PICT"),
        ("XPN", "FICTIVE^ALEX", "FICTIVE ALEX"),
        ("NA", "1^2^3", "1^2^3"),
        ("DR", "20260101^20260102", "2026-01-01/2026-01-02"),
    ],
)
def test_texts(kind: str, sent: str, text: str) -> None:
    found, observation = result_of(f"{kind}|X^X^L||{sent}||||||F")
    assert observation.value == TextValue(text=text)
    assert codes(found) == []


def test_measurement_sent_as_a_string_is_a_number_when_it_has_a_unit() -> None:
    _, observation = result_of("ST|X^X^L||<0,5|mg/L|||||F")
    assert observation.value == QuantityValue(number="0.5", comparator="<", text="<0,5")


@pytest.mark.parametrize(
    ("kind", "sent", "at"),
    [
        ("TS", "20260105083000+0100", "2026-01-05T08:30:00+01:00"),
        ("TS", "202607050830", "2026-07-05T08:30+02:00"),
        ("DTM", "202601050830Z", "2026-01-05T08:30Z"),
        ("TS", "2026010508", "2026-01-05T08:00+01:00"),
        ("TS", "20260105083000.1234", "2026-01-05T08:30:00.1234+01:00"),
        ("DT", "20260105", "2026-01-05"),
        ("DT", "202601", "2026-01"),
        ("DT", "2026", "2026"),
        ("DT", "20260000", "2026"),
        ("TM", "0830", "08:30"),
        ("TM", "083015", "08:30:15"),
    ],
)
def test_times_keep_their_precision(kind: str, sent: str, at: str) -> None:
    _, observation = result_of(f"{kind}|X^X^L||{sent}||||||F")
    assert observation.value == DateTimeValue(at=at, text=sent)


@pytest.mark.parametrize("sent", ["20241300", "00000000", "20260230", "2026010525", "hier"])
def test_impossible_times_stay_text_with_a_finding(sent: str) -> None:
    found, observation = result_of(f"TS|X^X^L||{sent}||||||F")
    assert observation.value == TextValue(text=sent)
    assert codes(found) == ["hl7v2.time.invalid"]


@pytest.mark.parametrize(
    ("sent", "low", "high"),
    [
        ("13.0 - 17.0", "13.0", "17.0"),
        ("13,0-17,0", "13.0", "17.0"),
        ("13.0 à 17.0 g/dL", "13.0", "17.0"),
        ("(4.0-10.0)", "4.0", "10.0"),
        ("-2.0 - 2.0", "-2.0", "2.0"),
        ("70_105", "70", "105"),
        ("150 - 400 (adulte)", "150", "400"),
        ("<5", None, "5"),
        ("≤ 5,0 mg/L", None, "5.0"),
        ("> 60", "60", None),
        (">=60 ml/min", "60", None),
        ("17 - 13", None, None),
        ("négatif", None, None),
        ("1/80", None, None),
        ("1-2-3", None, None),
        ("10:00-12:00", None, None),
    ],
)
def test_reference_bounds_are_read_when_they_are_certain(sent: str, low: str | None, high: str | None) -> None:
    _, observation = result_of(f"NM|X^X^L||5||{sent}||||F")
    assert observation.reference is not None
    assert (observation.reference.low, observation.reference.high) == (low, high)
    assert observation.reference.text == sent


@pytest.mark.parametrize(
    ("sent", "raw", "ucum"),
    [
        ("g/dL", "g/dL", "g/dL"),
        ("10*9/L", "10*9/L", "10*9/L"),
        ("10^9/L", "10^9/L", "10*9/L"),
        (r"10\S\9/L", "10^9/L", "10*9/L"),
        ("G/L", "G/L", "10*9/L"),
        ("mg/dL^mg/dL^UCUM", "mg/dL", "mg/dL"),
        ("foo^bar^L^mmol/L^^UCUM", "foo", "mmol/L"),
        ("mmol/L^millimole par litre^UCUM", "millimole par litre", "mmol/L"),
        ("^unités arbitraires", "unités arbitraires", None),
    ],
)
def test_units(sent: str, raw: str, ucum: str | None) -> None:
    _, observation = result_of(f"NM|X^X^L||5|{sent}|||||F")
    assert observation.unit is not None
    assert (observation.unit.raw, observation.unit.ucum) == (raw, ucum)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("F", ResultStatus.FINAL),
        ("P", ResultStatus.PRELIMINARY),
        ("R", ResultStatus.PRELIMINARY),
        ("S", ResultStatus.PRELIMINARY),
        ("C", ResultStatus.CORRECTED),
        ("A", ResultStatus.AMENDED),
        ("D", ResultStatus.ENTERED_IN_ERROR),
        ("W", ResultStatus.ENTERED_IN_ERROR),
        ("X", ResultStatus.CANCELLED),
        ("N", ResultStatus.CANCELLED),
        ("I", ResultStatus.REGISTERED),
        ("U", ResultStatus.FINAL),
    ],
)
def test_statuses_of_results(code: str, status: ResultStatus) -> None:
    found, observation = result_of(f"NM|X^X^L||5||||||{code}")
    assert observation.status is status
    assert codes(found) == []


@pytest.mark.parametrize(("code", "finding"), [("", "hl7v2.status.missing"), ("Q", "hl7v2.status.unknown")])
def test_status_that_is_none_is_a_finding(code: str, finding: str) -> None:
    found, observation = result_of(f"NM|X^X^L||5||||||{code}")
    assert observation.status is ResultStatus.UNKNOWN
    assert codes(found) == [finding]


def test_null_and_absent_values_have_none() -> None:
    _, observation = result_of('NM|14749-6^Glucose^LN||""|mmol/L|3.9 - 5.5||||X')
    assert (observation.value, observation.status) == (None, ResultStatus.CANCELLED)
    assert observation.unit is not None
    _, observation = result_of("NM|X^X^L||||||||I")
    assert observation.value is None


def test_codes_of_an_analysis_are_kept_as_sent() -> None:
    _, observation = result_of("NM|718-7^Hb^LN^HB^Hémoglobine^L||5||||||F")
    assert [(code.system, code.code) for code in observation.codes] == [(LOINC, "718-7"), (LOCAL, "HB")]
    assert observation.label == "Hb"
    _, observation = result_of("NM|^Hb totale||5||||||F")
    assert (observation.codes, observation.label) == ((), "Hb totale")
    _, observation = result_of("NM|HB^Hb||5||||||F")
    assert [(code.system, code.code) for code in observation.codes] == [(None, "HB")]
    _, observation = result_of("NM|HB^Hb^99LABO X^H2^^HL70078||5||||||F")
    assert [code.system for code in observation.codes] == [
        "urn:x-code-system:99LABO%20X",
        "http://terminology.hl7.org/CodeSystem/v2-0078",
    ]


def test_flags_are_kept_and_unknown_ones_said() -> None:
    found, observation = result_of("NM|X^X^L||5|||H~A^A^HL70078|||F")
    assert observation.flags == ("H", "A")
    assert codes(found) == []
    found, observation = result_of("NM|X^X^L||5|||positif|||F")
    assert observation.flags == ("positif",)
    assert codes(found) == ["hl7v2.flag.unknown"]
