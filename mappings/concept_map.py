"""Concept maps: what a sender calls an analysis or a unit, and the LOINC or UCUM code that means the same.

A map belongs to one sender (`code_owner`): two laboratories' `HB` never meet. Applying one adds the mapped coding
beside the sender's own, which is never replaced, moved or removed; a result whose sender gave LOINC is left as it is.
Units get their UCUM code in the same way, where neither the sender nor `schemas.units` knew it. Coded values (an
organism, a blood group) are no analyses, and are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote

from mappings.fhir.systems import sender_key
from schemas.coding import LOCAL, LOINC, UCUM, Coding
from schemas.item import LabReportItem
from schemas.lab import LabChapter, LabReport, Observation, Unit

LONGEST_CODE = 120
"""Characters of a code, a unit or a sender that may be mapped; no catalogue has longer ones."""


class TermKind(StrEnum):
    """What a sender's word names."""

    CODE = "code"
    UNIT = "unit"


class Term(NamedTuple):
    """A sender's own word: `system` is empty for a unit, and `local` for a code that only the sender understands."""

    kind: TermKind
    system: str
    code: str


class MapEntry(NamedTuple):
    """One line of a concept map."""

    sender: str
    term: Term
    target: Coding


class Sighting(NamedTuple):
    """A term that a report uses where it has no standard code: how often, and an example of what stands beside it.

    `label` is the analysis as the sender names it, `unit` its unit as sent; a value is never among them. `target` is
    what the map gives for the term, None when it has nothing.
    """

    term: Term
    label: str | None
    unit: str | None
    target: Coding | None
    times: int


class Applied(NamedTuple):
    """A report with its mapped codes beside the sender's own, and the terms for which a map was asked."""

    report: LabReport
    sightings: tuple[Sighting, ...]


@dataclass(frozen=True, slots=True)
class ConceptMap:
    """The mappings of one sender."""

    targets: Mapping[Term, Coding] = field(default_factory=dict)


NO_MAP = ConceptMap()


def code_owner(item: LabReportItem, source: str) -> str:
    """Name whose codes a report uses: the sender's FINESS, first identifier or name (MSH-3 and 4 of HL7v2).

    It is what `mappings.fhir.systems.sender_key` puts into the system of local codes, written in clear: a FINESS number
    is its nine characters alone. A report
    without a sender uses the laboratory's, and one that names nobody belongs to the source that it came by.
    """
    for organization in (item.sender, item.content.laboratory):
        key = sender_key(organization)
        if key != "unknown":
            return unquote(key.removeprefix("finess-")).replace("\0", "")[:LONGEST_CODE]
    return f"source-{source}"


def local_code(codes: tuple[Coding, ...]) -> Coding | None:
    """Give the code by which a result is mapped: the sender's own, else its first; None when LOINC is there."""
    own: Coding | None = None
    for code in codes:
        system = code.system
        if system == LOINC:
            return None
        if own is None or (system in (LOCAL, None) and own.system not in (LOCAL, None)):
            own = code
    return own


def apply_map(report: LabReport, found: ConceptMap) -> Applied:
    """Add to every result the coding that its sender's code is mapped to, and to every unit its UCUM code.

    Results of all chapters are looked at, those of isolates too; previous results and second results get units. The
    same report is given back when there is nothing to add.
    """
    seen = _Seen(found.targets)
    chapters = seen.chapters(report.chapters)
    changed = report if chapters is report.chapters else report.model_copy(update={"chapters": chapters})
    return Applied(changed, tuple(seen.sightings()))


