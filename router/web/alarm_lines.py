"""Alarms in words, each with where to press."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from router.watch.alarms import Alarm
from router.watch.sentences import sentence
from router.web.alarm_actions import Action, alarm_action
from router.web.formatting import Formats


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """An alarm in words; `quiet` when somebody has taken it up, or put it off."""

    alarm: Alarm
    sentence: Markup
    quiet: bool
    action: Action


def alarm_lines(found: Sequence[Alarm], formats: Formats) -> list[AlarmLine]:
    """Put alarms into words."""
    return [
        AlarmLine(alarm, sentence(alarm, formats), alarm.quiet(formats.now), alarm_action(alarm, formats))
        for alarm in found
    ]
