"""The readable part of an HPRIM Médecin report: what a person reads, in columns, at most 80 wide (hprim 2.6)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from mappings.french_time import write_moment
from mappings.lab_text import range_text, value_text
from schemas.actors import Professional
from schemas.lab import LabChapter, LabReport, Observation, ObservationValue, Reference, ResultStatus, Unit

WIDTH = 80
_LABEL, _VALUE, _UNIT = 31, 13, 14
_TOLD = {
    ResultStatus.PRELIMINARY: "(provisoire)",
    ResultStatus.PARTIAL: "(provisoire)",
    ResultStatus.CORRECTED: "(corrigé)",
    ResultStatus.AMENDED: "(corrigé)",
    ResultStatus.UNKNOWN: "",
}
WITHOUT_VALUE = {
    ResultStatus.REGISTERED: "Résultat en cours",
    ResultStatus.CANCELLED: "Analyse annulée",
    ResultStatus.ENTERED_IN_ERROR: "Résultat supprimé par le laboratoire (erreur)",
}
"""What is printed, and said in a TEX line, instead of a value that does not stand."""


def render(report: LabReport, zone: ZoneInfo) -> list[str]:
    """Print a report that has no readable text of its own."""
    lines: list[str] = []
    if report.title:
        lines += [report.title.center(WIDTH).rstrip(), ""]
    facts = (
        ("Demande", report.order_id),
        ("Prescripteur", professional_name(report.prescriber)),
        ("Prélevé le", report.collected_at and write_moment(report.collected_at, zone)),
        ("Reçu le", report.received_at and write_moment(report.received_at, zone)),
        ("Édité le", _edited(report, zone)),
        ("Prélèvement", ", ".join(_specimens(report)) or None),
        ("Renseignements", report.clinical_information),
    )
    for name, fact in facts:
        if fact:
            lines += _folded(f"{name} : {fact}", "  ")
    for chapter in report.chapters:
        lines += _chapter(chapter, zone, top=True)
    for name, text in (("Commentaire", report.comment), ("Conclusion", report.conclusion)):
        if text:
            lines += ["", f"{name} :", *_folded(text, "  ", "  ")]
    validator = professional_name(report.validated_by)
    if validator:
        lines += ["", *_folded(f"Validé par {validator}", "  ")]
    return lines


def _edited(report: LabReport, zone: ZoneInfo) -> str | None:
    if report.issued_at is None or report.issued_at == report.collected_at:
        return None
    return write_moment(report.issued_at, zone)


def professional_name(who: Professional | None) -> str | None:
    """Give a professional's name in one line, or None."""
    if who is None:
        return None
    parts = (who.civility, who.family_name, who.given_name) if who.family_name else (who.name,)
    return " ".join(part for part in parts if part) or None


def _specimens(report: LabReport) -> Iterator[str]:
    for specimen in report.specimens:
        name = specimen.text or (specimen.type.display or specimen.type.code if specimen.type else None)
        if name:
            yield name


def _chapter(chapter: LabChapter, zone: ZoneInfo, *, top: bool) -> Iterator[str]:
    if chapter.title:
        yield ""
        yield chapter.title.center(WIDTH).rstrip() if top else chapter.title
    if chapter.comment:
        yield from _folded(chapter.comment, "  ", "  ")
    for observation in chapter.observations:
        yield from _observation(observation, zone)
    for inner in chapter.chapters:
        yield from _chapter(inner, zone, top=False)


def _observation(observation: Observation, zone: ZoneInfo) -> Iterator[str]:
    label = observation.label or next((code.display or code.code for code in observation.codes), "Résultat")
    instead = WITHOUT_VALUE.get(observation.status)
    if instead:
        yield from _folded(f" {label} : {instead}", "    ")
    else:
        yield from _result(label, observation.value, observation.unit, observation.reference, observation.flags, zone)
        if told := _TOLD.get(observation.status, ""):
            yield f"    {told}"
        if second := observation.second:
            yield from _result("", second.value, second.unit, second.reference, second.flags, zone)
    for earlier in observation.previous:
        when = f" ({write_moment(earlier.effective_at, zone)})" if earlier.effective_at else ""
        unit = f" {earlier.unit.raw}" if earlier.unit else ""
        yield from _folded(f"    Antériorité : {value_text(earlier.value, zone)}{unit}{when}", "      ")
    if observation.comment:
        yield from _folded(observation.comment, "    ", "    ")


def _result(
    label: str,
    value: ObservationValue | None,
    unit: Unit | None,
    reference: Reference | None,
    flags: tuple[str, ...],
    zone: ZoneInfo,
) -> Iterator[str]:
    text = value_text(value, zone)
    mark = "" if not flags or flags == ("N",) else f" {','.join(flags)}"
    bounds = range_text(reference) if reference else ""
    if len(label) + 1 > _LABEL:
        yield from _folded(f" {label}", "   ")
        label = ""
    if len(text) > _VALUE - 1 or "\n" in text:
        yield f" {label}".rstrip() + (" :" if label else "")
        told = f"{text}{' ' + unit.raw if unit else ''}{mark}"
        yield from _folded(told, "    ", "    ")
        if bounds:
            yield from _folded(f"    ({bounds})", "    ")
        return
    row = f" {label}".ljust(_LABEL) + text.rjust(_VALUE) + f"{mark:<3} " + (unit.raw if unit else "").ljust(_UNIT)
    if len(row) + 1 + len(bounds) <= WIDTH:
        yield f"{row} {bounds}".rstrip()
    else:
        yield row.rstrip()
        yield from _folded(f"    ({bounds})" if bounds else "", "    ")


def _folded(text: str, later: str, first: str = "") -> Iterator[str]:
    """Fold each line of a text at 80 columns; the lines that continue one are moved in by `later`."""
    for line in text.split("\n"):
        yield from fold(line, later, first)


def fold(line: str, later: str = "", first: str = "") -> list[str]:
    """Fold one line at 80 columns."""
    if len(first) + len(line) <= WIDTH:
        return [(first + line).rstrip()]
    return textwrap.wrap(
        line,
        WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    ) or [""]
