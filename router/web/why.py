"""Why an Item went where it went: each route's condition as it was then, with the values that it saw.

What a condition sees of an Item's contents or of a patient is health data: it is hidden until somebody asks for it,
which is noted. What it sees of the kind, the source or the message's head is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson

from router.journal.queries_lines import MessageLine
from router.journal.queries_message import ItemDetail, RouteLine
from router.journal.routing import RoutingSeen

CUT = 80

_STRINGS = re.compile(r"'[^']*'|\"[^\"]*\"")
_MENTION = re.compile(r"(?<![.\w])(item|patient|source|message)\b((?:\s*\.\s*\w+)*)(\s*\()?")
_OPEN = frozenset(
    {
        "item.kind",
        "item.source.format",
        "item.sender.name",
        "patient.known",
        "patient.in_coordination",
        "source",
        "message.type",
        "message.test",
    }
)
"""Values that say nothing about a patient's health."""


@dataclass(frozen=True, slots=True)
class SeenValue:
    """One value that a condition saw; `text` is empty for one that is hidden, None when it is not known any more."""

    path: str
    text: str | None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class RouteWhy:
    """One route: what it gave, its condition, and what that saw."""

    line: RouteLine
    values: tuple[SeenValue, ...]

    @property
    def hides(self) -> bool:
        """Whether a value is hidden."""
        return any(one.hidden for one in self.values)


def whys(item: ItemDetail, message: MessageLine, body: bytes | None) -> list[RouteWhy]:
    """Explain an Item's routes; with its `body` (canonical JSON) nothing is hidden."""
    known = _variables(item.seen, message, item.line.kind, body)
    return [RouteWhy(line, tuple(_seen(line.when or "", known, shown=body is not None))) for line in item.routes]


def _variables(seen: RoutingSeen | None, message: MessageLine, kind: str, body: bytes | None) -> dict[str, object]:
    whole: object = orjson.loads(body) if body is not None else {"kind": kind, "source": {"format": message.format}}
    variables: dict[str, object] = {
        "item": whole,
        "source": message.source,
        "message": {"type": message.message_type, "control_id": message.control_id},
    }
    if seen is not None:
        variables["patient"] = {"known": seen.known, "in_coordination": seen.in_coordination}
        variables["message"] = {"type": message.message_type, "control_id": message.control_id, "test": seen.test}
    return variables


def _seen(condition: str, variables: Mapping[str, object], *, shown: bool) -> Iterator[SeenValue]:
    done: set[str] = set()
    for root, rest, called in _MENTION.findall(_STRINGS.sub("''", condition)):
        steps = [root, *(step.strip() for step in rest.split(".")[1:])]
        path = ".".join(steps[:-1] if called and len(steps) > 1 else steps)
        if path in done:
            continue
        done.add(path)
        if path not in _OPEN and not shown:
            yield SeenValue(path, "", hidden=True)
        else:
            yield SeenValue(path, _text(variables, path.split(".")))


def _text(node: object, steps: list[str]) -> str | None:
    for step in steps:
        if not isinstance(node, Mapping) or step not in node:
            return None
        node = node[step]
    text = node if isinstance(node, str) else orjson.dumps(node).decode()
    return text if len(text) <= CUT else text[:CUT] + "…"
