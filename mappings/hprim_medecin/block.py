"""The ****LAB**** block of a report to write: titles and comments as TEX, results as RES (hprim 2.4 and 2.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo

from mappings.hprim_medecin.chapters import SPECIAL_TITLES, special_title, title_of
from mappings.hprim_medecin.record import LONG_COMMENT, STATUSES
from mappings.hprim_medecin.render import WIDTH, WITHOUT_VALUE
from mappings.lab_text import plain_decimal, value_text
from mappings.notes import Notes
from mappings.plain_text import has_entities, squeezed, without_controls
from schemas.coding import LOCAL, Coding
from schemas.lab import (
    CodedValue,
    LabChapter,
    LabReport,
    Observation,
    ObservationValue,
    QuantityValue,
    Reference,
    ResultStatus,
    SecondResult,
    Unit,
)

COMMENT_INDENT = "  "
"""Comments are moved in by two blanks: a line moved in by one to three is never taken for a title."""
NO_TITLE = "------  ------"
RECOMMENDED_FLAGS = frozenset({"L", "H", "LL", "HH", "N"})

_LETTERS = {status: letter for letter, status in STATUSES.items()} | {
    ResultStatus.AMENDED: "C",
    ResultStatus.PARTIAL: "R",
}
_PARTS = {part: title for title, part in reversed(SPECIAL_TITLES.items())} | {
    "clinical_information": "renseignements cliniques"
}


def coded_lines(report: LabReport, zone: ZoneInfo, notes: Notes) -> list[str]:
    """Write the block's lines; none when the report has no result."""
    lines = [line for chapter in report.chapters for line in _chapter(chapter, zone, notes)]
    if not any(line.startswith("RES|") for line in lines):
        return []
    while lines and lines[0] == _tex(NO_TITLE):
        del lines[0]
    before = list(_part("clinical_information", report.clinical_information, notes))
    if before and not lines[0].startswith("TEX|"):
        before.append(_tex(NO_TITLE))
    after = [*_part("comment", report.comment, notes), *_part("conclusion", report.conclusion, notes)]
    return [*before, *lines, *after]


def _part(name: str, text: str | None, notes: Notes) -> Iterator[str]:
    if text:
        yield _title(_PARTS[name].upper())
        yield from _comment(text, notes)


def _tex(text: str) -> str:
    return f"TEX|{text}" if text else "TEX"


def _title(title: str) -> str:
    """Write a title so that a reader sees one: centred capitals as they are, anything else between dashes."""
    centred = title.center(WIDTH - 4).rstrip()
    return _tex(centred if title_of(centred) == title else f"------ {title} ------")


def _chapter(chapter: LabChapter, zone: ZoneInfo, notes: Notes) -> Iterator[str]:
    title = squeezed(_field(chapter.title or "", "chapter.title", notes))
    if title and not (special_title(title) and not chapter.observations):
        yield _title(title)
    else:
        yield _tex(NO_TITLE)
    if chapter.comment:
        yield from _comment(chapter.comment, notes)
    for observation in chapter.observations:
        yield from _observation(observation, zone, notes)
    for inner in chapter.chapters:
        yield from _chapter(inner, zone, notes)


def _comment(text: str, notes: Notes) -> Iterator[str]:
    for line in text.strip("\n").split("\n"):
        safe = _field(line.expandtabs().rstrip(), "comment", notes)
        yield _tex(f"{COMMENT_INDENT}{safe}" if safe.strip() else "")


def _field(text: str, where: str, notes: Notes) -> str:
    """Make a text fit to stand in a coded line: one line, without `|` (there is no escape)."""
    safe = without_controls(text.replace("\n", " "))
    if "|" in safe:
        notes.warning("hprim.write.replaced", where, "the separator `|` is written as `/`")
        safe = safe.replace("|", "/")
    return safe.replace("&", "&amp;") if has_entities(safe) else safe


