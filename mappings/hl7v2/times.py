"""Dates and times: HL7 TS, DTM, DT and TM to ISO 8601 text and back, with the precision that was sent.

A time without an offset is local to the sender: it gets the offset that the zone of the reading had then.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

_TS = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6})\d*)?)?)?)?)?)?\s*(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_TM = re.compile(r"(\d\d)(?:(\d\d)(?:(\d\d)(?:\.\d+)?)?)?\s*([+-]\d{4})?", re.ASCII)
_ISO = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII)


@lru_cache(maxsize=8192)
def moment(raw: str, zone: ZoneInfo) -> str | None:
    """Read a TS (`20260105083000+0100`, cut anywhere) as ISO 8601; None when it is no date.

    An hour without minutes is read as that hour sharp: ISO has no shorter time. A day or month `00` is an unknown one.
    """
    found = _TS.fullmatch(raw)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    if year == "0000":
        return None
    if month is None or month == "00":
        return year
    if day is None or day == "00":
        return f"{year}-{month}" if "01" <= month <= "12" else None
    try:
        at = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=zone)
    except ValueError:
        return None
    date = f"{year}-{month}-{day}"
    if hour is None:
        return date
    time = f"{date}T{hour}:{minute or '00'}"
    if second is not None:
        time += f":{second}.{fraction}" if fraction else f":{second}"
    if offset is None:
        offset = at.strftime("%z")
    return time + _offset(offset) if _sound(offset) else None


def time_of_day(raw: str) -> str | None:
    """Read a TM (`0830`, `083015`) as `HH:MM[:SS]`; None when it is no time."""
    found = _TM.fullmatch(raw)
    if found is None or found[1] > "23" or (found[2] or "00") > "59" or (found[3] or "00") > "59":
        return None
    return f"{found[1]}:{found[2] or '00'}" + (f":{found[3]}" if found[3] else "")


def birth_date(raw: str) -> tuple[str | None, bool]:
    """Read PID-7 as a partial date, and say whether the calendar knows that day.

    A lunar date (`19582015`, `19580230`) is an identity trait like any other: it is kept as it is.
    """
    digits = raw[:8]
    if len(digits) not in (4, 6, 8) or not (digits.isascii() and digits.isdigit()) or digits[:4] == "0000":
        return None, False
    year, month, day = digits[:4], digits[4:6], digits[6:8]
    if month in ("", "00"):
        return year, True
    if day in ("", "00"):
        return f"{year}-{month}", "01" <= month <= "12"
    text = f"{year}-{month}-{day}"
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return text, False
    return text, True


def stamp(iso: str) -> str:
    """Write an ISO 8601 partial date or date-time as a TS; empty when it is not one."""
    found = _ISO.fullmatch(iso)
    if found is None:
        return ""
    *digits, fraction, offset = found.groups()
    text = "".join(part for part in digits if part) + (fraction or "")[:5]
    return text + ("+0000" if offset == "Z" else (offset or "").replace(":", ""))


def _offset(raw: str) -> str:
    if raw == "Z":
        return raw
    return raw if ":" in raw else f"{raw[:3]}:{raw[3:5]}"


def _sound(offset: str) -> bool:
    return offset == "Z" or (offset[1:3] <= "14" and offset[-2:] <= "59")
