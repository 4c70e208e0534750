"""What flowed in a day, a week or a month, by stretches; and what usually flows in each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from router.journal.flow_hours import HOUR, hourly
from router.journal.queries_rates import CANCELLED, DEAD, ENDED, RECEIVED, SERIES, Bin
from router.journal.view import View
from router.watch.profile import HOUR as HOUR_SECONDS, Profile, Usually
from router.watch.signs import WEEKS

LIVE_HOURS = 3
"""Hours that a page counts itself at most: the present one, and what the router has not come to yet."""

WEEK_DAYS, MONTH_DAYS = 7, 30
QUARTER = 6
"""Hours of one stretch of a month: night, morning, afternoon, evening."""


class Period(StrEnum):
    """How far back a chart looks: a day by quarters of an hour, a week by hours, a month by quarters of a day."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @classmethod
    def of(cls, text: str | None) -> Period:
        """Give a period by its name; a day for what is none."""
        return cls(text) if text in set(cls) else cls.DAY


@dataclass(frozen=True, slots=True)
class History:
    """Stretches, oldest first. `complete` once every hour of them was counted."""

    period: Period
    bins: tuple[Bin, ...]
    complete: bool


def history_of(view: View, period: Period, now: int, zone: ZoneInfo, *, source: str | None = None) -> History:
    """Give the stretches of a week or a month; of one source only what was received from it."""
    starts = list(_starts(period, now, zone))
    ends = [*starts[1:], now // HOUR + 1]
    series = SERIES if source is None else (RECEIVED,)
    hours = hourly(view, series, starts[0], ends[-1], name=source, live=LIVE_HOURS)
    bins = []
    for start, end in zip(starts, ends, strict=True):
        received, ended, dead, cancelled = (
            sum(hours.of(series, hour) for hour in range(start, end)) for series in (RECEIVED, ENDED, DEAD, CANCELLED)
        )
        bins.append(Bin(start * HOUR, (end - start) * 60, received, max(0, ended - dead - cancelled), dead))
    return History(period, tuple(bins), hours.complete)


def _starts(period: Period, now: int, zone: ZoneInfo) -> Iterator[int]:
    """Give the hours in which stretches begin, in the reader's zone where they are longer than an hour."""
    current = now // HOUR
    days = WEEK_DAYS if period is Period.WEEK else MONTH_DAYS
    hours = range(current - days * 24 + 1, current + 1)
    if period is Period.WEEK:
        yield from hours
        return
    for hour in hours:
        before, local = (datetime.fromtimestamp(one * HOUR_SECONDS, zone) for one in (hour - 1, hour))
        if hour == hours[0] or (local.date(), local.hour // QUARTER) != (before.date(), before.hour // QUARTER):
            yield hour


def usual_profile(view: View, now: int, zone: ZoneInfo, *, source: str | None = None) -> Profile:
    """Learn what one source usually sends, or all together, the present hour excluded."""
    current = now // HOUR
    found = hourly(view, (RECEIVED,), current - WEEKS * 7 * 24, current, name=source, live=LIVE_HOURS)
    return Profile(found.counts[RECEIVED], current, zone)


def usual_of(profile: Profile | None, bins: Sequence[Bin], now: int) -> list[Usually | None]:
    """Give what each stretch usually brings, the last one until now; None throughout while too little is known."""
    if profile is None:
        return [None] * len(bins)
    found = []
    for one in bins:
        start = datetime.fromtimestamp(one.start / 1_000_000, UTC)
        end = min(start + timedelta(minutes=one.minutes), datetime.fromtimestamp(now / 1_000_000, UTC))
        found.append(profile.usually(start, end))
    return found
