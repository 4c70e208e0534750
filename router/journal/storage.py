"""How much room the journal takes and is left, how fast it grows, and when the disk would be full."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, func, insert, select, text

from router.journal import tables
from router.journal.flow_hours import HOUR
from router.journal.operations import Change
from router.journal.store import JournalPlace
from router.journal.unit import Unit
from router.journal.view import View

DAY_HOURS = 24
LEAST_HOURS = 6
"""Hours that must lie between two measures before anything is said of growth."""


@dataclass(frozen=True, slots=True)
class Storage:
    """How much room the journal takes, in bytes, and how much is left beside it."""

    tables: int
    blobs: int
    free: int
    total: int

    @property
    def is_short(self) -> bool:
        """Whether the disk is nearly full: under 5 % or 1 GB."""
        return self.total > 0 and (self.free < self.total // 20 or self.free < 1_000_000_000)

    @property
    def taken(self) -> int:
        """What the journal takes in all."""
        return self.tables + self.blobs


@dataclass(frozen=True, slots=True)
class Outlook:
    """Bytes a day: how much the journal grew and how much room the disk lost, measured over the last `hours`.

    Either is negative when room was won.
    """

    hours: int
    growth: int
    loss: int

    def days_left(self, storage: Storage) -> int | None:
        """Give the days until the disk is full if it goes on like this; None when it does not fill up."""
        return storage.free // self.loss if self.loss > 0 and storage.total > 0 else None


def measure(view: View, place: JournalPlace) -> Storage:
    """Measure the journal's tables and blobs, and the disk that they are on."""
    if place.is_sqlite:
        file = Path(place.url.removeprefix("sqlite:///"))
        taken = sum(_size(file.with_name(file.name + suffix)) for suffix in ("", "-wal"))
    else:
        taken = view.connection.execute(select(func.pg_database_size(text("current_database()")))).scalar() or 0
    blobs = sum(_size(path) for path in (place.data / "blobs").glob("*/*"))
    try:
        disk = shutil.disk_usage(place.data)
    except OSError:
        return Storage(taken, blobs, 0, 0)
    return Storage(taken, blobs, disk.free, disk.total)


def keep_measure(storage: Storage, now: int) -> Change[None]:
    """Keep a measure as that of its hour."""

    def change(unit: Unit) -> None:
        table, hour = tables.storage_hour, now // HOUR
        unit.connection.execute(delete(table).where(table.c.hour == hour))
        unit.connection.execute(
            insert(table).values(
                hour=hour, tables=storage.tables, blobs=storage.blobs, free=storage.free, total=storage.total
            )
        )

    return Change(change, note="storage")


def is_measured(view: View, now: int) -> bool:
    """Whether this hour has its measure."""
    column = tables.storage_hour.c
    return view.connection.execute(select(column.hour).where(column.hour == now // HOUR)).first() is not None


def outlook(view: View, storage: Storage, now: int) -> Outlook | None:
    """Compare with what was measured a day ago, or as long ago as is known; None when that is too short a time."""
    column = tables.storage_hour.c
    since = now // HOUR - DAY_HOURS
    earlier = select(tables.storage_hour).where(column.hour >= since).order_by(column.hour).limit(1)
    row = view.connection.execute(earlier).first()
    hours = 0 if row is None else now // HOUR - row.hour
    if row is None or hours < LEAST_HOURS or row.total != storage.total:
        return None
    growth = (storage.taken - row.tables - row.blobs) * DAY_HOURS // hours
    return Outlook(hours, growth, (row.free - storage.free) * DAY_HOURS // hours)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
