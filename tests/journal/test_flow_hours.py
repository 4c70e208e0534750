"""What flowed hour by hour: counted once, right after changes, purges and restarts; how fast the journal grows."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert, select
from web_journal import Journal, open_journal
from web_traffic import flood

from router.engine.housekeeping import Housekeeping, purge
from router.journal import tables
from router.journal.actions import replay_deliveries
from router.journal.flow_hours import (
    HOUR,
    KEPT_HOURS,
    Hours,
    count_hours,
    forget_hours,
    hourly,
    hourly_by_name,
    hours_to_count,
    keep_hours,
)
from router.journal.operations import Change
from router.journal.queries_rates import DEAD, ENDED, RECEIVED, SERIES
from router.journal.storage import Storage, is_measured, keep_measure, measure, outlook
from router.journal.view import viewing
from router.journal.writer import Writer

NOW = int(datetime(2026, 11, 22, 9, 30, tzinfo=UTC).timestamp() * 1_000_000)
FIRST, END = NOW // HOUR - 30, NOW // HOUR + 1


def count(journal: Journal, now: int) -> int:
    """Count whatever is to be counted, and give in how many steps."""
    steps = 0
    while True:
        with viewing(journal.store) as view:
            span = hours_to_count(view, now)
            if span is None:
                return steps
            counted = count_hours(view, *span)
        journal.apply(keep_hours(counted, now))
        steps += 1


def known(journal: Journal, live: int | None = None, name: str | None = None, first: int = FIRST) -> Hours:
    with viewing(journal.store) as view:
        return hourly(view, SERIES, first, END, live=live, name=name)


def total(hours: Hours, series: str) -> int:
    return sum(hours.counts[series].values())


def test_what_is_kept_is_what_is_there_however_much_was_counted(journal: Journal) -> None:
    flood(journal, NOW, 60)
    before = known(journal)
    assert total(before, RECEIVED) == 69
    assert total(before, DEAD) >= 3
    assert not known(journal, live=2).complete
    assert count(journal, NOW) == 1
    assert known(journal) == before
    assert known(journal, live=1) == before, "only the present hour is counted when it is asked for"
    with viewing(journal.store) as view:
        names = hourly_by_name(view, RECEIVED, FIRST, END)
    assert sum(sum(hours.values()) for hours in names.values()) == 69
    assert names["hopital"] == known(journal, name="hopital").counts[RECEIVED]
    assert count(journal, NOW) == 0


def test_a_row_that_changed_leaves_its_hour_when_it_is_counted_anew(journal: Journal) -> None:
    count(journal, NOW + HOUR)
    failed = [journal.ids[f"delivery DEAD{rank}"] for rank in range(3)]
    assert total(known(journal), DEAD) == 3
    journal.apply(replay_deliveries(failed, actor="admin", now=NOW + HOUR))
    assert total(known(journal), DEAD) == 3
    later = NOW + 2 * HOUR
    assert count(journal, later) == 2  # the hour that is over, then all that still settle
    with viewing(journal.store) as view:
        assert total(hourly(view, SERIES, FIRST, END + 1), DEAD) == 0
    assert count(journal, later + HOUR // 4) == 0


def test_what_retention_erases_stays_in_its_hours(journal: Journal) -> None:
    flood(journal, NOW, 60)
    before = known(journal)
    # Half of the hours were never counted when their rows go.
    with viewing(journal.store) as view:
        counted = count_hours(view, NOW // HOUR - 12, NOW // HOUR)
    journal.apply(keep_hours(counted, NOW))
    while journal.apply(Change(lambda unit: purge(unit, NOW - 3 * HOUR))):
        continue
    with journal.store.reading() as connection:
        left = len(connection.execute(select(tables.message.c.id)).all())
    assert 0 < left < 69
    assert known(journal) == before
    count(journal, NOW)
    assert known(journal) == before
    with viewing(journal.store) as view:
        again = count_hours(view, FIRST, NOW // HOUR)
    journal.apply(keep_hours(again, NOW))
    assert known(journal) == before, "an hour can be counted anew after its rows are gone"
    assert set(before.counts) == {RECEIVED, ENDED, DEAD, "cancelled"}


def test_hours_are_forgotten_in_the_end_and_an_empty_journal_has_none(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    assert count(journal, NOW) == 0
    assert known(journal, live=0) == Hours({series: {} for series in SERIES}, complete=True)
    journal.message(NOW - 5 * HOUR)
    count(journal, NOW)
    later = NOW + (KEPT_HOURS + 1) * HOUR
    journal.apply(Change(lambda unit: forget_hours(unit, later)))
    with journal.store.reading() as connection:
        assert connection.execute(select(tables.flow_hour)).all() == []
        assert connection.execute(select(tables.flow_hour_counted)).all() == []
    journal.store.close()


def test_growth_is_known_from_what_was_measured_a_day_ago(journal: Journal) -> None:
    def at(hours: int) -> int:
        return NOW - hours * HOUR

    now = Storage(9_000, 1_000, free=40_000, total=100_000)
    with viewing(journal.store) as view:
        assert outlook(view, now, NOW) is None
        assert measure(view, journal.store.place).total > 0
        assert not is_measured(view, NOW)
    for hours, taken, free in ((40, 0, 99_000), (12, 4_000, 46_000), (2, 9_000, 41_000)):
        journal.apply(keep_measure(Storage(taken, 0, free, 100_000), at(hours)))
    with viewing(journal.store) as view:
        found = outlook(view, now, NOW)
        assert found is not None
        assert (found.hours, found.growth, found.loss) == (12, 12_000, 12_000)
        assert found.days_left(now) == 3
        assert outlook(view, Storage(9_000, 0, 40_000, total=200_000), NOW) is None, "another disk"
        better = outlook(view, Storage(3_000, 0, 60_000, 100_000), NOW)
        assert better is not None
        assert better.days_left(now) is None
        assert is_measured(view, at(2))
    journal.apply(keep_measure(now, at(2)))


async def test_housekeeping_counts_measures_and_erases_beside_a_writer(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    flood(journal, NOW, 40, hours=60)
    before = {series: total(known(journal, first=NOW // HOUR - 80), series) for series in SERIES}
    clock = [datetime.fromtimestamp(NOW / 1_000_000, UTC)]
    writer = Writer(journal.store)
    writer.start()
    keeping = Housekeeping(journal.store, writer, 1, lambda: clock[0])
    await asyncio.gather(keeping.count(), keeping.run(), keeping.count())
    commits = writer.commits
    await keeping.count()
    assert writer.commits == commits, "there is nothing to do twice"
    with journal.store.reading() as connection:
        assert len(connection.execute(select(tables.message.c.id)).all()) < 40
        (measured,) = connection.execute(select(tables.storage_hour)).all()
    assert measured.tables > 0
    assert {series: total(known(journal, first=NOW // HOUR - 80), series) for series in SERIES} == before
    clock[0] += timedelta(hours=1)
    await keeping.count()
    with journal.store.reading() as connection:
        assert len(connection.execute(select(tables.storage_hour)).all()) == 2
    await writer.stop()
    journal.store.close()


def test_the_tables_are_read_by_name(journal: Journal) -> None:
    row = {"series": RECEIVED, "hour": FIRST, "name": "labo-sud", "counted": 3, "erased": 4}
    with journal.store.writing() as connection:
        connection.execute(insert(tables.flow_hour).values(row))
        connection.execute(insert(tables.flow_hour_counted).values(hour=FIRST, at=NOW))
    assert known(journal).of(RECEIVED, FIRST) == 7
    assert known(journal, name="hopital").of(RECEIVED, FIRST) == 0
