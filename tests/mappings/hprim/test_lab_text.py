from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from mappings.french_time import find_day, read_day, read_stamp, write_day, write_moment, write_stamp
from mappings.lab_text import Hints, bounds_of, measure_of, number_of, range_text, reference_of, unit_of, value_of
from schemas.base import DECIMAL, PARTIAL_DATE_TIME
from schemas.lab import DateTimeValue, QuantityValue, RangeValue, RatioValue, Reference, TextValue

PARIS = ZoneInfo("Europe/Paris")


def hints(*, numeric: bool = False, bounded: bool = False, dated: bool = False) -> Hints:
    return Hints(numeric=numeric, bounded=bounded, dated=dated, zone=PARIS)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4,58", "4.58"),
        ("12.50", "12.50"),
        ("301 000", "301000"),
        ("1 301 000,5", "1301000.5"),
        ("1.234.567", "1234567"),
        ("2.920", "2.920"),
        ("+2", "2"),
        ("−3,5", "-3.5"),
        (".5", "0.5"),
        ("12.", "12"),
        ("*32.5*", "32.5"),
        ("85*", "85"),
        ("1 2", None),
        ("12 mg", None),
        ("", None),
        ("*", None),
        ("9" * 100, None),
    ],
)
def test_numbers_as_laboratories_write_them(text: str, number: str | None) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("    < 0.12  mg/L ", ("<", "0.12", "mg/L")),
        (">120", (">", "120", "")),
        ("≤5", ("<=", "5", "")),
        (">= 60", (">=", "60", "")),
        ("= 5", (None, "5", "")),
        ("inf. à 5", ("<", "5", "")),
        ("Inférieur ou égal à 5", ("<=", "5", "")),
        ("sup à 12 UI/L", (">", "12", "UI/L")),
        ("infini", None),
        ("3-5", None),
        ("1:80", None),
    ],
)
def test_comparators_glued_spaced_and_in_words(text: str, expected: tuple[str | None, str, str] | None) -> None:
    measure = measure_of(text)
    assert (measure and (measure.comparator, measure.number, measure.rest)) == expected


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("10 - 40", ("10", "40")),
        ("4.10-5.70", ("4.10", "5.70")),
        ("12,0 à 16,0", ("12.0", "16.0")),
        ("-2 - 2", ("-2", "2")),
        ("-5 - -2", ("-5", "-2")),
        ("vr : 4 a  10000", ("4", "10000")),
        ("(4 500 - 10 000)", ("4500", "10000")),
        ("inf à 5", (None, "5")),
        ("<5", (None, "5")),
        ("≤ 5,0", (None, "5.0")),
        (">60", ("60", None)),
        ("sup. à 60", ("60", None)),
        ("7 - 5.7", None),
        ("-4--10", None),
        ("H : 13-17 F : 12-16", None),
        ("Négatif", None),
        ("-", None),
        ("", None),
    ],
)
def test_ranges_are_read_only_when_they_are_certain(text: str, bounds: tuple[str | None, str | None] | None) -> None:
    assert bounds_of(text) == bounds


def test_a_range_may_repeat_the_unit() -> None:
    assert bounds_of("12 - 16 g/dL", "g/dL") == ("12", "16")


def test_bounds_in_the_wrong_order_stay_text() -> None:
    assert reference_of("7 - 5.7") == Reference(text="7 - 5.7")


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        (Reference(low="1", high="2", text="de un à deux"), "1 - 2"),
        (Reference(low="1", high="2", text="1 à 2"), "1 à 2"),
        (Reference(high="5"), "< 5"),
        (Reference(low="5"), "> 5"),
        (Reference(text="Négatif"), "Négatif"),
    ],
)
def test_a_written_range_reads_back_to_the_same_bounds(reference: Reference, text: str) -> None:
    assert range_text(reference) == text
    again = reference_of(text)
    assert again is not None
    assert (again.low, again.high) == (reference.low, reference.high)


