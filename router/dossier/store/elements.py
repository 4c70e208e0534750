"""Walking through a resource that is plain JSON, and what its values are called for a search."""

from __future__ import annotations

import calendar
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import orjson

from mappings.contracts import PARIS

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None
Resource = dict[str, Json]

_STEP = re.compile(r"ext\([^)]*\)|->[A-Za-z]+|[^.\->]+(?:-[^.\->]+)*")
_MOMENT = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?)?)?)?", re.ASCII
)
DEPTH = 40
"""Elements inside one another at most; deeper content is no health record."""


class NotJson(ValueError):
    """The content is not JSON, or nests too deep."""


def loaded(content: bytes | str) -> Json:
    """Parse JSON that somebody sent; decimals keep their digits. Raises NotJson."""
    try:
        found = kept(content)
    except (ValueError, RecursionError):
        raise NotJson("not JSON") from None
    if _too_deep(found, DEPTH):
        raise NotJson("nested too deep")
    try:
        dumped(found)
    except TypeError:  # half a surrogate pair, a whole number past 64 bits: what cannot be kept is not taken
        raise NotJson("not writable") from None
    return found


def kept(content: bytes | str) -> Json:
    """Parse JSON of our own, which was checked when it came."""
    found: Json = json.loads(content, parse_float=orjson.Fragment, parse_constant=_refuse)
    return found


def _refuse(_constant: str) -> Json:
    raise ValueError("NaN and Infinity are not JSON")


def _too_deep(node: Json, left: int) -> bool:
    if left < 0:
        return True
    if isinstance(node, dict):
        return any(_too_deep(one, left - 1) for one in node.values())
    return isinstance(node, list) and any(_too_deep(one, left - 1) for one in node)


def dumped(resource: Json) -> bytes:
    """Write JSON; decimals as they were read."""
    return orjson.dumps(resource)


def child(node: Json, name: str) -> Resource | None:
    """Give an element that is an object."""
    found = node.get(name) if isinstance(node, dict) else None
    return found if isinstance(found, dict) else None


def children(node: Json, name: str) -> list[Resource]:
    """Give the objects of an element, one or many."""
    found = node.get(name) if isinstance(node, dict) else None
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]


def said(node: Json, name: str) -> str:
    """Give a text, empty when there is none."""
    found = node.get(name) if isinstance(node, dict) else None
    return found if isinstance(found, str) else ""


def walk(resource: Resource, path: str) -> Iterator[Json]:
    """Give every value at a path (`router.dossier.store.parameters`)."""
    nodes: list[Json] = [resource]
    for step in _steps(path):
        nodes = [inner for node in nodes for inner in _step(node, step, resource)]
        if not nodes:
            return
    yield from nodes


@cache
def _steps(path: str) -> tuple[str, ...]:
    return tuple(_STEP.findall(path))


def _step(node: Json, step: str, resource: Resource) -> Iterator[Json]:
    if step.startswith("->"):
        reference = said(node, "reference")
        for one in children(resource, "contained"):
            if reference == f"#{said(one, 'id')}" and said(one, "resourceType") == step[2:]:
                yield one
        return
    if step.startswith("ext("):
        for one in children(node, "extension"):
            if said(one, "url") == step[4:-1]:
                yield from (value for key, value in one.items() if key.startswith("value"))
                yield from [one] if "extension" in one else []
        return
    found = node.get(step) if isinstance(node, dict) else None
    if isinstance(found, list):
        yield from found
    elif found is not None:
        yield found


def codes(node: Json) -> Iterator[tuple[str, str]]:
    """Give the (system, code) pairs of a token: a Coding, a CodeableConcept, an Identifier, a code, a boolean."""
    if isinstance(node, bool):
        yield "", "true" if node else "false"
    elif isinstance(node, str):
        yield "", node
    elif isinstance(node, dict):
        for one in children(node, "coding"):
            yield from codes(one)
        value = said(node, "code") or said(node, "value")
        if value:
            yield said(node, "system"), value


def span(text: str, zone: ZoneInfo = PARIS) -> tuple[int, int] | None:
    """Give a partial date-time as a span of microseconds [low, high); None when it is none."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        parts = (int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0))
        start = datetime(*parts, tzinfo=UTC).replace(tzinfo=None)
        aware = _zoned(start, offset, zone)
    except ValueError:
        return None
    low = _micros(aware)
    if hour is not None:
        if fraction is not None:
            digits = fraction[1:7]
            low += int(digits.ljust(6, "0"))
            return low, low + 10 ** (6 - len(digits))
        return low, low + (1_000_000 if second is not None else 60_000_000)
    if day is not None:
        length = timedelta(days=1)
    elif month is not None:
        length = timedelta(days=calendar.monthrange(int(year), int(month))[1])
    else:
        length = timedelta(days=365 + calendar.isleap(int(year)))
    try:
        return low, _micros(_zoned(start + length, offset, zone))
    except (ValueError, OverflowError):
        return low, END  # the last day of the calendar, by which people mean no end


def _zoned(naive: datetime, offset: str | None, zone: ZoneInfo) -> datetime:
    if offset is None:
        return naive.replace(tzinfo=zone)
    return datetime.fromisoformat(naive.isoformat() + ("+00:00" if offset == "Z" else offset))


def _micros(moment: datetime) -> int:
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1)


def dates(node: Json, zone: ZoneInfo = PARIS) -> tuple[int, int] | None:
    """Give the span of a date, an instant or a Period (an open end is as far as the calendar goes)."""
    if isinstance(node, str):
        return span(node, zone)
    if not isinstance(node, dict):
        return None
    start, end = span(said(node, "start"), zone), span(said(node, "end"), zone)
    if start is None and end is None:
        return None
    return (start[0] if start else BEGINNING, end[1] if end else END)


BEGINNING = _micros(datetime(1, 1, 2, tzinfo=UTC))
END = _micros(datetime(9999, 12, 30, tzinfo=UTC))
