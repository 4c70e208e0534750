"""Dates as people write them, and moments as the journal compares them: microseconds since the epoch."""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mappings.contracts import PARIS


def beginning(text: str, zone: ZoneInfo = PARIS) -> int:
    """Give the moment at which a partial date-time begins; without an offset it is in `zone`.

    Raises ValueError for a date that the calendar does not have.
    """
    return _micros(_parsed(text, zone)[0])


def ending(text: str, zone: ZoneInfo = PARIS) -> int:
    """Give the moment just after a partial date-time: a day lasts until its midnight (FHIR Period.end is inclusive)."""
    start, length = _parsed(text, zone)
    if length is None:
        return _micros(start)
    after = start.replace(tzinfo=None) + length
    return _micros(after.replace(tzinfo=start.tzinfo))


def _parsed(text: str, zone: ZoneInfo) -> tuple[datetime, timedelta | None]:
    date, _, clock = text.partition("T")
    parts = [int(part) for part in date.split("-")]
    year, month, day = parts[0], parts[1] if len(parts) > 1 else 1, parts[2] if len(parts) > 2 else 1
    if clock:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=zone)), None
    start = datetime(year, month, day, tzinfo=zone)
    if len(parts) == 3:
        return start, timedelta(days=1)
    days = calendar.monthrange(year, month)[1] if len(parts) == 2 else 365 + calendar.isleap(year)
    return start, timedelta(days=days)


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
