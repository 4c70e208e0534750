"""Dates and times as HPRIM writes them, and the ISO 8601 of the canonical model.

HPRIM Médecin has French days (`05/06/2024`), HPRIM Santé has `AAAAMM[JJ[HHMM[SS]]]`; neither has a zone: both are in
the legal time of the sender, which the reader is given.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

DEFAULT_PIVOT = 30
"""Two-digit years above this are of the 1900s when nothing better is known."""

_FRENCH = re.compile(r"(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4}|\d{2})")
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ].*)?")
_GLUED = re.compile(r"(\d{2})(\d{2})((?:18|19|20)\d{2})")
_EMBEDDED = re.compile(r"(?<!\d)(\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})|\d{4}-\d{2}-\d{2})(?!\d)")
_STAMP = re.compile(r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2}))?)?)?)?)?(?:\.\d+)?([+-]\d{4})?")
_MOMENT = re.compile(r"(\d{2}/\d{2}/\d{4}) (\d{2}):([0-5]\d)(?::([0-5]\d))?")
_TIME = re.compile(r"T(\d{2}):(\d{2})(?::(\d{2}))?")


class Day(NamedTuple):
    """A day as read: `value` is ISO 8601; `short_year` had two digits; `cut` when a part that cannot be was dropped."""

    value: str
    short_year: bool
    cut: bool


def read_day(text: str, pivot: int = DEFAULT_PIVOT) -> Day | None:
    """Read a whole text as a day: `dd/mm/yyyy`, `dd/mm/yy`, `yyyy-mm-dd`; None when it is something else.

    `pivot` decides two-digit years: above it they are of the 1900s, else of the 2000s. Months that do not exist
    (registers number unknown ones 20, 30-42, 50-99) cut the date at its year; days that do not, at its month.
    """
    stripped = text.strip()
    if iso := _ISO.fullmatch(stripped):
        return _day(iso[1], iso[2], iso[3], short=False)
    if french := _FRENCH.fullmatch(stripped):
        year, short = french[3], len(french[3]) == 2
        if short:
            year = f"{'19' if int(year) > pivot else '20'}{year}"
        return _day(year, french[2].zfill(2), french[1].zfill(2), short=short)
    return None


def _day(year: str, month: str, day: str, *, short: bool) -> Day | None:
    if not 1800 <= int(year) <= 2200:
        return None
    if not 1 <= int(month) <= 12:
        return Day(year, short, cut=True)
    if not 1 <= int(day) <= 31:
        return Day(f"{year}-{month}", short, cut=True)
    return Day(f"{year}-{month}-{day}", short, cut=False)


def find_day(text: str) -> str | None:
    """Find the one day inside a longer text (`M-5128-23/10/06`), as written; None when there is none, or several."""
    found = _EMBEDDED.findall(text)
    return str(found[0]) if len(found) == 1 else None


def french_day(text: str) -> str | None:
    """Read a complete, certain day (`05/06/2024`, `2024-06-05`, `05062024`) as ISO 8601, else None."""
    if len(text) == 8 and (glued := _GLUED.fullmatch(text)):
        text = f"{glued[1]}/{glued[2]}/{glued[3]}"
    day = read_day(text) if len(text) == 10 else None
    return day.value if day and len(day.value) == 10 and _exists(day.value) else None


def french_moment(text: str, zone: ZoneInfo) -> str | None:
    """Read a French day and time (`05/06/2024 08:15`) as ISO 8601 with the offset of `zone`, else None."""
    found = _MOMENT.fullmatch(text)
    day = french_day(found[1]) if found else None
    if found is None or day is None or int(found[2]) > 23:
        return None
    moment = datetime.fromisoformat(f"{day}T{found[2]}:{found[3]}:{found[4] or '00'}").replace(tzinfo=zone)
    return moment.isoformat(timespec="seconds" if found[4] else "minutes")


def write_moment(moment: str, zone: ZoneInfo) -> str:
    """Write a partial date or time as a French day, followed by the time of day when there is one."""
    if "T" not in moment:
        return write_day(moment, zone)
    seconds = _TIME.search(moment)
    return local_time(moment, zone).strftime("%d/%m/%Y %H:%M:%S" if seconds and seconds[3] else "%d/%m/%Y %H:%M")


def _exists(day: str) -> bool:
    try:
        datetime.fromisoformat(day)
    except ValueError:
        return False
    return True


def write_day(moment: str, zone: ZoneInfo) -> str:
    """Write a partial date or time as `dd/mm/yyyy` in the legal time of `zone`; unknown parts are `00`."""
    if "T" in moment:
        moment = local_time(moment, zone).date().isoformat()
    year, month, day = [*moment.split("-"), "00", "00"][:3]
    return f"{day}/{month}/{year}"


def read_stamp(text: str, zone: ZoneInfo) -> str | None:
    """Read `AAAA[MM[JJ[HHMM[SS]]]]` as ISO 8601 with the offset of `zone` at that moment; None when it is not one.

    `00` for a month or a day, and an hour without minutes, cut the date there: nothing is made up.
    """
    found = _STAMP.fullmatch(text.strip())
    if found is None or not 1800 <= int(found[1]) <= 2200:
        return None
    year, month, day, hour, minute, second, offset = found.groups()
    if month is None or month == "00":
        return year
    if not 1 <= int(month) <= 12:
        return None
    if day is None or day == "00":
        return f"{year}-{month}"
    if not 1 <= int(day) <= 31:
        return None
    if hour is None or minute is None:
        return f"{year}-{month}-{day}"
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=zone)
    except ValueError:
        return None
    if offset:
        naive = moment.replace(tzinfo=None).isoformat(timespec="seconds" if second else "minutes")
        return f"{naive}{offset[:3]}:{offset[3:]}"
    return moment.isoformat(timespec="seconds" if second else "minutes")


def write_stamp(moment: str, zone: ZoneInfo) -> str:
    """Write a partial date or time as `AAAA[MM[JJ[HHMM[SS]]]]` in the legal time of `zone`."""
    if "T" not in moment:
        return moment.replace("-", "")
    seconds = _TIME.search(moment)
    return local_time(moment, zone).strftime("%Y%m%d%H%M%S" if seconds and seconds[3] else "%Y%m%d%H%M")


def local_time(moment: str, zone: ZoneInfo) -> datetime:
    """Turn an ISO 8601 date and time into the legal time of `zone`; without an offset it is already there."""
    read = datetime.fromisoformat(moment)
    return read.replace(tzinfo=zone) if read.tzinfo is None else read.astimezone(zone)
