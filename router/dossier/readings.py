"""Who has read what ("vu par"): kept once for each thing and member, and the end of what they were told of it.

A tool that takes a list for somebody has its things; that the person read one is known when it is opened alone, when
their tool says so (`$mark-read`), or when a mail's reading is notified.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from router.journal import tables

TOGETHER = 200
_FIRST_TIME = "INSERT INTO dossier_reading (thing, member_id, fetched_at, read_at) VALUES"


def keep_readings(connection: Connection, found: Iterable[tuple[int, int]], now: int, *, read: bool) -> None:
    """Keep that members (second) have things (first) since now, or have read them; the first time counts."""
    column = tables.dossier_reading.c
    pairs = list(dict.fromkeys(found))
    mark = "?" if connection.dialect.positional else "%s"
    for start in range(0, len(pairs), TOGETHER):
        some = pairs[start : start + TOGETHER]
        rows = ", ".join([f"({mark}, {mark}, {mark}, {mark})"] * len(some))
        values = [value for thing, member in some for value in (thing, member, now, now if read else None)]
        connection.exec_driver_sql(f"{_FIRST_TIME} {rows} ON CONFLICT DO NOTHING", tuple(values))
    if read:
        for thing, member in pairs:
            unread = update(tables.dossier_reading).where(
                column.thing == thing, column.member_id == member, column.read_at.is_(None)
            )
            connection.execute(unread.values(read_at=now))
            _notices_read(connection, select(tables.alert.c.id).where(tables.alert.c.thing == thing), member, now)


def keep_alert_read(connection: Connection, resource_id: int, member: int, now: int) -> None:
    """Keep that a member has read what tells of something; that is not the thing itself."""
    about = select(tables.alert.c.id).where(tables.alert.c.resource_id == resource_id)
    _notices_read(connection, about, member, now)


def _notices_read(connection: Connection, alerts: object, member: int, now: int) -> None:
    notice = tables.alert_notice.c
    told = update(tables.alert_notice).where(
        notice.alert_id.in_(alerts),  # type: ignore[arg-type]
        notice.member_id == member,
        notice.read_at.is_(None),
        notice.state != "cancelled",  # who has opened what waits to be told need not be told any more
    )
    connection.execute(told.values(state="read", read_at=now, changed_at=now))


@dataclass(frozen=True, slots=True)
class ReadBy:
    """A member who has a thing: since when their tool has it, and since when it is read (microseconds)."""

    member_id: int
    fetched_at: int
    read_at: int | None


def readers_of(connection: Connection, thing: int) -> list[ReadBy]:
    """Give the members who have a thing, the first one first."""
    column = tables.dossier_reading.c
    found = select(tables.dossier_reading).where(column.thing == thing).order_by(column.fetched_at, column.member_id)
    return [ReadBy(row.member_id, row.fetched_at, row.read_at) for row in connection.execute(found)]
