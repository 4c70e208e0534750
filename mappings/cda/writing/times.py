"""Dates and times as CDA writes them (TS): the precision of the source, and its own offset from UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from mappings.cda.writing.markup import NULL

_MOMENT = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?)?)?)?", re.ASCII
)


@lru_cache(maxsize=4096)
def stamp(moment: str, zone: ZoneInfo) -> str | None:
    """Write a partial date or time as TS; a time without an offset gets that of the legal time of `zone`.

    None when it is not a date or has a month or day that no calendar has.
    """
    found = _MOMENT.fullmatch(moment)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    if not _exists(int(year), int(month or 1), int(day or 1)) or (hour and int(hour) > 23):
        return None
    if hour is None:
        return f"{year}{month or ''}{day or ''}"
    if offset is None:
        offset = datetime.fromisoformat(moment).replace(tzinfo=zone).strftime("%z")
    shown = "+0000" if offset == "Z" else offset.replace(":", "")
    return f"{year}{month}{day}{hour}{minute}{second or ''}{fraction or ''}{shown[:5]}"


def stamp_of(moment: datetime, zone: ZoneInfo) -> str:
    """Write an instant in the legal time of `zone`, with its offset."""
    return moment.astimezone(zone).strftime("%Y%m%d%H%M%S%z")


def _exists(year: int, month: int, day: int) -> bool:
    try:
        datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return False
    return True


def ts(tag: str, moment: str | None, zone: ZoneInfo, attributes: str = "") -> str:
    """Write a TS; a null flavour when there is no moment, or none that a calendar has."""
    value = stamp(moment, zone) if moment else None
    return f"<{tag}{attributes}{NULL}/>" if value is None else f'<{tag}{attributes} value="{value}"/>'


def interval(tag: str, start: str | None, end: str | None, zone: ZoneInfo, attributes: str = "") -> str:
    """Write an IVL_TS with the ends that are known; a null flavour when neither is."""
    low = ts("low", start, zone) if start and stamp(start, zone) else ""
    high = ts("high", end, zone) if end and stamp(end, zone) else ""
    return f"<{tag}{attributes}>{low}{high}</{tag}>" if low or high else f"<{tag}{attributes}{NULL}/>"
