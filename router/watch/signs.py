"""Signs that something is wrong, gathered from the journal and from what runs: each has a kind and a subject.

A sign is there or not; `router.watch.alarms` makes an alarm of it once, whatever time it lasts.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from router.config.model import WatchSection
from router.engine.clock import micros, moment
from router.journal import tables
from router.journal.flow_hours import hourly_by_name
from router.journal.queries import OPEN_MESSAGES
from router.journal.queries_overview import backlog
from router.journal.queries_rates import CANCELLED, DEAD, ENDED, MINUTE, RECEIVED, count_by
from router.journal.storage import Storage, outlook
from router.journal.store import JournalPlace
from router.journal.tables import WORST, MessageState
from router.journal.view import View
from router.watch.profile import HOUR, Profile
from router.web.context import FlowStatus
from router.web.states import DOWN
from schemas.finding import Severity

MICROS = 1_000_000
DAY = 86_400 * MICROS
WEEKS = 8
"""How far back the profile of a source looks."""

RECENT, BEFORE = 200, 2000
"""Messages of a source that are compared with those before them, to see whether its format drifts."""

LEAST_RECENT, LEAST_BEFORE = 30, 200
DRIFT = 5.0
"""Standard deviations by which the share of messages with something new must exceed what it was."""

UNREAD_CAP = 20_000

CODES = 5
"""Unknown codes that an alarm names."""

Facts = Mapping[str, str | int | float]


class SignKind(StrEnum):
    """What is wrong."""

    SILENCE = "silence"
    ERRORS = "errors"
    BACKLOG = "backlog"
    DOWN = "down"
    CODES = "codes"
    DRIFT = "drift"
    UNREAD = "unread"
    DISK = "disk"
    NODE = "node"


ROUTER = "router"
"""Side and subject of signs that are of the router itself."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign: `subject` is a source, a destination or a sender; `facts` are figures for its sentence, no health data.

    `side` says which of them, empty for a sender, `router` for the router itself. Times in the facts are microseconds.
    """

    kind: SignKind
    subject: str
    facts: Facts = field(default_factory=dict)
    side: str = ""

    @property
    def cause(self) -> tuple[str, str, str]:
        """What is one cause, however it shows."""
        return cause_of(self.kind, self.side, self.subject)


STANDSTILL = frozenset({SignKind.DOWN, SignKind.SILENCE, SignKind.BACKLOG})
"""What does not flow: a source that is down falls silent, behind a destination that is down deliveries pile up."""


def cause_of(kind: SignKind, side: str, subject: str) -> tuple[str, str, str]:
    """Give what alarms are told apart by: nobody is told twice of one cause because it shows in two ways."""
    return "standstill" if kind in STANDSTILL else kind.value, side, subject[:120]


def learn(view: View, now: datetime, zone: ZoneInfo) -> dict[str, Profile]:
    """Learn the profile of every source from the journal's last weeks, the present hour excluded."""
    until = int(now.timestamp()) // HOUR
    counts = hourly_by_name(view, RECEIVED, until - WEEKS * 7 * 24, until)
    return {name: Profile(hours, until, zone) for name, hours in counts.items()}


def last_received(view: View, since: int) -> dict[str, int]:
    """Give when each source last sent something, of what came since a moment (microseconds)."""
    column = tables.message.c
    newest = select(column.source, func.max(column.received_at).label("at")).where(column.received_at >= since)
    return {row.source: row.at for row in view.connection.execute(newest.group_by(column.source))}


def gather(
    view: View,
    flows: Sequence[FlowStatus],
    profiles: Mapping[str, Profile],
    last: Mapping[str, int],
    section: WatchSection,
    now: datetime,
    listening: Mapping[str, int] | None = None,
) -> list[Sign]:
    """Look for every sign that the configuration asks for.

    `last` is when each source last sent something, `listening` since when it could (microseconds): what a router that
    was stopped, or a source that was paused, could not receive is no silence.
    """
    found: list[Sign] = []
    failures = _failures(view, micros(now)) if section.error_share else {}
    for status in flows:
        if status.paused:
            continue
        down = status.state in DOWN
        if down:
            detail = {"side": status.side, "detail": status.detail}
            found.append(Sign(SignKind.DOWN, status.name, detail, status.side))
        if status.side == "source":
            # What is down has its alarm: that nothing comes is no news.
            profile = None if down else profiles.get(status.name)
            since = (listening or {}).get(status.name, 0)
            found += _of_source(view, status.name, profile, last.get(status.name), since, section, now)
            continue
        found += _failing(status.name, failures, section)
        if section.backlog_minutes and not down:
            found += _backlog(view, status.name, section.backlog_minutes, micros(now))
    if section.backlog_minutes:
        found += _unread(view, section.backlog_minutes, micros(now))
    if section.new_codes:
        found += _codes(view, micros(now) - DAY)
    return found


def disk_sign(view: View, place: JournalPlace, days: float, now: datetime) -> Sign | None:
    """Say that the journal's disk is nearly full, or will be within so many days at the pace of the last day."""
    try:
        disk = shutil.disk_usage(place.data)
    except OSError:
        return None
    storage = Storage(0, 0, disk.free, disk.total)
    pace = outlook(view, storage, micros(now))
    left = None if pace is None else pace.days_left(storage)
    if storage.is_short:
        return Sign(SignKind.DISK, ROUTER, {"free": disk.free}, ROUTER)
    if left is not None and left < days:
        return Sign(SignKind.DISK, ROUTER, {"free": disk.free, "days": left}, ROUTER)
    return None


