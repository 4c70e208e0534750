"""From events to people: rules that say who is told of what, and the pure engine that applies them to a circle.

A rule proposes; `router.dossier.may` decides for each member. One member is told once of one thing, by one channel.

RulesFault       a file of rules cannot be used: one sentence for each thing to mend
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from router.dossier.context import Context, Reader, Seat, Thing
from router.dossier.happenings import HOSPITAL, Event, Happening
from router.dossier.may import may
from router.engine.clock import micros, moment
from router.faults import Fault
from schemas.circle import Channel, Preferences, RoleFamily
from schemas.habilitation import Action


class RulesFault(Fault):
    """The rules cannot be used; `problems` has one sentence for each thing to mend."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("the rules cannot be used:\n" + "\n".join(f"  {one}" for one in self.problems))


class Audience(StrEnum):
    """Whom a rule means."""

    CIRCLE = "circle"
    PCP = "pcp"
    PRESCRIBER = "prescriber"
    REQUESTER = "requester"
    RECIPIENTS = "recipients"
    SEEN = "seen"
    TOLD = "told"


class AlertLevel(StrEnum):
    """How much it presses."""

    INFO = "info"
    ATTENTION = "attention"
    URGENT = "urgent"

    @property
    def rank(self) -> int:
        """Its place in the order of levels."""
        return list(AlertLevel).index(self)


class NoticeRule(BaseModel):
    """One rule: of which event whom to tell, how pressing it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=80)
    event: Event
    to: tuple[Audience, ...] = Field(min_length=1)
    level: AlertLevel = AlertLevel.INFO
    families: tuple[RoleFamily, ...] = ()
    types: tuple[str, ...] = ()
    only_if_asked: bool = False

    def meets(self, happening: Happening) -> bool:
        """Say whether the rule is about this."""
        return self.event is happening.event and (not self.types or happening.type in self.types)


def read_rules(text: str) -> tuple[NoticeRule, ...]:
    """Read rules (TOML, `[[rule]]`). Raises RulesFault with all that is wrong."""
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise RulesFault([f"it is not valid TOML: {problem}"]) from None
    except (ValueError, RecursionError):
        raise RulesFault(["it is not valid TOML: a number is too long, or values are nested too deeply"]) from None
    problems = [f"there is no such table as {name[:40]!r}" for name in raw if name != "rule"]
    rules: list[NoticeRule] = []
    given = raw.get("rule", [])
    for number, one in enumerate(given if isinstance(given, list) else [given], start=1):
        try:
            rules.append(NoticeRule.model_validate(one))
        except ValidationError as wrong:
            problems += [
                f"rule {number}, {'.'.join(str(part) for part in error['loc']) or 'rule'}: {error['msg']}"
                for error in wrong.errors()
            ]
    problems += [
        f"rule {rule.name!r}: emergency accesses are told to the general practitioner always, by no rule"
        for rule in rules
        if rule.event is Event.EMERGENCY
    ]
    names = [rule.name for rule in rules]
    problems += [f"two rules are called {name!r}" for name in sorted({one for one in names if names.count(one) > 1})]
    if problems:
        raise RulesFault(problems)
    return tuple(rules)


@cache
def default_rules() -> tuple[NoticeRule, ...]:
    """Give the rules that hold unless the configuration names others."""
    return read_rules(default_rules_text())


def default_rules_text() -> str:
    """Give the default rules as they are written."""
    return files("router.dossier").joinpath("notice_rules.toml").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Told:
    """A member to tell: by which channel, not before when (microseconds), how pressing it is and by which rule."""

    member: int
    channel: Channel
    not_before: int
    level: AlertLevel
    rule: str


@dataclass(frozen=True, slots=True)
class Former:
    """What is known of before: the members who read a former version, and those who were told of what is annulled."""

    seen: frozenset[int] = frozenset()
    told: frozenset[int] = frozenset()


def told(
    happening: Happening,
    thing: Thing,
    rules: Iterable[NoticeRule],
    context: Context,
    former: Former,
    *,
    reader_of: Callable[[Seat], Reader],
    zone: ZoneInfo,
) -> list[Told]:
    """Give who is told of something, and how: of several rules the most pressing one counts for a member."""
    found: dict[int, Told] = {}
    for rule in rules:
        if not rule.meets(happening):
            continue
        for seat in context.seats:
            if not _is_meant(rule, seat, happening, former) or not _wishes(rule, seat, happening):
                continue
            if not may(reader_of(seat), Action.TELL, thing, context).allowed:
                continue
            level, preferences = rule.level, seat.member.preferences
            known = found.get(seat.id)
            if known is not None and known.level.rank >= level.rank:
                continue
            channel = preferences.channels[0] if preferences.channels else Channel.WEBHOOK
            wait = context.now if level is AlertLevel.URGENT else after_quiet(preferences, context.now, zone)
            found[seat.id] = Told(seat.id, channel, wait, level, rule.name)
    return _once_each(found, context)


def _is_meant(rule: NoticeRule, seat: Seat, happening: Happening, former: Former) -> bool:
    if rule.families and seat.family not in rule.families:
        return False
    if seat.keys & happening.author:
        return False
    meant = {
        Audience.CIRCLE: True,
        Audience.PCP: seat.member.is_pcp,
        Audience.PRESCRIBER: bool(seat.keys & happening.prescribers),
        Audience.REQUESTER: bool(seat.keys & happening.requesters),
        Audience.RECIPIENTS: bool(seat.keys & happening.recipients),
        Audience.SEEN: seat.id in former.seen,
        Audience.TOLD: seat.id in former.told,
    }
    return any(meant[audience] for audience in rule.to)


def _wishes(rule: NoticeRule, seat: Seat, happening: Happening) -> bool:
    events = seat.member.preferences.events
    if rule.only_if_asked:
        return events is True
    return events is not False or happening.event not in HOSPITAL


def _once_each(found: dict[int, Told], context: Context) -> list[Told]:
    """Leave out a second seat of somebody who is told already."""
    seats = {seat.id: seat for seat in context.seats}
    keys: set[str] = set()
    kept = []
    for one in sorted(found.values(), key=lambda told: (-told.level.rank, told.member)):
        own = seats[one.member].keys
        if keys.isdisjoint(own):
            keys |= own
            kept.append(one)
    return sorted(kept, key=lambda told: told.member)


def after_quiet(preferences: Preferences, now: int, zone: ZoneInfo) -> int:
    """Give the end of a member's quiet hours if it is within them, else now."""
    if preferences.quiet_from is None or preferences.quiet_to is None:
        return now
    start, end = time.fromisoformat(preferences.quiet_from), time.fromisoformat(preferences.quiet_to)
    local = moment(now).astimezone(zone)
    clock = local.time()
    within = start <= clock < end if start <= end else clock >= start or clock < end
    if not within:
        return now
    day = local.date() + timedelta(days=1 if clock >= end else 0)
    return micros(datetime.combine(day, end, zone))