class _Seen:
    """One pass over a report."""

    def __init__(self, targets: Mapping[Term, Coding]) -> None:
        self._targets = targets
        self._terms: dict[Term, tuple[str | None, str | None, int]] = {}

    def sightings(self) -> Iterable[Sighting]:
        for term, (label, unit, times) in self._terms.items():
            yield Sighting(term, label, unit, self._targets.get(term), times)

    def chapters(self, given: tuple[LabChapter, ...]) -> tuple[LabChapter, ...]:
        done = tuple([self._chapter(chapter) for chapter in given])
        return given if all(new is old for new, old in zip(done, given, strict=True)) else done

    def _chapter(self, chapter: LabChapter) -> LabChapter:
        observations = tuple([self._observation(one) for one in chapter.observations])
        chapters = self.chapters(chapter.chapters) if chapter.chapters else chapter.chapters
        update: dict[str, object] = {}
        if any(new is not old for new, old in zip(observations, chapter.observations, strict=True)):
            update["observations"] = observations
        if chapters is not chapter.chapters:
            update["chapters"] = chapters
        return chapter.model_copy(update=update) if update else chapter

    def _observation(self, given: Observation) -> Observation:
        update: dict[str, object] = {}
        own = local_code(given.codes)
        if own is not None:
            term = Term(TermKind.CODE, own.system or LOCAL, own.code.strip())
            target = self._target(term, given.label or own.display, given.unit)
            if target is not None and target not in given.codes:
                update["codes"] = (*given.codes, target)
        if (unit := self._unit(given.unit, given)) is not given.unit:
            update["unit"] = unit
        second = given.second
        if second is not None and (unit := self._unit(second.unit, given)) is not second.unit:
            update["second"] = second.model_copy(update={"unit": unit})
        if given.previous:
            previous = tuple(
                one if (unit := self._unit(one.unit, given)) is one.unit else one.model_copy(update={"unit": unit})
                for one in given.previous
            )
            if any(new is not old for new, old in zip(previous, given.previous, strict=True)):
                update["previous"] = previous
        return given.model_copy(update=update) if update else given

    def _unit(self, unit: Unit | None, given: Observation) -> Unit | None:
        if unit is None or unit.ucum is not None or not (raw := unit.raw.strip()):
            return unit
        target = self._target(Term(TermKind.UNIT, "", raw), given.label, unit)
        return unit if target is None else unit.model_copy(update={"ucum": target.code})

    def _target(self, term: Term, label: str | None, unit: Unit | None) -> Coding | None:
        if not _can_be_mapped(term):
            return None
        known = self._terms.get(term)
        raw = unit.raw if unit is not None and term.kind is TermKind.CODE else None
        self._terms[term] = (label, raw, 1) if known is None else (known[0], known[1], known[2] + 1)
        return self._targets.get(term)


def _can_be_mapped(term: Term) -> bool:
    # PostgreSQL keeps no NUL in a text, and no catalogue has one.
    return bool(term.code) and max(len(term.code), len(term.system)) <= LONGEST_CODE and "\0" not in "".join(term[1:])


def target_of(kind: TermKind, code: str, system: str = "", display: str = "") -> Coding:
    """Make the target of a mapping. Raises ValueError, in one sentence, for a code that cannot be one."""
    code = code.strip()
    system = system.strip() or (UCUM if kind is TermKind.UNIT else LOINC)
    if not code:
        raise ValueError("the target is empty")
    if len(code) > LONGEST_CODE or len(system) > LONGEST_CODE:
        raise ValueError(f"the target is longer than {LONGEST_CODE} characters")
    if system == LOINC and not is_loinc(code):
        raise ValueError("the target is not a LOINC code: its check digit does not agree")
    if kind is TermKind.UNIT and system != UCUM:
        raise ValueError("the target of a unit is a UCUM code")
    if system == UCUM and not all("!" <= character <= "~" for character in code):
        raise ValueError("the target is not a UCUM code: it holds a blank or a letter with an accent")
    return Coding(system=system, code=code, display=display.strip()[:240] or None)


def is_loinc(code: str) -> bool:
    """Tell whether a text has the form of a LOINC code, with the right check digit (mod 10, LOINC Users' Guide)."""
    number, dash, check = code.partition("-")
    if not dash or not (number + check).isdecimal() or not (number + check).isascii():
        return False
    if len(check) != 1 or not 1 <= len(number) <= 7:
        return False
    total = 0
    for rank, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if rank % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return (10 - total % 10) % 10 == int(check)
