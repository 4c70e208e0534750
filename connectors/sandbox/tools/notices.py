"""A notice, understood by whom it was sent to (R5 subscriptions backport for R4)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

TOPIC = "https://passerelle.example/topic/"


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice as it came: when, its identity, its kind, the event numbers and references in it, what was answered."""

    at: float
    identity: str
    kind: str
    events: tuple[int, ...]
    focus: tuple[str, ...]
    status: int
    topic: str = ""


def understood(bundle: dict[str, Any], identity: str, status: int) -> Notice:
    """Understand a notice to which `status` was answered."""
    kind, topic = "empty", ""
    numbers: list[int] = []
    focus: list[str] = []
    entries = bundle.get("entry") or [{"resource": {}}]
    for one in entries[0]["resource"].get("parameter", ()):
        if one["name"] == "type":
            kind = one["valueCode"]
        elif one["name"] == "topic":
            topic = one["valueCanonical"].removeprefix(TOPIC)
        elif one["name"] == "notification-event":
            for part in one["part"]:
                if part["name"] == "event-number":
                    numbers.append(int(part["valueString"]))
                elif part["name"] == "focus":
                    focus.append(part["valueReference"]["reference"].partition("/fhir/")[2])
    return Notice(time.time(), identity, kind, tuple(numbers), tuple(focus), status, topic)
