"""A laboratory report as a person reads it: rows of results with their range, flags, and what hangs on them.

Pages draw it as a table, the terminal too: neither reads the canonical report itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from router.web.formatting import Formats
from router.web.trends import Gauge, Trend, gauge, trend
from router.web.values import bounds, codes, label, written
from schemas.lab import CodedValue, LabChapter, LabReport, Observation, Specimen, TextValue
from schemas.value_sets import abnormal_flags

Gravity = Literal["", "off", "critical"]

_ARROWS = {"LL": "↓↓", "HH": "↑↑", "L": "↓", "H": "↑", "<": "↓", ">": "↑", "AA": "!!", "A": "!", "POS": "+"}
_CRITICAL = frozenset({"LL", "HH", "AA"})
_USUAL = frozenset({"N", "NEG", "S", "VS"})
_SUSCEPTIBILITY = frozenset({"S", "I", "R", "MS", "VS", "SDD", "NS"})
"""Flags of an antibiogram: the letter itself is what readers look for."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A chapter's title, with its comment; `organism` is the germ that the chapter is about."""

    depth: int
    title: str
    codes: str
    comment: str
    organism: str
    status: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier result, in words."""

    value: str
    unit: str
    at: str


@dataclass(frozen=True, slots=True)
class Result:
    """One result line. `gravity` colours it, `arrow` says the same without colour, `flags` says it in words.

    `letter` is the susceptibility of an antibiogram's line (S, I, R…), which then has no arrow. `numeric` values stand
    under one another; `long` ones are read as sentences.
    """

    depth: int
    label: str
    codes: str
    value: str
    unit: str
    reference: str
    gravity: Gravity
    arrow: str
    letter: str
    flags: str
    status: str
    at: str
    previous: tuple[Earlier, ...]
    notes: tuple[tuple[str, str], ...]
    numeric: bool
    long: bool
    gauge: Gauge | None
    trend: Trend | None


Row = Heading | Result


@dataclass(frozen=True, slots=True)
class Material:
    """A specimen: what it is, and the facts of its life (`fact.<key>` and text)."""

    name: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reported:
    """A report as it is drawn; `compared` says that some results have earlier ones."""

    rows: list[Row]
    materials: list[Material]
    conclusion: str
    text: str
    compared: bool


def reported(report: LabReport, formats: Formats) -> Reported:
    """Lay a whole report out."""
    found = rows(report, formats)
    return Reported(
        found,
        materials(report, formats),
        report.conclusion or "",
        report.text or "",
        any(isinstance(row, Result) and row.previous for row in found),
    )


def rows(report: LabReport, formats: Formats) -> list[Row]:
    """Lay a report out, in its sender's order."""
    several = {specimen.id: _name(specimen) for specimen in report.specimens} if len(report.specimens) > 1 else {}
    found: list[Row] = []
    for chapter in report.chapters:
        found += _chapter(chapter, 0, _Manner(formats, report.collected_at or report.issued_at, several))
    return found


def materials(report: LabReport, formats: Formats) -> list[Material]:
    """List a report's specimens."""
    return [
        Material(
            _name(one),
            tuple(
                (key, text)
                for key, text in (
                    ("specimen_id", ", ".join(number.value for number in one.identifiers)),
                    ("collected_at", formats.partial(one.collected_at)),
                    ("received_at", formats.partial(one.received_at)),
                    ("specimen_site", label(one.site)),
                    ("specimen_method", label(one.method)),
                    ("specimen_condition", one.condition or ""),
                    ("comment", one.text if one.text and one.text.casefold() != _name(one).casefold() else ""),
                )
                if text
            ),
        )
        for one in report.specimens
    ]


@dataclass(frozen=True, slots=True)
class _Manner:
    """How the rows of one report are written; `at` is when its results that say no date were taken."""

    formats: Formats
    at: str | None
    specimens: dict[str, str]


def _chapter(chapter: LabChapter, depth: int, manner: _Manner) -> Iterator[Row]:
    parent = chapter.parent
    organism = (parent.text or label(parent.code)) if parent is not None else ""
    if organism == chapter.title:
        organism = ""
    status = ""
    if chapter.status is not None and chapter.status.value not in {"final", "unknown"}:
        status = str(manner.formats.texts.word("result_status", chapter.status.value))
    if chapter.title or chapter.comment or organism:
        yield Heading(depth, chapter.title or "", codes(chapter.codes), chapter.comment or "", organism, status)
    for observation in chapter.observations:
        yield _result(observation, depth, manner)
    for inner in chapter.chapters:
        yield from _chapter(inner, depth + 1, manner)


def _result(observation: Observation, depth: int, manner: _Manner) -> Result:
    known, formats = abnormal_flags(), manner.formats
    words = [
        (known[flag].fr if formats.french else known[flag].en) if flag in known else flag for flag in observation.flags
    ]
    odd = [flag for flag in observation.flags if flag not in _USUAL]
    gravity: Gravity = "critical" if _CRITICAL & set(odd) else "off" if odd else ""
    letter = next((flag for flag in observation.flags if flag in _SUSCEPTIBILITY), "")
    value = written(observation.value, formats)
    numeric = not isinstance(observation.value, TextValue | CodedValue)
    status = observation.status.value
    return Result(
        depth,
        observation.label or codes(observation.codes) or "–",
        codes(observation.codes),
        value,
        observation.unit.raw if observation.unit is not None else "",
        bounds(observation.reference, formats),
        gravity,
        "" if letter else next((_ARROWS[flag] for flag in odd if flag in _ARROWS), ""),
        letter,
        ", ".join(words),
        "" if status == "final" else str(formats.texts.word("result_status", status)),
        formats.partial(observation.effective_at),
        tuple(
            Earlier(
                written(earlier.value, formats),
                earlier.unit.raw if earlier.unit is not None and earlier.unit != observation.unit else "",
                formats.partial(earlier.effective_at),
            )
            for earlier in observation.previous
        ),
        tuple(_notes(observation, manner)),
        numeric,
        not numeric and len(value) > 40,
        gauge(observation.value, observation.reference),
        trend(observation, manner.at),
    )


def _notes(observation: Observation, manner: _Manner) -> Iterator[tuple[str, str]]:
    """Give what hangs on a result, each with the key of its label."""
    formats, second = manner.formats, observation.second
    if second is not None:
        unit = f" {second.unit.raw}" if second.unit is not None else ""
        range_ = bounds(second.reference, formats)
        yield "report.second", written(second.value, formats) + unit + (f" ({range_})" if range_ else "")
    if observation.method is not None:
        yield "report.method", observation.method.display or observation.method.code
    if observation.specimen in manner.specimens:
        yield "report.specimen", manner.specimens[observation.specimen]
    if observation.comment:
        yield "report.comment", observation.comment
    if observation.performer is not None and observation.performer.name:
        yield "report.performer", observation.performer.name
    validator = observation.validated_by
    if validator is not None and (validator.family_name or validator.name):
        names = (validator.civility, validator.given_name, validator.family_name)
        yield "report.validated_by", validator.name or " ".join(part for part in names if part)


def _name(specimen: Specimen) -> str:
    return label(specimen.type) or specimen.text or specimen.id
