"""Days as traffic knows them: working days, Saturdays, and Sundays with France's public holidays."""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache


class DayKind(StrEnum):
    """What kind of a day it is."""

    WORKING = "working"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


_FIXED = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
_AFTER_EASTER = (1, 39, 50)
"""Easter Monday, Ascension, Whit Monday: days after Easter (article L.3133-1 of the labour code)."""


def day_kind(day: date) -> DayKind:
    """Say what kind of a day it is; a public holiday counts as a Sunday."""
    if day.weekday() == 6 or day in holidays(day.year):
        return DayKind.SUNDAY
    return DayKind.SATURDAY if day.weekday() == 5 else DayKind.WORKING


@lru_cache(maxsize=16)
def holidays(year: int) -> frozenset[date]:
    """Give metropolitan France's public holidays of a year."""
    easter = easter_sunday(year)
    fixed = {date(year, month, day) for month, day in _FIXED}
    return frozenset(fixed | {easter + timedelta(days=after) for after in _AFTER_EASTER})


def easter_sunday(year: int) -> date:
    """Give Easter Sunday of a Gregorian year (the anonymous computus of 1876)."""
    golden, century, rest = year % 19, year // 100, year % 100
    leap, quarter = divmod(century, 4)
    moon = (19 * golden + century - leap - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * quarter + 2 * (rest // 4) - moon - rest % 4) % 7
    correction = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * correction + 114, 31)
    return date(year, month, day + 1)