def _unread(view: View, minutes: float, now: int) -> Iterator[Sign]:
    """Look for messages that were acknowledged and are not read: the router itself has a backlog."""
    column = tables.message.c
    ours = (column.state == MessageState.RECEIVED.value, OPEN_MESSAGES)
    oldest = select(column.received_at).where(*ours).order_by(column.id).limit(1)
    since = view.connection.execute(oldest).scalar()
    if since is not None and now - since > minutes * 60 * MICROS:
        some = select(column.id).where(*ours).limit(UNREAD_CAP).subquery()
        count = view.connection.execute(select(func.count()).select_from(some)).scalar_one()
        yield Sign(SignKind.UNREAD, ROUTER, {"since": since, "count": count}, ROUTER)


def _of_source(
    view: View,
    name: str,
    profile: Profile | None,
    last: int | None,
    listening: int,
    section: WatchSection,
    now: datetime,
) -> Iterator[Sign]:
    if profile is not None and last is not None and section.silence_chance:
        silence = profile.silence(moment(max(last, listening)), now, section.silence_chance)
        if silence is not None:
            expected = round(profile.expected(moment(last), now))
            yield Sign(SignKind.SILENCE, name, {"since": last, "expected": expected}, "source")
    if section.error_share:
        yield from _errors(view, name, section, micros(now))
    if section.drift:
        yield from _drift(view, name, micros(now))


def _errors(view: View, name: str, section: WatchSection, now: int) -> Iterator[Sign]:
    column, since = tables.message.c, now - HOUR * MICROS
    # Numbers follow reception: from the first of the hour on, rejected messages have an index of their own.
    first = select(column.id).where(column.received_at >= since).order_by(column.received_at).limit(1)
    start = view.connection.execute(first).scalar()
    if start is None:
        return
    ours = (column.source == name, column.state == MessageState.REJECTED.value, OPEN_MESSAGES, column.id >= start)
    rejected = view.connection.execute(select(func.count()).select_from(tables.message).where(*ours)).scalar_one()
    if rejected < max(1.0, section.error_share * section.error_least):
        return
    enough = int(rejected / section.error_share) + 1
    some = select(column.id).where(column.received_at >= since, column.source == name).limit(enough).subquery()
    total = view.connection.execute(select(func.count()).select_from(some)).scalar_one()
    if section.error_least <= total < enough:
        yield Sign(SignKind.ERRORS, name, {"rejected": rejected, "total": total}, "source")


def _failures(view: View, now: int) -> dict[str, dict[str, int]]:
    """Count by destination what ended within the hour: `ended`, and of that `dead` and `cancelled`."""
    minute = now // MINUTE
    found: dict[str, dict[str, int]] = {}
    for series in (DEAD, CANCELLED, ENDED):
        if series == ENDED and not any(counts.get(DEAD) for counts in found.values()):
            break  # nothing failed: the many that arrived need not be counted
        for _, name, count in count_by(view, series, MINUTE, minute - 59, minute + 1):
            counts = found.setdefault(name, {})
            counts[series] = counts.get(series, 0) + count
    return found


def _failing(name: str, failures: Mapping[str, Mapping[str, int]], section: WatchSection) -> Iterator[Sign]:
    counts = failures.get(name, {})
    dead, total = counts.get(DEAD, 0), counts.get(ENDED, 0) - counts.get(CANCELLED, 0)
    if dead and total >= section.error_least and dead >= section.error_share * total:
        yield Sign(SignKind.ERRORS, name, {"side": "destination", "rejected": dead, "total": total}, "destination")


def _backlog(view: View, name: str, minutes: float, now: int) -> Iterator[Sign]:
    waits = backlog(view, name).pending
    if waits.oldest_at is not None and now - waits.oldest_at > minutes * 60 * MICROS:
        yield Sign(SignKind.BACKLOG, name, {"since": waits.oldest_at, "count": waits.count.count}, "destination")


def _codes(view: View, since: int) -> Iterator[Sign]:
    column = tables.unmapped_code.c
    fresh = select(column.sender, column.code).where(column.first_at >= since).order_by(column.sender, column.code)
    by_sender: dict[str, list[str]] = {}
    for row in view.connection.execute(fresh):
        by_sender.setdefault(row.sender, []).append(row.code)
    for sender, codes in by_sender.items():
        named = ", ".join(codes[:CODES]) + (", …" if len(codes) > CODES else "")
        yield Sign(SignKind.CODES, sender, {"count": len(codes), "codes": named})


def _drift(view: View, name: str, now: int) -> Iterator[Sign]:
    """Compare the newest messages of a source with those before: what is left unread, and what is warned about."""
    column = tables.message.c
    newest = (
        select(column.unread, column.worst)
        .where(column.source == name, column.received_at >= now - 14 * DAY)
        .order_by(column.received_at.desc())
        .limit(RECENT + BEFORE)
    )
    rows = view.connection.execute(newest).all()
    recent, before = rows[: min(RECENT, len(rows) // 4)], rows[min(RECENT, len(rows) // 4) :]
    if len(recent) < LEAST_RECENT or len(before) < LEAST_BEFORE:
        return
    warning = WORST[Severity.WARNING]
    for what, marks in (
        ("unread", [row.unread > 0 for row in rows]),
        ("findings", [row.worst >= warning for row in rows]),
    ):
        new, old = sum(marks[: len(recent)]), sum(marks[len(recent) :])
        if deviations(new, len(recent), old, len(before)) > DRIFT:
            yield Sign(
                SignKind.DRIFT,
                name,
                {"what": what, "now": round(100 * new / len(recent)), "before": round(100 * old / len(before))},
                "source",
            )
            return


def deviations(new: int, recent: int, old: int, before: int) -> float:
    """Say by how many standard deviations a share exceeds what it was (two proportions, pooled)."""
    pooled = (new + old + 1) / (recent + before + 2)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / recent + 1 / before))
    return (new / recent - old / before) / spread