def _observation(observation: Observation, zone: ZoneInfo, notes: Notes) -> Iterator[str]:
    label = squeezed(_field(_label(observation), "RES-02", notes))
    code = _field(_code(observation.codes, notes), "RES-03", notes).strip()
    instead = WITHOUT_VALUE.get(observation.status)
    if instead:
        notes.warning(
            "hprim.write.status", "RES-10", f"status {observation.status} is said in a comment, without a value"
        )
        yield _record([label, code, "A", *[""] * 8])
        yield _tex(f"{COMMENT_INDENT}{instead}")
    else:
        yield from _results(label, code, observation, zone, notes)
    if observation.comment:
        yield from _comment(observation.comment, notes)


def _label(observation: Observation) -> str:
    return observation.label or next((code.display for code in observation.codes if code.display), "")


def _code(codes: tuple[Coding, ...], notes: Notes) -> str:
    """Choose the sender's own code; RES-03 does not say whose code it is."""
    local = next((code.code for code in codes if code.system in {LOCAL, None}), None)
    if local is None and codes:
        notes.warning("hprim.write.not_carried", "observation.codes.system", "RES-03 does not name the code's system")
    return local if local is not None else next((code.code for code in codes), "")


def _results(label: str, code: str, observation: Observation, zone: ZoneInfo, notes: Notes) -> Iterator[str]:
    second = observation.second
    status = _LETTERS.get(observation.status, "")
    first = _cells(observation.value, observation.unit, observation.reference, zone, notes)
    beside = second is not None and _fits_beside(observation, second, first[1])
    flags = observation.flags or (second.flags if second and beside else ())
    row = [label, code, *first, _flag(flags, notes), status]
    if second and beside:
        row += _cells(second.value, second.unit, second.reference, zone, notes)[1:]
    yield _record(row)
    if second and not beside:
        cells = _cells(second.value, second.unit, second.reference, zone, notes)
        yield _record(["soit", "", *cells, _flag(second.flags, notes), status])


def _fits_beside(observation: Observation, second: SecondResult, text: str) -> bool:
    """Tell whether RES-11 to 14 can hold the second result: bounds decide whose the one flag is (hprim 2.5.9)."""
    if observation.value is None or (len(text) > LONG_COMMENT and isinstance(second.value, QuantityValue)):
        return False
    moved = observation.reference is None and second.reference is not None
    if second.flags:
        return moved and not observation.flags
    return not (moved and observation.flags)


def _cells(
    value: ObservationValue | None, unit: Unit | None, reference: Reference | None, zone: ZoneInfo, notes: Notes
) -> list[str]:
    """Write RES-04 to RES-08: type, value, unit, bounds."""
    kind = "N" if isinstance(value, QuantityValue) and value.comparator is None else "A"
    text = value_text(value, zone)
    if isinstance(value, CodedValue) and not value.text and value.codes and value.codes[0].display is None:
        kind = "C"
    if "\n" in text:
        notes.info("hprim.write.line_breaks", "RES-05", "a result of several lines is written in one")
    low, high = _bounds(reference, notes)
    return [kind, _field(text, "RES-05", notes).strip(), _field(unit.raw if unit else "", "RES-06", notes), low, high]


def _bounds(reference: Reference | None, notes: Notes) -> tuple[str, str]:
    if reference is None:
        return "", ""
    if reference.low is None and reference.high is None:
        return squeezed(_field(reference.text or "", "RES-07", notes)), ""
    return _bound(reference.low), _bound(reference.high)


def _bound(bound: str | None) -> str:
    """Write one bound, empty when it is open."""
    return plain_decimal(bound) if bound is not None else ""


def _flag(flags: Iterable[str], notes: Notes) -> str:
    flag = next(iter(flags), "")
    if flag and flag not in RECOMMENDED_FLAGS:
        notes.info("hprim.write.flag", "RES-09", "a flag beyond L, H, LL, HH and N is written as it is")
    return _field(flag, "RES-09", notes)


def _record(cells: list[str]) -> str:
    return "RES|" + "|".join(cells).rstrip("|")