def test_the_content_decides_the_kind_of_value() -> None:
    assert value_of("Limpide", None, hints(numeric=True)).value == TextValue(text="Limpide")
    assert value_of("12", None, hints()).value == TextValue(text="12")
    assert isinstance(value_of("12", unit_of("g/L"), hints()).value, QuantityValue)
    assert isinstance(value_of("12", None, hints(bounded=True)).value, QuantityValue)
    assert isinstance(value_of("1/80", None, hints()).value, RatioValue)
    assert isinstance(value_of("3-5", None, hints()).value, RangeValue)
    assert isinstance(value_of("0075", unit_of("g/L"), hints()).value, TextValue)
    assert isinstance(value_of("12 croix", None, hints()).value, TextValue)


def test_a_unit_after_the_number_is_taken_when_the_unit_field_is_empty() -> None:
    read = value_of("< 0.12  mg/L", None, hints())
    assert read.value == QuantityValue(number="0.12", comparator="<", text="< 0.12  mg/L")
    assert read.unit is not None
    assert read.unit.raw == "mg/L"


def test_dates_without_separators_need_a_hint() -> None:
    assert value_of("05062024", None, hints(numeric=True)).value == DateTimeValue(at="2024-06-05", text="05062024")
    assert isinstance(value_of("13012020", None, hints(numeric=True)).value, QuantityValue)
    assert isinstance(value_of("13012020", None, hints(numeric=True, dated=True)).value, DateTimeValue)
    at = value_of("05/06/2024 08:15", None, hints()).value
    assert at == DateTimeValue(at="2024-06-05T08:15+02:00", text="05/06/2024 08:15")


@given(st.text(max_size=30))
def test_no_text_breaks_a_reader(text: str) -> None:
    number, measure, bounds = number_of(text), measure_of(text), bounds_of(text)
    for one in (number, measure and measure.number, *(bounds or ())):
        assert one is None or DECIMAL.match(one)
    value_of(text, None, hints(numeric=True))


@pytest.mark.parametrize(
    ("text", "pivot", "value"),
    [
        ("14/03/1957", 30, "1957-03-14"),
        ("01/11/48", 24, "1948-11-01"),
        ("01/11/08", 24, "2008-11-01"),
        ("1957-03-14", 30, "1957-03-14"),
        ("14.03.1957", 30, "1957-03-14"),
        ("14/20/1957", 30, "1957"),
        ("14/55/57", 30, "1957"),
        ("00/03/1957", 30, "1957-03"),
        ("31/02/1957", 30, "1957-02-31"),
        ("14/03/0057", 30, None),
        ("n'importe", 30, None),
    ],
)
def test_french_days(text: str, pivot: int, value: str | None) -> None:
    day = read_day(text, pivot)
    assert (day and day.value) == value


def test_a_date_among_other_signs() -> None:
    assert find_day("M-5128-23/10/06") == "23/10/06"
    assert find_day("du 01/02/2024 au 03/02/2024") is None


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("20240605", "2024-06-05"),
        ("202406", "2024-06"),
        ("20240600", "2024-06"),
        ("2024", "2024"),
        ("202406050815", "2024-06-05T08:15+02:00"),
        ("20240105081530", "2024-01-05T08:15:30+01:00"),
        ("2024060508", "2024-06-05"),
        ("202406050815+0000", "2024-06-05T08:15+00:00"),
        ("20241305", None),
        ("202406059915", None),
        ("05062024", None),
        ("hier", None),
    ],
)
def test_stamps_get_the_offset_of_legal_time(stamp: str, moment: str | None) -> None:
    assert read_stamp(stamp, PARIS) == moment
    if moment is not None:
        assert PARTIAL_DATE_TIME.match(moment)


def test_times_are_written_in_legal_time() -> None:
    assert write_stamp("2024-06-05T06:15:00Z", PARIS) == "20240605081500"
    assert write_stamp("2024-06", PARIS) == "202406"
    assert write_day("2024-01-01T23:30Z", PARIS) == "02/01/2024"
    assert write_day("1957-03", PARIS) == "00/03/1957"
    assert write_moment("2024-06-05T06:15Z", PARIS) == "05/06/2024 08:15"
