"""Where a result lies: beside its usual range, and among the earlier results that its sender printed with it.

Everything is numbers in small boxes, ready for SVG or for characters; the values themselves stay text everywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.lab import Observation, ObservationValue, PreviousResult, QuantityValue, Reference, Unit

GAUGE = 64
"""Width of the box of a gauge; its height is 8."""

WIDE, HIGH = 96, 28
"""The box of a trend."""

_MARGIN = 3
_BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Gauge:
    """A result beside its range: the usual zone and the result's place, in units of the box.

    `beyond` says that the result lies farther out than the box shows.
    """

    start: float
    width: float
    at: float
    beyond: bool


@dataclass(frozen=True, slots=True)
class Trend:
    """Results in time, oldest first, the present one last.

    `points` are places in the box, `line` the SVG path through them, `zone` the top and height of the usual range when
    it is in sight, `blocks` the same curve in characters.
    """

    points: tuple[tuple[float, float], ...]
    line: str
    zone: tuple[float, float] | None
    blocks: str


def gauge(value: ObservationValue | None, reference: Reference | None) -> Gauge | None:
    """Lay a result out beside its range; None where either is not a number, or the range is none."""
    number = _number(value)
    if number is None or reference is None:
        return None
    low, high = _bound(reference.low), _bound(reference.high)
    if low is not None and high is not None:
        if low >= high:
            return None
        start, width = GAUGE * 0.25, GAUGE * 0.5
        place = start + width * (number - low) / (high - low)
    elif high is not None and high > 0:
        start, width = 0.0, GAUGE * 0.65
        place = width * number / high
    elif low is not None and low > 0:
        start, width = GAUGE * 0.35, GAUGE * 0.65
        place = start * number / low
    else:
        return None
    inside = min(max(place, _MARGIN), GAUGE - _MARGIN)
    return Gauge(round(start, 1), round(width, 1), round(inside, 1), beyond=not 0 <= place <= GAUGE)


def trend(observation: Observation, at: str | None) -> Trend | None:
    """Lay a result out after its earlier ones; `at` is its own moment when it says none.

    None when there is nothing to compare: no earlier number in the same unit, or a moment unknown.
    """
    present, moment = _number(observation.value), _moment(observation.effective_at or at)
    if present is None or moment is None:
        return None
    found = [(moment, present)]
    for earlier in observation.previous:
        number, when = _number(earlier.value), _moment(earlier.effective_at)
        if number is None or when is None or when > moment or not _same_unit(earlier, observation.unit):
            continue
        found.append((when, number))
    if len(found) < 2:
        return None
    found = sorted(found[1:]) + found[:1]
    reference = observation.reference
    low, high = (_bound(reference.low), _bound(reference.high)) if reference is not None else (None, None)
    return _drawn(found, low, high)


def _drawn(found: Sequence[tuple[float, float]], low: float | None, high: float | None) -> Trend:
    numbers = [number for _, number in found]
    bounds = [one for one in (low, high) if one is not None]
    least, most = min(numbers + bounds), max(numbers + bounds)
    reach = (most - least) or 1.0
    first, last = found[0][0], found[-1][0]
    points = []
    for rank, (when, number) in enumerate(found):
        part = (when - first) / (last - first) if last > first else rank / (len(found) - 1)
        x = _MARGIN + (WIDE - 2 * _MARGIN) * part
        points.append((round(x, 1), _height(number, least, reach)))
    zone = None
    if bounds:
        top = _height(high, least, reach) if high is not None else 0.0
        foot = _height(low, least, reach) if low is not None else float(HIGH)
        zone = (top, round(max(0.0, foot - top), 1))
    line = "M" + " L".join(f"{x} {y}" for x, y in points)
    spread = (max(numbers) - min(numbers)) or 1.0
    blocks = "".join(_BLOCKS[round(7 * (number - min(numbers)) / spread)] for number in numbers)
    return Trend(tuple(points), line, zone, blocks)


def _height(number: float, least: float, reach: float) -> float:
    return round(HIGH - _MARGIN - (HIGH - 2 * _MARGIN) * (number - least) / reach, 1)


def _number(value: ObservationValue | None) -> float | None:
    return _bound(value.number) if isinstance(value, QuantityValue) else None


def _bound(text: str | None) -> float | None:
    """Give a decimal as a number to draw; None for what is too large for a screen to mean anything."""
    if not text:
        return None
    number = float(text)
    return number if abs(number) < 1e12 else None


def _moment(text: str | None) -> float | None:
    """Give the seconds of a canonical date or date-time, at its earliest; None for a day that no calendar has."""
    if not text:
        return None
    day, _, clock = text.partition("T")
    whole = "-".join([*day.split("-"), "01", "01"][:3])
    try:
        found = datetime.fromisoformat(f"{whole}T{clock}" if clock else whole)
    except ValueError:
        return None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def _same_unit(earlier: PreviousResult, unit: Unit | None) -> bool:
    """Say whether an earlier result may stand on the same axis: its sender gave no unit of its own, or the same."""
    if earlier.unit is None or unit is None:
        return earlier.unit is None
    return earlier.unit.raw == unit.raw or (earlier.unit.ucum is not None and earlier.unit.ucum == unit.ucum)
