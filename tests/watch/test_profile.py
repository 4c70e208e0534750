"""What a source usually sends, and when its silence is worth an alarm."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from router.watch.calendar import DayKind, day_kind, easter_sunday, holidays
from router.watch.profile import HOUR, Profile

PARIS = ZoneInfo("Europe/Paris")
MONDAY = datetime(2026, 3, 2, tzinfo=PARIS)
"""Six weeks without a public holiday follow, and the change to summer time."""


def hour(at: datetime) -> int:
    return int(at.timestamp()) // HOUR


def office_hours(weeks: int, per_hour: int = 35, saturday: int = 6) -> dict[int, int]:
    counts = {}
    for day in range(7 * weeks):
        for clock in range(24):
            at = (MONDAY + timedelta(days=day)).replace(hour=clock)
            if 8 <= clock < 18 and at.weekday() < 5:
                counts[hour(at)] = per_hour + (clock % 3) - 1
            elif 8 <= clock < 12 and at.weekday() == 5:
                counts[hour(at)] = saturday
    return counts


def profile(weeks: int = 3, **how: int) -> Profile:
    return Profile(office_hours(weeks, **how), hour(MONDAY + timedelta(days=7 * weeks)), PARIS)


def at(day: int, clock: float) -> datetime:
    """A moment of the fourth week, by day (0 is Monday) and hour of the clock."""
    midnight = datetime(2026, 3, 23, tzinfo=PARIS) + timedelta(days=day)
    return midnight.replace(hour=int(clock), minute=round(clock % 1 * 60))


def test_an_hour_of_a_weekday_expects_what_it_usually_brings() -> None:
    assert profile().expected(at(1, 9), at(1, 10)) == pytest.approx(34)
    assert profile().expected(at(1, 8.5), at(1, 9)) == pytest.approx(18)
    assert profile().expected(at(5, 8), at(5, 12)) == pytest.approx(24)
    assert profile().expected(at(6, 0), at(6, 23)) == 0
    assert profile().expected(at(1, 2), at(1, 6)) == 0


def test_a_silence_of_a_busy_hour_is_told_and_a_night_is_not() -> None:
    found = profile().silence(at(1, 8.67), at(1, 9.67), 0.001)
    assert found is not None
    assert found.expected == pytest.approx(35, abs=1)
    assert profile().silence(at(1, 8.67), at(1, 8.75), 0.001) is None
    assert profile().silence(at(1, 17.98), at(2, 7.9), 0.001) is None


def test_a_weekend_is_not_a_silence_but_monday_morning_is() -> None:
    assert profile().silence(at(4, 17.95), at(5, 7), 0.001) is None
    assert profile().silence(at(5, 11.9), at(7, 7.9), 0.001) is None
    assert profile().silence(at(5, 11.9), at(7, 9.0), 0.001) is not None


def test_a_public_holiday_is_like_a_sunday() -> None:
    easter_monday = datetime(2026, 4, 6, 15, tzinfo=PARIS)
    assert profile(5).silence(datetime(2026, 4, 4, 11, tzinfo=PARIS), easter_monday, 0.001) is None


def test_a_source_that_sends_in_batches_may_be_quiet_longer() -> None:
    steady = {hour(MONDAY + timedelta(hours=number)): 10 for number in range(24 * 21)}
    batches = {hour(MONDAY + timedelta(hours=number)): 120 for number in range(0, 24 * 21, 12)}
    until, start = hour(MONDAY + timedelta(days=21)), MONDAY + timedelta(days=21)
    two_hours = start + timedelta(hours=2)
    assert Profile(steady, until, PARIS).silence(start, two_hours, 0.001) is not None
    shifted = {hour(MONDAY + timedelta(hours=number * 12 + number % 5)): 120 for number in range(42)}
    assert Profile(shifted, until, PARIS).silence(start, two_hours, 0.001) is None
    assert Profile(batches, until, PARIS).silence(start, two_hours, 1e-60) is None


def test_nothing_is_expected_of_who_is_hardly_known() -> None:
    counts = {hour(MONDAY + timedelta(hours=number)): 50 for number in range(40)}
    young = Profile(counts, hour(MONDAY + timedelta(hours=40)), PARIS)
    assert not young.known
    assert young.silence(MONDAY + timedelta(hours=40), MONDAY + timedelta(hours=60), 0.5) is None
    assert not Profile({}, 10, PARIS).known


@given(start=st.integers(0, 24 * 7 * 60), length=st.integers(0, 24 * 60), cut=st.floats(0, 1))
def test_what_is_expected_of_two_parts_is_what_is_expected_of_the_whole(start: int, length: int, cut: float) -> None:
    learned = profile()
    begin = at(0, 0).astimezone(UTC) + timedelta(minutes=start)
    end = begin + timedelta(minutes=length)
    middle = begin + (end - begin) * cut
    parts = learned.expected(begin, middle) + learned.expected(middle, end)
    assert parts == pytest.approx(learned.expected(begin, end), abs=1e-3)


@pytest.mark.parametrize(
    ("year", "easter"),
    [(2024, date(2024, 3, 31)), (2025, date(2025, 4, 20)), (2026, date(2026, 4, 5)), (2038, date(2038, 4, 25))],
)
def test_easter(year: int, easter: date) -> None:
    assert easter_sunday(year) == easter


def test_days() -> None:
    assert day_kind(date(2026, 5, 14)) is DayKind.SUNDAY  # Ascension
    assert day_kind(date(2026, 5, 25)) is DayKind.SUNDAY  # Whit Monday
    assert day_kind(date(2026, 3, 7)) is DayKind.SATURDAY
    assert day_kind(date(2026, 3, 6)) is DayKind.WORKING
    assert len(holidays(2026)) == 11
