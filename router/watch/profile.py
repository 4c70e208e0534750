"""What a source usually sends: learned from the journal by hour, aware of weekdays and public holidays.

A silence is judged by how unlikely it is: the messages that usually come in that time, divided by how much hours that
are alike differ among themselves (a batch of forty files at once is one event, not forty).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import fmean, pvariance
from zoneinfo import ZoneInfo

from router.watch.calendar import DayKind, day_kind

HOUR = 3600
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


class Profile:
    """One source's profile. `counts` are messages by hour, the hour as seconds since 1970 divided by 3600.

    Hours without a message count as empty from the first hour that is known to `until`, excluded.
    """

    def __init__(self, counts: Mapping[int, int], until: int, zone: ZoneInfo) -> None:
        self._zone = zone
        self._weekdays: dict[tuple[int, int], list[int]] = defaultdict(list)
        self._kinds: dict[tuple[DayKind, int], list[int]] = defaultdict(list)
        self._days: set[date] = set()
        for number in range(min(counts, default=until), until):
            local = datetime.fromtimestamp(number * HOUR, zone)
            kind, seen = day_kind(local.date()), counts.get(number, 0)
            self._days.add(local.date())
            self._kinds[kind, local.hour].append(seen)
            if kind is not DayKind.SUNDAY or local.weekday() == 6:
                self._weekdays[local.weekday(), local.hour].append(seen)

    @property
    def known(self) -> bool:
        """Whether enough was seen to expect anything."""
        return len(self._days) >= LEAST_DAYS

    def usual(self, at: datetime) -> Usual:
        """Give what the hour of a moment usually brings."""
        local = at.astimezone(self._zone)
        kind = day_kind(local.date())
        alike = self._kinds.get((kind, local.hour), [])
        if kind is not DayKind.SUNDAY or local.weekday() == 6:
            same = self._weekdays.get((local.weekday(), local.hour), [])
            alike = same if len(same) >= LEAST_WEEKDAYS else alike
        if not alike:
            return Usual(0.0, 1.0)
        mean = fmean(alike)
        return Usual(mean, max(1.0, pvariance(alike) / mean) if mean else 1.0)

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
