"""A laboratory report as a person reads it: rows of results with their range, flags, and what hangs on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from router.web.formatting import Formats
from schemas.coding import Coding
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    LabChapter,
    LabReport,
    Observation,
    ObservationValue,
    QuantityValue,
    RangeValue,
    RatioValue,
    Reference,
    TextValue,
)
from schemas.value_sets import abnormal_flags

Gravity = Literal["", "off", "critical"]

_ARROWS = {"LL": "↓↓", "HH": "↑↑", "L": "↓", "H": "↑", "<": "↓", ">": "↑", "AA": "!!", "A": "!", "POS": "+", "R": "R"}
_CRITICAL = frozenset({"LL", "HH", "AA"})
_USUAL = frozenset({"N", "NEG", "S"})


@dataclass(frozen=True, slots=True)
class Heading:
    """A chapter's title, with its comment."""

    depth: int
    title: str
    codes: str
    comment: str


@dataclass(frozen=True, slots=True)
class Result:
    """One result line. `gravity` colours it, `arrow` says the same without colour, `flags` says it in words."""

    depth: int
    label: str
    codes: str
    value: str
    unit: str
    reference: str
    gravity: Gravity
    arrow: str
    flags: str
    status: str
    at: str
    notes: tuple[tuple[str, str], ...]
    long: bool


Row = Heading | Result


def rows(report: LabReport, formats: Formats) -> list[Row]:
    """Lay a report out, in its sender's order."""
    found: list[Row] = []
    for chapter in report.chapters:
        found += _chapter(chapter, 0, formats)
    return found


def _chapter(chapter: LabChapter, depth: int, formats: Formats) -> Iterator[Row]:
    comment = chapter.comment or ""
    if chapter.parent is not None and chapter.parent.text:
        comment = " · ".join(part for part in (chapter.parent.text, comment) if part)
    if chapter.title or comment:
        yield Heading(depth, chapter.title or "", codes(chapter.codes), comment)
    for observation in chapter.observations:
        yield _result(observation, depth, formats)
    for inner in chapter.chapters:
        yield from _chapter(inner, depth + 1, formats)


def _result(observation: Observation, depth: int, formats: Formats) -> Result:
    known = abnormal_flags()
    french = formats.french
    words = [(known[flag].fr if french else known[flag].en) if flag in known else flag for flag in observation.flags]
    odd = [flag for flag in observation.flags if flag not in _USUAL]
    gravity: Gravity = "critical" if _CRITICAL & set(odd) else "off" if odd else ""
    value = written(observation.value, formats)
    status = observation.status.value
    return Result(
        depth,
        observation.label or codes(observation.codes) or "–",
        codes(observation.codes),
        value,
        observation.unit.raw if observation.unit is not None else "",
        bounds(observation.reference, formats),
        gravity,
        next((_ARROWS[flag] for flag in odd if flag in _ARROWS), ""),
        ", ".join(words),
        "" if status == "final" else str(formats.texts.word("result_status", status)),
        formats.partial(observation.effective_at),
        tuple(_notes(observation, formats)),
        isinstance(observation.value, TextValue) and len(value) > 40,
    )


def _notes(observation: Observation, formats: Formats) -> Iterator[tuple[str, str]]:
    """Give what hangs on a result, each with the key of its label."""
    second = observation.second
    if second is not None:
        unit = f" {second.unit.raw}" if second.unit is not None else ""
        range_ = bounds(second.reference, formats)
        yield "report.second", written(second.value, formats) + unit + (f" ({range_})" if range_ else "")
    for earlier in observation.previous:
        unit = f" {earlier.unit.raw}" if earlier.unit is not None else ""
        at = f", {formats.partial(earlier.effective_at)}" if earlier.effective_at else ""
        yield "report.previous", written(earlier.value, formats) + unit + at
    if observation.method is not None:
        yield "report.method", observation.method.display or observation.method.code
    if observation.comment:
        yield "report.comment", observation.comment
    if observation.performer is not None and observation.performer.name:
        yield "report.performer", observation.performer.name


def written(value: ObservationValue | None, formats: Formats) -> str:
    """Write a value as its sender did where the text was kept, else from its parts."""
    if value is None:
        return ""
    if isinstance(value, TextValue):
        return value.text
    if value.text:
        return value.text
    if isinstance(value, QuantityValue):
        return f"{value.comparator or ''} {_decimal(value.number, formats)}".strip()
    if isinstance(value, CodedValue):
        return ", ".join(code.display or code.code for code in value.codes)
    if isinstance(value, RatioValue):
        ratio = f"{_decimal(value.numerator, formats)}{value.separator}{_decimal(value.denominator, formats)}"
        return f"{value.comparator or ''} {ratio}".strip()
    if isinstance(value, RangeValue):
        return f"{_decimal(value.low or '', formats)} – {_decimal(value.high or '', formats)}".strip()
    return _date_time(value, formats)


def _date_time(value: DateTimeValue, formats: Formats) -> str:
    return formats.partial(value.at) if "-" in value.at else value.at


def bounds(reference: Reference | None, formats: Formats) -> str:
    """Write a reference range: as sent, else from its bounds."""
    if reference is None:
        return ""
    if reference.text:
        return reference.text
    low, high = reference.low, reference.high
    if low and high:
        return f"{_decimal(low, formats)} – {_decimal(high, formats)}"
    if low:
        return f"≥ {_decimal(low, formats)}"
    return f"≤ {_decimal(high, formats)}" if high else ""


def codes(found: tuple[Coding, ...]) -> str:
    """Name codes with their systems, for the hover."""
    return ", ".join(f"{code.system or '?'}|{code.code}" for code in found)


def _decimal(text: str, formats: Formats) -> str:
    return text.replace(".", ",") if formats.french else text
