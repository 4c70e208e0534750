"""Numbers, sizes, durations and times as people of each language read them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from router.journal.queries_lines import PatientLine
from router.journal.view import Capped
from router.web.formatting import Formats
from router.web.masking import masked, unmasked
from router.web.texts import Texts

PARIS = ZoneInfo("Europe/Paris")


def micros(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=PARIS).timestamp() * 1_000_000)  # type: ignore[misc,arg-type] # parts of a date


NOW = micros(2026, 11, 22, 10, 30)
FR, EN = (Formats(Texts.of(language), PARIS, NOW) for language in ("fr", "en"))


def folded(text: object) -> str:
    return str(text).replace("\u202f", " ").replace("\xa0", " ")


def test_numbers() -> None:
    assert folded(FR.number(1234567)) == "1 234 567"
    assert EN.number(1234567) == "1,234,567"
    assert folded(FR.capped(Capped(1000, more=True))) == "1 000+"
    assert FR.capped(Capped(3)) == "3"
    assert folded(FR.decimal(1234.56)) == "1 234,6"
    assert EN.decimal(2.0) == "2"


@pytest.mark.parametrize(
    ("count", "french", "english"),
    [
        (0, "0 octet", "0 byte"),
        (1, "1 octet", "1 byte"),
        (999, "999 octets", "999 bytes"),
        (1400, "1,4 ko", "1.4 kB"),
        (123_456, "123 ko", "123 kB"),
        (5_365_256_192, "5,4 Go", "5.4 GB"),
        (10**16, "10 000 To", "10,000 TB"),
    ],
)
def test_sizes(count: int, french: str, english: str) -> None:
    assert folded(FR.size(count)) == french
    assert folded(EN.size(count)) == english


@pytest.mark.parametrize(
    ("duration", "french"),
    [
        (0, "< 1 ms"),
        (3_000, "3 ms"),
        (100_000, "0,1 s"),
        (840_000, "0,8 s"),
        (12_400_000, "12 s"),
        (59_999_999, "60 s"),
        (3_599_000_000, "59 min"),
        (7_500_000_000, "2 h 05"),
        (86_400_000_000 * 3, "3 j"),
        (-5, "< 1 ms"),
    ],
)
def test_durations(duration: int, french: str) -> None:
    assert folded(FR.duration(duration)) == french


@pytest.mark.parametrize(
    ("moment", "french", "english"),
    [
        (NOW, "à l’instant", "just now"),
        (NOW - 12_000_000, "il y a 12 s", "12 s ago"),
        (NOW - 3_599_000_000, "il y a 59 min", "59 min ago"),
        (micros(2026, 11, 22, 9, 5), "09:05", "09:05"),
        (micros(2026, 11, 21, 23, 59), "hier 23:59", "yesterday 23:59"),
        (micros(2026, 3, 5, 8, 10), "5 mars 08:10", "5 Mar 08:10"),
        (micros(2025, 11, 22, 10, 30), "22/11/2025", "2025-11-22"),
        (NOW + 30_000_000, "dans 30 s", "in 30 s"),
        (NOW + 7_200_000_000, "12:30", "12:30"),
    ],
)
def test_times(moment: int, french: str, english: str) -> None:
    assert folded(FR.short(moment)) == french
    assert folded(EN.short(moment)) == english


def test_since() -> None:
    assert folded(FR.since(NOW - 61_000_000)).endswith(">depuis 1 min</time>")
    assert folded(EN.since(micros(2026, 11, 22, 8, 0))).endswith(">since 08:00</time>")
    assert FR.since(None) == ""


def test_times_are_exact_on_hover() -> None:
    shown = FR.time(micros(2026, 11, 22, 10, 12) + 4_123_000)
    assert 'datetime="2026-11-22T09:12:04+00:00"' in shown
    assert 'title="22/11/2026 10:12:04,123 Europe/Paris"' in shown
    assert FR.time(None) == "–"


def test_the_hour_that_comes_twice_is_told_apart_on_hover() -> None:
    summer = int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp() * 1_000_000)
    winter = summer + 3_600_000_000
    assert FR.clock(summer) == FR.clock(winter) == "02:30:00"
    assert FR.time(summer) != FR.time(winter), "the machine's own time differs"


@pytest.mark.parametrize(
    ("text", "french", "english"),
    [
        ("1979", "1979", "1979"),
        ("1979-03", "03/1979", "1979-03"),
        ("1979-03-05", "05/03/1979", "1979-03-05"),
        ("2026-11-22T08:10:00+01:00", "22/11/2026 08:10", "2026-11-22 08:10"),
        (None, "", ""),
    ],
)
def test_canonical_dates(text: str | None, french: str, english: str) -> None:
    assert FR.partial(text) == french
    assert EN.partial(text) == english


@pytest.mark.parametrize(
    ("per_minute", "french"),
    [(0, "–"), (0.05, "3/h"), (0.5, "30/h"), (4.4, "4,4/min"), (30, "30/min"), (61_234, "1 021/s")],
)
def test_rates(per_minute: float, french: str) -> None:
    assert folded(FR.rate(per_minute)) == french


@given(st.integers(min_value=0, max_value=4_000_000_000_000_000))
def test_any_moment_can_be_written(moment: int) -> None:
    for formats in (FR, EN):
        assert formats.short(moment)
        assert str(formats.local(moment).year) in formats.exact(moment)


def test_masks_show_initials_and_a_year() -> None:
    assert masked(PatientLine("TESTROSE", "Rose", "1931-05-12", "F")) == "R••• T•••, 1931"
    assert masked(PatientLine("", "", "1931", "")) == "1931"
    assert masked(PatientLine("TESTROSE")) == "T•••"
    assert masked(PatientLine()) == ""
    assert unmasked(PatientLine("TESTROSE", "Rose")) == "TESTROSE Rose"


@given(st.text(max_size=40), st.text(max_size=40), st.text(alphabet="0123456789-", max_size=10))
def test_a_mask_keeps_but_one_letter_a_name(family: str, given_name: str, birth: str) -> None:
    shown = masked(PatientLine(family, given_name, birth))
    longer = masked(PatientLine(family.strip()[:1] + "X" * 30, given_name.strip()[:1], birth))
    if family.strip():
        assert shown == longer, "two names with the same initials look the same"
