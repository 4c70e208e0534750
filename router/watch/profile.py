"""What a source usually sends: learned from the journal by hour, aware of weekdays and public holidays.

A silence is judged by how unlikely it is: the messages that usually come in that time, divided by how much hours that
are alike differ among themselves (a batch of forty files at once is one event, not forty).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import fmean, pvariance
from zoneinfo import ZoneInfo

from router.watch.calendar import DayKind, day_kind

HOUR = 3600
SUNDAY = 6
"""As `weekday` counts."""

LEAST_WEEKDAYS = 3
"""Hours of one weekday that must be known before it is told apart from other days of its kind."""

LEAST_DAYS = 3
"""Days that must be known before anything is expected at all."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What an hour usually brings: messages, and how many come together (1: each by itself)."""

    mean: float
    together: float


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing came for a while: how many messages usually would have, and how likely that is by chance."""

    since: datetime
    expected: float
    chance: float


@dataclass(frozen=True, slots=True)
class Usually:
    """What a time usually brings: the mean, and the range that holds it nine times in ten."""

    mean: float
    low: float
    high: float


NINE_IN_TEN = 1.645
"""Standard deviations on either side that hold nine values in ten."""


class Profile:
    """One source's profile, or that of several together.

    `counts` are messages by hour, the hour as seconds since 1970 divided by 3600.
    Hours without a message count as empty from the first hour that is known to `until`, excluded.
    """

    def __init__(self, counts: Mapping[int, int], until: int, zone: ZoneInfo) -> None:
        self._zone = zone
        self._seen: dict[tuple[DayKind | int, int], list[int]] = defaultdict(list)
        self._days: set[date] = set()
        self._usual: dict[tuple[DayKind | int, int], Usual] = {}
        for number in range(min(counts, default=until), until):
            local = datetime.fromtimestamp(number * HOUR, zone)
            kind, seen = day_kind(local.date()), counts.get(number, 0)
            self._days.add(local.date())
            self._seen[kind, local.hour].append(seen)
            if kind is not DayKind.SUNDAY or local.weekday() == SUNDAY:
                self._seen[local.weekday(), local.hour].append(seen)

    @property
    def known(self) -> bool:
        """Whether enough was seen to expect anything."""
        return len(self._days) >= LEAST_DAYS

    @property
    def days(self) -> int:
        """How many days were seen."""
        return len(self._days)

    def usual(self, at: datetime) -> Usual:
        """Give what the hour of a moment usually brings."""
        local = at.astimezone(self._zone)
        kind = day_kind(local.date())
        is_itself = kind is not DayKind.SUNDAY or local.weekday() == SUNDAY
        return self._usual_of(kind, local.weekday() if is_itself else None, local.hour)

    def week(self) -> list[list[Usual]]:
        """Give what the hours of a week without public holidays usually bring: seven days from Monday on."""
        kinds = [DayKind.WORKING] * 5 + [DayKind.SATURDAY, DayKind.SUNDAY]
        return [[self._usual_of(kind, day, hour) for hour in range(24)] for day, kind in enumerate(kinds)]

    def _usual_of(self, kind: DayKind, weekday: int | None, hour: int) -> Usual:
        """Look among hours of the same weekday when enough of them were seen, else among those of days of its kind."""
        alike: tuple[DayKind | int, int] = (kind, hour)
        if weekday is not None and len(self._seen.get((weekday, hour), ())) >= LEAST_WEEKDAYS:
            alike = (weekday, hour)
        found = self._usual.get(alike)
        if found is None:
            found = self._usual[alike] = _usual_of(self._seen.get(alike, ()))
        return found

    def usually(self, start: datetime, end: datetime) -> Usually | None:
        """Give what usually comes between two moments, None when too little is known to say so."""
        if not self.known:
            return None
        mean = variance = 0.0
        for share, usual in self._hours(start, end):
            mean += share * usual.mean
            variance += share * usual.mean * usual.together
        reach = NINE_IN_TEN * math.sqrt(variance)
        return Usually(mean, max(0.0, mean - reach), mean + reach)

    def expected(self, start: datetime, end: datetime) -> float:
        """Give how many messages usually come between two moments."""
        return sum(share * usual.mean for share, usual in self._hours(start, end))

    def silence(self, last: datetime, now: datetime, chance: float) -> Silence | None:
        """Give the silence since the last message when it is less likely than `chance`, None otherwise."""
        if not self.known or now <= last:
            return None
        expected = events = 0.0
        for share, usual in self._hours(last, now):
            expected += share * usual.mean
            events += share * usual.mean / usual.together
        likely = math.exp(-events)
        return Silence(last, expected, likely) if likely < chance else None

    def _hours(self, start: datetime, end: datetime) -> list[tuple[float, Usual]]:
        """Cut a time into its hours, each with the share of it that is within; never more than a fortnight."""
        start = max(start, end - timedelta(days=14))
        cut = []
        while start < end:
            following = datetime.fromtimestamp((int(start.timestamp()) // HOUR + 1) * HOUR, start.tzinfo)
            stop = min(following, end)
            cut.append(((stop - start).total_seconds() / HOUR, self.usual(start)))
            start = stop
        return cut


def _usual_of(alike: Sequence[int]) -> Usual:
    if not alike:
        return Usual(0.0, 1.0)
    mean = fmean(alike)
    return Usual(mean, max(1.0, pvariance(alike) / mean) if mean else 1.0)
