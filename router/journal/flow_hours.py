"""What flowed hour by hour, for weeks: counted from the journal, kept in few rows, right after rows were erased.

An hour is counted once it is over, and anew for three days: a Delivery that a person reopens, or of which its partner
speaks later, leaves the hour in which it had ended. What retention erases is moved from `counted` to `erased` in the
transaction that erases it, so that an hour stays what it was and can still be counted anew at any time. Hours that
nobody counted yet (a router that was down, a journal of before) are counted when somebody asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select

from router.journal import tables
from router.journal.operations import Change
from router.journal.queries_rates import CANCELLED, DEAD, ENDED, RECEIVED, SERIES, count_by
from router.journal.unit import Unit
from router.journal.view import View

HOUR = 3_600_000_000
"""Microseconds."""

KEPT_HOURS = 13 * 7 * 24
"""How long hours are kept: more than any profile or chart looks back."""

SETTLING_HOURS = 72
"""How long an hour is counted anew, once an hour."""

SLICE = 24
"""Hours counted at once when the past is filled in."""

Row = tuple[str, int, str, int]
"""A series, an hour, a name, how many."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted of the hours from `first` up to and without `end`."""

    first: int
    end: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Hours:
    """Counts by series and hour; `complete` unless hours were left out because nobody has counted them yet."""

    counts: dict[str, dict[int, int]]
    complete: bool

    def of(self, series: str, hour: int) -> int:
        """Give what an hour brought; nought when it is not known."""
        return self.counts.get(series, {}).get(hour, 0)


def hours_to_count(view: View, now: int) -> tuple[int, int] | None:
    """Give the next hours to count (first, end): those never counted, newest first, then those that still settle."""
    current = now // HOUR
    oldest = _oldest(view)
    if oldest is None:
        return None
    first = max(oldest, current - KEPT_HOURS)
    missing = _missing(view, first, current)
    if missing:
        end = missing[-1] + 1
        return next(hour for hour in missing if hour >= end - SLICE), end
    start = max(first, current - SETTLING_HOURS)
    column = tables.flow_hour_counted.c
    counted_at = select(func.min(column.at)).where(column.hour >= start, column.hour < current)
    earliest = view.connection.execute(counted_at).scalar()
    if earliest is not None and now - earliest >= HOUR:
        return start, current
    return None


def count_hours(view: View, first: int, end: int) -> Counted:
    """Count these hours from the journal's rows."""
    rows = [
        (series, hour, name, count)
        for series in SERIES
        for hour, name, count in count_by(view, series, HOUR, first, end)
    ]
    return Counted(first, end, tuple(rows))


def keep_hours(counted: Counted, now: int) -> Change[None]:
    """Keep what was counted in place of what was known before; what was erased meanwhile stays beside it."""

    def change(unit: Unit) -> None:
        column, done = tables.flow_hour.c, tables.flow_hour_counted
        within = (column.hour >= counted.first, column.hour < counted.end)
        erased = {
            (row.series, row.hour, row.name): row.erased
            for row in unit.connection.execute(select(tables.flow_hour).where(*within, column.erased > 0))
        }
        kept = {(series, hour, name): number for series, hour, name, number in counted.rows}
        unit.connection.execute(delete(tables.flow_hour).where(*within))
        rows = [
            {
                "series": key[0],
                "hour": key[1],
                "name": key[2],
                "counted": kept.get(key, 0),
                "erased": erased.get(key, 0),
            }
            for key in sorted(kept.keys() | erased.keys())
        ]
        if rows:
            unit.connection.execute(insert(tables.flow_hour), rows)
        unit.connection.execute(delete(done).where(done.c.hour >= counted.first, done.c.hour < counted.end))
        hours = [{"hour": hour, "at": now} for hour in range(counted.first, counted.end)]
        unit.connection.execute(insert(done), hours)

    return Change(change, note="hours")


