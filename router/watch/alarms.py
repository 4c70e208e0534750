"""Alarms: one for each cause, however often it is seen; opened, told, acknowledged or put off, closed, kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, insert, or_, select, update

from router.journal import tables
from router.journal.auditing import append_audit
from router.journal.operations import Change
from router.journal.unit import Unit
from router.watch.signs import Facts, Sign, SignKind, cause_of

AGAIN = int(timedelta(hours=1).total_seconds() * 1_000_000)
"""Microseconds within which a cause that comes back is the same alarm: nobody is told twice of what flickers."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm as it is kept; times are microseconds."""

    id: int
    kind: SignKind
    side: str
    subject: str
    opened_at: int
    seen_at: int
    closed_at: int | None
    facts: Facts
    told_at: int | None
    acknowledged_at: int | None
    acknowledged_by: str | None
    snoozed_until: int | None

    def quiet(self, now: int) -> bool:
        """Whether somebody has taken it up, or put it off until later."""
        return self.acknowledged_at is not None or (self.snoozed_until is not None and self.snoozed_until > now)


def keep_signs(signs: Sequence[Sign], now: int) -> Change[None]:
    """Open an alarm for each new cause, bring the facts of the others up to date, close those whose sign is gone.

    A cause that shows in another way (a destination with a backlog turns out to be down) stays the alarm that it is.
    """

    def change(unit: Unit) -> None:
        column, connection = tables.alarm.c, unit.connection
        seen = {sign.cause: sign for sign in signs}
        last: dict[tuple[str, str, str], Any] = {}
        gone = []
        recent = select(tables.alarm).where(or_(column.closed_at.is_(None), column.closed_at > now - AGAIN))
        # Open ones last: an open alarm goes before one of the same cause that is over.
        for row in connection.execute(recent.order_by(column.closed_at.is_(None), column.id)):
            cause = cause_of(SignKind(row.kind), row.side, row.subject)
            former = last.get(cause)
            if former is not None and former.closed_at is None:
                gone.append(former.id)
            last[cause] = row
        gone += [row.id for cause, row in last.items() if cause not in seen and row.closed_at is None]
        if gone:
            connection.execute(update(tables.alarm).where(column.id.in_(gone)).values(closed_at=now))
        for cause, sign in seen.items():
            facts = orjson.dumps(dict(sign.facts)).decode()
            values = {"kind": sign.kind.value, "seen_at": now, "closed_at": None, "facts": facts}
            if cause in last:
                connection.execute(update(tables.alarm).where(column.id == last[cause].id).values(values))
                continue
            connection.execute(
                insert(tables.alarm).values(side=sign.side, subject=sign.subject[:120], opened_at=now, **values)
            )

    return Change(change, note="alarms")


def told(numbers: Sequence[int], now: int) -> Change[None]:
    """Note that these alarms were sent to who is to be told."""

    def change(unit: Unit) -> None:
        column = tables.alarm.c
        unit.connection.execute(update(tables.alarm).where(column.id.in_(numbers)).values(told_at=now))

    return Change(change, note="alarms told")


def acknowledge(number: int, *, actor: str, now: int) -> Change[bool]:
    """Note who takes an alarm up: nobody is told of it any more. False when there is no such open alarm."""
    values = {"acknowledged_at": now, "acknowledged_by": actor[:120], "snoozed_until": None}
    return _decide(number, "acknowledge alarm", actor, now, values)


def snooze(number: int, until: int, *, actor: str, now: int) -> Change[bool]:
    """Put an alarm off: it is told again at `until` if its cause is still there. False as above."""
    values = {"snoozed_until": until, "told_at": None, "acknowledged_at": None, "acknowledged_by": None}
    return _decide(number, "snooze alarm", actor, now, values)


def _decide(number: int, action: str, actor: str, now: int, values: dict[str, Any]) -> Change[bool]:
    def change(unit: Unit) -> bool:
        column = tables.alarm.c
        wanted = update(tables.alarm).where(column.id == number, column.closed_at.is_(None)).values(values)
        if not unit.connection.execute(wanted).rowcount:
            return False
        append_audit(unit, actor=actor, action=action, target=f"alarm {number}", detail="", now=now)
        return True

    return Change(change, note=action)


def open_alarms(connection: Connection) -> list[Alarm]:
    """Give the alarms whose cause is still there, oldest first."""
    column = tables.alarm.c
    wanted = select(tables.alarm).where(column.closed_at.is_(None)).order_by(column.id)
    return [_alarm(row) for row in connection.execute(wanted)]


def past_alarms(connection: Connection, *, before: int | None = None, limit: int = 50) -> list[Alarm]:
    """Give the alarms that are over, newest first, from the cursor `before` on."""
    column = tables.alarm.c
    wanted = select(tables.alarm).where(column.closed_at.is_not(None)).order_by(column.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(column.id < before)
    return [_alarm(row) for row in connection.execute(wanted)]


def alarms_of(connection: Connection, side: str, subject: str, *, limit: int) -> list[Alarm]:
    """Give the last alarms of a source or destination, newest first."""
    column = tables.alarm.c
    mine = select(tables.alarm).where(column.side == side, column.subject == subject[:120])
    return [_alarm(row) for row in connection.execute(mine.order_by(column.id.desc()).limit(limit))]


def to_tell(alarms: Sequence[Alarm], now: int) -> list[Alarm]:
    """Give those that nobody was told of, and that nobody has taken up or put off."""
    return [one for one in alarms if one.told_at is None and not one.quiet(now)]


def _alarm(row: Any) -> Alarm:
    return Alarm(
        row.id,
        SignKind(row.kind),
        row.side,
        row.subject,
        row.opened_at,
        row.seen_at,
        row.closed_at,
        orjson.loads(row.facts),
        row.told_at,
        row.acknowledged_at,
        row.acknowledged_by,
        row.snoozed_until,
    )
