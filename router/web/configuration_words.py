"""What a draft of the configuration changes, in words: section by section, what the router does about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from router.config.changes import Changes, Sorted
from router.config.load import Loaded
from router.web.flow_facts import HIDDEN, Setting, destination_settings, route_settings, source_settings
from router.web.texts import Texts

_LINE = re.compile(r"^line (\d+), ")
SHOWN = 120
"""Characters shown of one value."""


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One sentence. `keys` are the settings that differ: key, before, after."""

    tone: str
    sentence: Markup
    keys: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Mistake:
    """What the checker has against a draft: the line if it is known, the sentence, the text of that line."""

    line: int | None
    sentence: str
    text: str = ""


def mistakes(problems: Sequence[str], text: str) -> list[Mistake]:
    """Put problems beside the lines that they are about."""
    lines = text.splitlines()
    found = []
    for problem in problems:
        match = _LINE.match(problem)
        number = int(match[1]) if match else _toml_line(problem)
        shown = lines[number - 1].strip()[:SHOWN] if number is not None and 0 < number <= len(lines) else ""
        found.append(Mistake(number, problem[match.end() :] if match else problem, shown))
    return sorted(found, key=lambda one: one.line or 0)


def _toml_line(problem: str) -> int | None:
    match = re.search(r"at line (\d+)", problem)
    return int(match[1]) if match else None


def change_lines(
    changes: Changes, running: Loaded, other: Loaded, texts: Texts, waiting: Mapping[str, str]
) -> list[ChangeLine]:
    """Say what changes. `waiting` has, by destination, how many Deliveries wait there, in figures."""
    before = {one.name: source_settings(one) for one in running.sources}
    after = {one.name: source_settings(one) for one in other.sources}
    found = list(_side("source", changes.sources, before, after, texts))
    before = {one.name: destination_settings(one) for one in running.destinations}
    after = {one.name: destination_settings(one) for one in other.destinations}
    found += _side("destination", changes.destinations, before, after, texts)
    found += [
        ChangeLine("amber", texts.say("configuration.left_waiting", name=_strong(name), shown=waiting[name]))
        for name in changes.destinations.removed
        if name in waiting
    ]
    before = {one.name: route_settings(one) for one in running.configuration.routes}
    after = {one.name: route_settings(one) for one in other.configuration.routes}
    found += _side("route", changes.routes, before, after, texts)
    if changes.reordered:
        found.append(ChangeLine("blue", texts.say("configuration.reordered")))
    if changes.watch:
        found.append(ChangeLine("blue", texts.say("configuration.watch")))
    if changes.at_start:
        names = ", ".join(f"[{name}]" for name in changes.at_start)
        found.append(ChangeLine("amber", texts.say("configuration.at_start", names=names)))
    return found


def _side(
    side: str,
    found: Sorted,
    before: Mapping[str, list[Setting]],
    after: Mapping[str, list[Setting]],
    texts: Texts,
) -> Iterator[ChangeLine]:
    for name in found.added:
        yield ChangeLine("green", texts.say(f"configuration.{side}_added", name=_strong(name)))
    for name in found.removed:
        yield ChangeLine("red", texts.say(f"configuration.{side}_removed", name=_strong(name)))
    for name in found.rebound:
        keys = _differing(before[name], after[name], texts)
        yield ChangeLine("blue", texts.say(f"configuration.{side}_rebound", name=_strong(name)), keys)
    for name in found.rewritten:
        keys = _differing(before[name], after[name], texts)
        yield ChangeLine("blue", texts.say(f"configuration.{side}_rewritten", name=_strong(name)), keys)


def _differing(before: list[Setting], after: list[Setting], texts: Texts) -> tuple[tuple[str, str, str], ...]:
    one = {setting.key: setting for setting in before}
    two = {setting.key: setting for setting in after}
    found = []
    for key in dict.fromkeys([*one, *two]):
        was, now = one.get(key), two.get(key)
        if (was.compared if was else None) != (now.compared if now else None):
            found.append((key, _shown(was, texts), _shown(now, texts)))
    return tuple(found)


def _shown(setting: Setting | None, texts: Texts) -> str:
    if setting is None or setting.shown == "":
        return str(texts.say("configuration.unset"))
    return HIDDEN if setting.secret else setting.shown[:SHOWN]


def _strong(name: str) -> Markup:
    return Markup("<strong>{}</strong>").format(name)
