"""Rates and the day's curve: messages received and Deliveries ended, counted by minute.

Every count comes from the journal. A minute that is over is kept in memory, and counted anew now and then: a Delivery
that a person reopens leaves the minute in which it had ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, func as sql, literal_column, select, text

from router.journal import tables
from router.journal.view import View
from router.journal.walking import paced

MINUTE = 60_000_000
"""Microseconds."""

DAY_MINUTES = 24 * 60
SLICE = 60
"""Minutes counted by one statement when the past is filled in."""

OPEN_MINUTES = 2
"""The last minutes are counted at each refresh: commits may come a little after the time that they bear."""

STALE_SECONDS = 600.0
BUDGET = 0.06
"""Seconds of one refresh: the rest of a page has to fit into its time as well."""

LAST_BUDGET = 0.02
HOUR = 60 * MINUTE

RECEIVED, ENDED, DEAD, CANCELLED = "received", "ended", "dead", "cancelled"
_FAILED = text("delivery.state IN ('retrying', 'held', 'dead', 'cancelled')")
SERIES = (RECEIVED, ENDED, DEAD, CANCELLED)

_Minutes = dict[int, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Bin:
    """A stretch of the curve: its start (microseconds) and what happened in it."""

    start: int
    minutes: int
    received: int
    delivered: int
    failed: int


@dataclass(slots=True)
class Tally:
    """Counts by minute of the last 24 hours. Not shared between threads without a lock."""

    clock: Callable[[], float] = time.monotonic
    counted: dict[str, _Minutes] = field(default_factory=lambda: {name: {} for name in SERIES})
    _slices: dict[int, float] = field(default_factory=dict)
    _open_from: int | None = None

    def refresh(self, view: View, now: int, *, budget: float = BUDGET) -> bool:
        """Bring the counts up to date, for at most about `budget` seconds; True once the whole day is known."""
        deadline = self.clock() + budget
        minute = now // MINUTE
        first = minute - DAY_MINUTES
        self._forget_before(first)
        start = self._open_from if self._open_from is not None else minute - OPEN_MINUTES
        self._count(view, max(first, min(start, minute - OPEN_MINUTES)), minute + 2)
        self._open_from = minute - OPEN_MINUTES
        wanted = range(first // SLICE, self._open_from // SLICE + 1)
        missing = [number for number in reversed(wanted) if number not in self._slices]
        oldest = min(self._slices, key=lambda number: self._slices[number], default=None)
        if not missing and oldest is not None and self.clock() - self._slices[oldest] > STALE_SECONDS:
            missing = [oldest]
        together = 1
        while missing and self.clock() < deadline:
            run = _run(missing, together)
            missing = missing[len(run) :]
            began = self.clock()
            self._count(view, max(first, run[-1] * SLICE), min((run[0] + 1) * SLICE, self._open_from))
            ended = self.clock()
            self._slices.update(dict.fromkeys(run, ended))
            # Twice as much at once, as long as the pace lets it fit: a quiet day is counted by a few statements.
            fits = len(run) * (deadline - ended) / max(ended - began, 1e-6)
            together = max(1, min(2 * len(run), int(fits)))
        return all(number in self._slices for number in wanted)

    def forget(self) -> None:
        """Count everything anew at the next refreshes: rows of the past were changed."""
        for number in self._slices:
            self._slices[number] = float("-inf")

    def per_minute(self, series: str, name: str, now: int, minutes: int) -> float:
        """Give the mean rate over the last minutes, the present one included as far as it has come."""
        last = now // MINUTE
        total = sum(self._of(series, minute, name) for minute in range(last - minutes + 1, last + 1))
        elapsed = (minutes - 1) + (now % MINUTE) / MINUTE
        return total / max(elapsed, 1 / 60)

    def total(self, series: str, name: str, now: int, minutes: int) -> int:
        """Count what happened in the last minutes."""
        last = now // MINUTE
        return sum(self._of(series, minute, name) for minute in range(last - minutes + 1, last + 1))

    def curve(self, series: str, name: str, now: int, minutes: int) -> list[int]:
        """Give the counts of the last minutes, one by one."""
        last = now // MINUTE
        return [self._of(series, minute, name) for minute in range(last - minutes + 1, last + 1)]

    def names(self, series: str) -> set[str]:
        """Give the sources (or destinations) that appear in the day."""
        return {name for counts in self.counted[series].values() for name in counts}

    def bins(self, now: int, minutes: int = 15) -> list[Bin]:
        """Give the day as stretches of so many minutes, oldest first. What was cancelled counts for nothing."""
        last = now // MINUTE
        first = (last - DAY_MINUTES) // minutes * minutes + minutes
        found = []
        for start in range(first, last + 1, minutes):
            received, ended, dead, cancelled = (self._sum(series, start, minutes) for series in SERIES)
            found.append(Bin(start * MINUTE, minutes, received, max(0, ended - dead - cancelled), dead))
        return found

    def _of(self, series: str, minute: int, name: str) -> int:
        return self.counted[series].get(minute, {}).get(name, 0)

    def _sum(self, series: str, start: int, minutes: int) -> int:
        counted = self.counted[series]
        return sum(sum(counted[minute].values()) for minute in range(start, start + minutes) if minute in counted)

    def _forget_before(self, first: int) -> None:
        for minutes in self.counted.values():
            for minute in [minute for minute in minutes if minute < first]:
                del minutes[minute]
        for number in [number for number in self._slices if (number + 1) * SLICE <= first]:
            del self._slices[number]

    def _count(self, view: View, start: int, end: int) -> None:
        """Count the minutes from `start` up to and without `end` anew."""
        if start >= end:
            return
        counted = {series: count_by(view, series, MINUTE, start, end) for series in SERIES}
        for series, rows in counted.items():
            minutes = self.counted[series]
            for number in range(start, end):
                minutes.pop(number, None)
            for number, owner, found in rows:
                minutes.setdefault(number, {})[owner] = found


def _run(numbers: Sequence[int], most: int) -> list[int]:
    """Give the first of these numbers, and those that follow it downwards, at most so many."""
    found = [numbers[0]]
    for number in numbers[1:most]:
        if number != found[-1] - 1:
            break
        found.append(number)
    return found


def count_by(view: View, series: str, stretch: int, first: int, end: int) -> list[tuple[int, str, int]]:
    """Count a series in the stretches from `first` up to and without `end`: the stretch, the name, how many.

    Stretches are numbered from 1970 on, each so many microseconds long. It costs a walk along an index.
    """
    if first >= end:
        return []
    moment, name, conditions = _series(series)
    # Integer division on both databases; SQLAlchemy's own `/` would make it a division of reals.
    number = (moment // literal_column(str(stretch))).label("number")
    statement = (
        select(number, name, sql.count())
        .where(moment >= first * stretch, moment < end * stretch, *conditions)
        .group_by(number, name)
    )
    # PostgreSQL rounds a division down to a real number.
    return [(int(row[0]), row[1], row[2]) for row in view.connection.execute(statement)]


def last_moment(
    view: View, series: str, name: str, *, clock: Callable[[], float] = time.monotonic, budget: float = LAST_BUDGET
) -> int | None:
    """Say when something of a name last flowed: `received` of a source, `ended` of a destination.

    Hours that were counted say where to look; what they do not know is looked for from the newest on, for at most about
    `budget` seconds. None when there is none, or none was found in that time.
    """
    moment, owner, conditions = _series(series)
    hours, counted = tables.flow_hour.c, tables.flow_hour_counted.c
    newest = select(moment).where(owner == name, moment.is_not(None), *conditions).order_by(moment.desc()).limit(1)
    done = view.connection.execute(select(sql.max(counted.hour))).scalar()
    if done is not None:
        mine = (hours.series == series, hours.name == name, hours.counted > 0)
        active = view.connection.execute(select(sql.max(hours.hour)).where(*mine)).scalar()
        ranges = [(done + 1, None)] if active is None else [(done + 1, None), (active, active + 1)]
        for first, end in ranges:
            within = [moment >= first * HOUR, *([] if end is None else [moment < end * HOUR])]
            found = view.connection.execute(newest.where(*within)).scalar()
            if found is not None:
                return int(found)
    number = moment.table.c.id
    top = (view.connection.execute(select(sql.max(number))).scalar() or 0) + 1
    for low, high in paced(top, 0, clock, budget):
        among = select(sql.max(moment)).where(owner == name, number >= low, number < high, *conditions)
        found = view.connection.execute(among).scalar()
        if found is not None:
            return int(found)
    return None


def _series(series: str) -> tuple[Column[Any], Column[Any], tuple[Any, ...]]:
    """Give what a series counts: the moment, whose it is, the conditions."""
    message, delivery = tables.message.c, tables.delivery.c
    if series == RECEIVED:
        return message.received_at, message.source, ()
    if series == ENDED:
        return delivery.ended_at, delivery.destination, ()
    # Those that ended without being sent have a partial index: the many that were sent are not looked at.
    state = delivery.state == literal_column(f"'{series}'")
    return delivery.ended_at, delivery.destination, (state, _FAILED)
