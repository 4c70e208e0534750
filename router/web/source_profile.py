"""What is known of one source's habits, for its page: the profile of its week, its last days beside it, its alarms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup
from sqlalchemy import select

from router.journal import tables
from router.journal.queries_rates import Bin
from router.journal.view import View
from router.watch.alarms import alarms_of
from router.watch.profile import LEAST_DAYS, Profile
from router.watch.signs import WEEKS
from router.web.alarm_lines import AlarmLine, alarm_lines
from router.web.charts import Chart, chart_of
from router.web.desk import Desk
from router.web.formatting import Formats
from router.web.history import Period, history_of, usual_of, usual_profile
from router.web.visits import Visit

LEVELS = 8
"""Shades of an hour, beside that of nothing."""

ALARMS = 5


@dataclass(frozen=True, slots=True)
class Cell:
    """An hour of the week: what it usually brings, as a number, a shade from 0 to `LEVELS`, and a sentence."""

    usual: str
    level: int
    sentence: str
    is_now: bool


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the week: its short name, its hours, and what it usually brings in all."""

    name: str
    cells: tuple[Cell, ...]
    whole: str


@dataclass(frozen=True, slots=True)
class SourceProfile:
    """Everything that `_profile.html` shows. `days` are those of which something is known.

    `today` says what came today and what usually would have by now, None while nothing is usual.
    """

    name: str
    week: tuple[Day, ...]
    known: bool
    days: int
    least: int
    weeks: int
    today: Markup | None
    curve: Chart
    complete: bool
    alarms: tuple[AlarmLine, ...]


def source_profile(desk: Desk, view: View, visit: Visit, name: str) -> SourceProfile | None:
    """Learn a source's profile as it is now, None when there is no source of this name, and never was."""
    profile = usual_profile(view, visit.now, desk.context.timezone, source=name)
    configured = any(flow.side == "source" and flow.name == name for flow in desk.context.flows())
    if not configured and not profile.days and not _is_known(view, name):
        return None
    formats = Formats(visit.texts, visit.zone, visit.now)
    history = history_of(view, Period.WEEK, visit.now, visit.zone, source=name)
    return SourceProfile(
        name,
        _week(profile, visit, desk, formats),
        profile.known,
        profile.days,
        LEAST_DAYS,
        WEEKS,
        _today(profile, history.bins, desk, formats),
        chart_of(Period.WEEK, history.bins, usual_of(profile, history.bins, visit.now), formats),
        history.complete,
        tuple(alarm_lines(alarms_of(view.connection, "source", name, limit=ALARMS), formats)),
    )


def _is_known(view: View, name: str) -> bool:
    column = tables.message.c
    return view.connection.execute(select(column.id).where(column.source == name).limit(1)).first() is not None


def _week(profile: Profile, visit: Visit, desk: Desk, formats: Formats) -> tuple[Day, ...]:
    say, hours = formats.texts.say, profile.week()
    most = max((usual.mean for day in hours for usual in day), default=0.0)
    now = datetime.fromtimestamp(visit.now / 1_000_000, desk.context.timezone)
    days = []
    for number, day in enumerate(hours):
        name = str(say(f"weekday_long.{number + 1}"))
        cells = []
        for hour, usual in enumerate(day):
            count = say("profile.messages", count=round(usual.mean), shown=_usual(usual.mean, formats))
            sentence = str(say("profile.cell", day=name, start=hour, end=hour + 1, messages=count))
            is_now = (number, hour) == (now.weekday(), now.hour)
            cells.append(Cell(_usual(usual.mean, formats), _level(usual.mean, most), sentence, is_now))
        whole = _usual(sum(usual.mean for usual in day), formats)
        days.append(Day(str(say(f"weekday.{number + 1}")), tuple(cells), whole))
    return tuple(days)


def _usual(mean: float, formats: Formats) -> str:
    """Write a mean: whole from ten on, to the tenth below, nothing for what hardly ever comes."""
    return formats.decimal(mean, 0 if mean >= 10 else 1)


def _level(mean: float, most: float) -> int:
    if most <= 0 or mean < 0.05:
        return 0
    return min(LEVELS, 1 + math.floor((LEVELS - 1) * math.sqrt(mean / most) + 0.5))


def _today(profile: Profile, bins: Sequence[Bin], desk: Desk, formats: Formats) -> Markup | None:
    now = datetime.fromtimestamp(formats.now / 1_000_000, UTC)
    midnight = now.astimezone(desk.context.timezone).replace(hour=0, minute=0, second=0, microsecond=0)
    usually = profile.usually(midnight.astimezone(UTC), now)
    if usually is None:
        return None
    start = int(midnight.timestamp() * 1_000_000)
    received = sum(one.received for one in bins if one.start >= start)
    return formats.texts.say(
        "profile.today", received=formats.number(received), usual=formats.number(round(usually.mean))
    )