def remember_erased(unit: Unit, numbers: Sequence[int]) -> None:
    """Note in its hours what goes with these messages; called in the transaction that erases them."""
    message, delivery = tables.message.c, tables.delivery.c
    hour = (message.received_at // HOUR).label("hour")
    received = select(hour, message.source, func.count()).where(message.id.in_(numbers)).group_by(hour, message.source)
    gone: dict[tuple[str, int, str], int] = {}
    for at, name, number in unit.connection.execute(received):
        gone[RECEIVED, at, name] = number
    hour = (delivery.ended_at // HOUR).label("hour")
    ended = (
        select(hour, delivery.destination, delivery.state, func.count())
        .where(delivery.message_id.in_(numbers), delivery.ended_at.is_not(None))
        .group_by(hour, delivery.destination, delivery.state)
    )
    for at, name, state, number in unit.connection.execute(ended):
        gone[ENDED, at, name] = gone.get((ENDED, at, name), 0) + number
        if state in (DEAD, CANCELLED):
            gone[state, at, name] = number
    column = tables.flow_hour.c
    for (series, at, name), number in gone.items():
        mine = (column.series == series, column.hour == at, column.name == name)
        row = unit.connection.execute(select(column.counted, column.erased).where(*mine)).first()
        values = {"counted": 0, "erased": number}
        if row is None:
            unit.connection.execute(insert(tables.flow_hour).values(series=series, hour=at, name=name, **values))
            continue
        values = {"counted": max(0, row.counted - number), "erased": row.erased + number}
        unit.connection.execute(tables.flow_hour.update().where(*mine).values(values))


def forget_hours(unit: Unit, now: int) -> None:
    """Forget the hours that nobody looks back to any more."""
    limit = now // HOUR - KEPT_HOURS
    for table in (tables.flow_hour, tables.flow_hour_counted, tables.storage_hour):
        unit.connection.execute(delete(table).where(table.c.hour < limit))


def hourly(
    view: View, series: Sequence[str], first: int, end: int, *, name: str | None = None, live: int | None = None
) -> Hours:
    """Give counts by hour from `first` up to and without `end`, of one source or destination, or of all together.

    Hours that are not kept yet are counted now, the newest first, at most `live` of them (None: all).
    """
    column = tables.flow_hour.c
    kept = (
        select(column.series, column.hour, func.sum(column.counted + column.erased))
        .where(column.series.in_(series), column.hour >= first, column.hour < end)
        .group_by(column.series, column.hour)
    )
    if name is not None:
        kept = kept.where(column.name == name)
    counts: dict[str, dict[int, int]] = {one: {} for one in series}
    for which, hour, number in view.connection.execute(kept):
        counts[which][hour] = int(number)
    missing, complete = _to_count_now(view, first, end, live)
    for start, stop in _runs(missing):
        for which in series:
            for hour, owner, number in count_by(view, which, HOUR, start, stop):
                if name is None or owner == name:
                    counts[which][hour] = counts[which].get(hour, 0) + number
    return Hours(counts, complete)


def hourly_by_name(view: View, series: str, first: int, end: int) -> dict[str, dict[int, int]]:
    """Give the counts of every source, or destination, by its name and by hour."""
    column = tables.flow_hour.c
    kept = select(column.hour, column.name, column.counted + column.erased).where(
        column.series == series, column.hour >= first, column.hour < end
    )
    found: dict[str, dict[int, int]] = {}
    for hour, name, number in view.connection.execute(kept):
        found.setdefault(name, {})[hour] = number
    for start, stop in _runs(_missing(view, first, end)):
        for hour, name, number in count_by(view, series, HOUR, start, stop):
            hours = found.setdefault(name, {})
            hours[hour] = hours.get(hour, 0) + number
    return found


def _oldest(view: View) -> int | None:
    """Give the first hour of which the journal has rows, or had."""
    received = view.connection.execute(select(func.min(tables.message.c.received_at))).scalar()
    kept = view.connection.execute(select(func.min(tables.flow_hour_counted.c.hour))).scalar()
    known = [hour for hour in (None if received is None else received // HOUR, kept) if hour is not None]
    return min(known, default=None)


def _missing(view: View, first: int, end: int) -> list[int]:
    column = tables.flow_hour_counted.c
    there = select(column.hour).where(column.hour >= first, column.hour < end)
    done = set(view.connection.execute(there).scalars())
    return [hour for hour in range(first, end) if hour not in done]


def _to_count_now(view: View, first: int, end: int, live: int | None) -> tuple[list[int], bool]:
    missing = _missing(view, first, end)
    oldest = _oldest(view)
    missing = [] if oldest is None else [hour for hour in missing if hour >= oldest]
    if live is None or len(missing) <= live:
        return missing, True
    return missing[len(missing) - live :], False


def _runs(hours: Sequence[int]) -> list[tuple[int, int]]:
    """Put hours together that follow each other: (first, end)."""
    found: list[tuple[int, int]] = []
    for hour in hours:
        if found and found[-1][1] == hour:
            found[-1] = (found[-1][0], hour + 1)
        else:
            found.append((hour, hour + 1))
    return found
