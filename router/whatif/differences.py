"""What two preparations of the same messages differ in, gathered by kind: what, where, how many, for example which.

Nothing of a message's content is among the differences but the names of places (`Observation.code`, `PID-3`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from mappings.contracts import FormatError
from mappings.registry import format_named

EXAMPLES = 5
"""Messages that are named for a difference."""

_RANK = re.compile(r"\[\d+\]|(?<=\.)\d+(?=\.|$)|#\d+")


class Aspect(StrEnum):
    """What differs."""

    STATE = "state"
    ITEMS = "items"
    FINDINGS = "findings"
    PATIENT = "patient"
    REASON = "reason"
    GAINED = "gained"
    LOST = "lost"
    REFUSED = "refused"
    FORMAT = "format"
    CONTENT = "content"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class Sent:
    """What would be sent of one Item to one destination: its format, bytes, files beside; or why it cannot be."""

    format: str
    content: bytes
    files: Mapping[str, bytes] = field(default_factory=dict)
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class ItemSeen:
    """One Item: its end, why it waits, whose it is, and what would be sent of it by destination."""

    kind: str
    state: str
    reason: str
    patient_id: int | None
    sent: Mapping[str, Sent]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was made of one message."""

    message_id: int
    source: str
    state: str
    findings: tuple[str, ...]
    items: tuple[ItemSeen, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One kind of difference. `subject` is a source or destination; `where` names a place, or says what became what."""

    aspect: Aspect
    subject: str
    where: str


@dataclass(slots=True)
class Gathered:
    """How often a difference was met, in how many messages, and the first of these."""

    times: int = 0
    messages: int = 0
    examples: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """The differences of a whole comparison; `compared` messages were read, `changed` of them differ in something."""

    compared: int = 0
    changed: int = 0
    found: dict[Difference, Gathered] = field(default_factory=dict)

    def add(self, before: Seen, after: Seen) -> None:
        """Compare one message."""
        self.compared += 1
        counted = Counter(differences(before, after))
        self.changed += bool(counted)
        for difference, times in counted.items():
            gathered = self.found.setdefault(difference, Gathered())
            gathered.times += times
            gathered.messages += 1
            if len(gathered.examples) < EXAMPLES:
                gathered.examples.append(before.message_id)

    def ranked(self) -> list[tuple[Difference, Gathered]]:
        """Give the differences: by what differs, then the most frequent first."""
        order = list(Aspect)
        return sorted(
            self.found.items(),
            key=lambda one: (order.index(one[0].aspect), -one[1].messages, one[0].subject, one[0].where),
        )


def differences(before: Seen, after: Seen) -> Iterator[Difference]:
    """Say what differs between two readings of one message."""
    source = before.source
    if before.state != after.state:
        yield Difference(Aspect.STATE, source, f"{before.state} → {after.state}")
    kinds = [Counter(item.kind for item in seen.items) for seen in (before, after)]
    if kinds[0] != kinds[1]:
        yield Difference(Aspect.ITEMS, source, f"{_counted(kinds[0])} → {_counted(kinds[1])}")
    codes = [Counter(seen.findings) for seen in (before, after)]
    for code in sorted((codes[0] | codes[1]).keys()):
        if codes[0][code] != codes[1][code]:
            yield Difference(Aspect.FINDINGS, source, ("+ " if codes[1][code] > codes[0][code] else "- ") + code)
    for one, other in zip(before.items, after.items, strict=False):
        yield from _of_items(source, one, other)
    longest = before.items if len(before.items) > len(after.items) else after.items
    for item in longest[min(len(before.items), len(after.items)) :]:
        aspect = Aspect.LOST if longest is before.items else Aspect.GAINED
        for destination in item.sent:
            yield Difference(aspect, destination, item.kind)


def _of_items(source: str, one: ItemSeen, other: ItemSeen) -> Iterator[Difference]:
    if one.patient_id != other.patient_id:
        said = [("a patient" if seen.patient_id is not None else "nobody") for seen in (one, other)]
        where = f"{said[0]} → {said[1]}" if said[0] != said[1] else "a patient → another one"
        yield Difference(Aspect.PATIENT, source, where)
    if one.reason != other.reason:
        yield Difference(Aspect.REASON, source, f"{one.reason or '–'} → {other.reason or '–'}")
    for destination in sorted({*one.sent, *other.sent}):
        was, is_now = one.sent.get(destination), other.sent.get(destination)
        if was is None or is_now is None:
            yield Difference(Aspect.GAINED if was is None else Aspect.LOST, destination, other.kind)
        else:
            yield from _of_sent(destination, was, is_now)


def _of_sent(destination: str, was: Sent, is_now: Sent) -> Iterator[Difference]:
    if was.refusal != is_now.refusal:
        yield Difference(Aspect.REFUSED, destination, is_now.refusal or "can be written again")
    elif was.format != is_now.format:
        yield Difference(Aspect.FORMAT, destination, f"{was.format} → {is_now.format}")
    elif was.content != is_now.content:
        for where in places(was.format, was.content, is_now.content):
            yield Difference(Aspect.CONTENT, destination, where)
    if was.files != is_now.files:
        yield Difference(Aspect.FILES, destination, f"{len(was.files)} → {len(is_now.files)}")


def places(format_name: str, one: bytes, other: bytes, limit: int = 40) -> list[str]:
    """Name the places in which two contents of one format differ; ranks of repetitions are left out of the names."""
    try:
        fmt = format_named(format_name)
        values = [by_place(content, fmt.positions(content)) for content in (one, other)]
    except FormatError:
        return ["content"]
    named = (where for where in sorted({*values[0], *values[1]}) if values[0].get(where) != values[1].get(where))
    return list(islice(named, limit)) or ["layout"]


def by_place(content: bytes, positions: Iterable[tuple[str, int, int]]) -> dict[str, Sequence[bytes]]:
    """Give the values of each place, in their own order; ranks of repetitions are left out of the names."""
    found: dict[str, list[bytes]] = {}
    for where, start, end in positions:
        found.setdefault(_RANK.sub("", where), []).append(content[start:end])
    return {where: sorted(values) for where, values in found.items()}


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())) or "nothing"
