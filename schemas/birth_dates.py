"""Birth dates as RNIV writes them: incomplete ones are completed and say so, lunar ones stay texts (EXI PP 19)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

_SHAPE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2}))?", re.ASCII)


class DateKind(StrEnum):
    """What is known of a birth date. A `lunar` one is on no calendar: no arithmetic is done with it."""

    EXACT = "exact"
    ESTIMATED = "estimated"
    LUNAR = "lunar"


class DateFault(StrEnum):
    """Why a text is no birth date."""

    FORMAT = "ERR_FORMAT"
    YEAR = "ERR_YEAR"


@dataclass(frozen=True, slots=True)
class BirthDate:
    """A birth date as the national rules store it (`YYYY-MM-DD`), and how it is known."""

    value: str
    kind: DateKind


def birth_date(text: str) -> BirthDate | DateFault:
    """Complete a birth date: an unknown day or month (`00`, or left out) becomes 01, both unknown 31 December."""
    found = _SHAPE.fullmatch(text) or _PARTIAL.fullmatch(text)
    if found is None:
        return DateFault.FORMAT
    year, month, day = (*found.groups(default="00"), "00")[:3]
    if year == "0000":
        return DateFault.YEAR
    if month == day == "00":
        return BirthDate(f"{year}-12-31", DateKind.ESTIMATED)
    if "00" in (month, day):
        completed = f"{year}-{'01' if month == '00' else month}-{'01' if day == '00' else day}"
        return BirthDate(completed, DateKind.ESTIMATED if _on_calendar(completed) else DateKind.LUNAR)
    value = f"{year}-{month}-{day}"
    return BirthDate(value, DateKind.EXACT if _on_calendar(value) else DateKind.LUNAR)


def _on_calendar(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True
