"""Canonical observations to OBX and their NTE."""

from __future__ import annotations

import re
from decimal import Decimal

from mappings.hl7v2.observations import SECOND
from mappings.hl7v2.pen import Pen
from mappings.hl7v2.remarks import OURS, PREVIOUS
from mappings.hl7v2.statuses import TO_RESULT
from mappings.hl7v2.times import stamp
from mappings.hl7v2.values import reference as reference_of
from mappings.hl7v2.written_types import ce, coding, coding_system_name, xcn
from schemas.actors import Organization
from schemas.finding import Severity
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    Observation,
    ObservationValue,
    PreviousResult,
    QuantityValue,
    RangeValue,
    RatioValue,
    Reference,
    ResultStatus,
    TextValue,
    Unit,
)
from schemas.units import ucum_of

_TIME = re.compile(r"\d\d:\d\d(?::\d\d)?")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)", re.ASCII)
_NUMERIC_TEXT = re.compile(r"\s*(?:[<>≤≥=]+)?\s*[+-]?\d*[.,]?\d+\s*")
_NO_BREAK = "\u00a0"


def write_observation(pen: Pen, number: int, observation: Observation, laboratory: Organization | None) -> int:
    """Write one result (two lines when it has a second unit) and its comments; give the next OBX-1."""
    pen.begin("OBX")
    performer = observation.performer or laboratory
    value, unit, reference, flags = observation.value, observation.unit, observation.reference, observation.flags
    sub_id = observation.sub_id or ""
    status = _status(pen, observation)
    named = ce(pen, observation.codes, observation.label)
    display = observation.codes[0].display if observation.codes else None
    if display and observation.label and observation.label != display:
        pen.note(Severity.INFO, "hl7v2.write.label", "the label is written in place of the display of the code")
        first = observation.codes[0].model_copy(update={"display": observation.label})
        named = ce(pen, (first, *observation.codes[1:]))
    if len(observation.codes) > 2:
        pen.lost("a third code of a result")
    second = observation.second
    rows = [(sub_id, value, unit, reference, flags)]
    if second is not None:
        rows.append((sub_id + SECOND, second.value, second.unit, second.reference, second.flags))
    for row, (sub, one, its_unit, its_reference, its_flags) in enumerate(rows):
        if row:
            pen.begin("OBX")
        kind, raw = written_value(pen, one, with_unit=its_unit is not None)
        pen.segment(
            "OBX",
            {
                1: str(number),
                2: kind,
                3: named,
                4: pen.text(sub),
                5: raw,
                6: _unit(pen, its_unit),
                7: pen.text(_reference(its_reference)),
                8: "~".join(pen.text(flag) for flag in its_flags),
                11: status,
                13: pen.text(observation.access),
                14: stamp(observation.effective_at) if observation.effective_at else "",
                15: _producer(pen, performer),
                16: xcn(pen, observation.validated_by),
                17: coding(pen, observation.method),
                19: stamp(observation.issued_at) if observation.issued_at else "",
            },
        )
        number += 1
        if not row:
            write_note(pen, observation.comment)
            for previous in observation.previous:
                _write_previous(pen, previous)
    return number


def write_note(pen: Pen, text: str | None, role: str | None = None, kind: str = "") -> None:
    """Write one NTE; `role` is one of ours (`remarks`), named in NTE-4 with the value type `kind` beside."""
    if not text:
        return
    pen.begin("NTE")
    comment_type = ""
    if role is not None:
        comment_type = pen.components((role, _TITLES.get(role, ""), OURS, kind, "", "HL70125" if kind else ""))
    pen.segment("NTE", {1: "1", 2: "L", 3: pen.text(text), 4: comment_type})


_TITLES = {PREVIOUS: "Antériorité", "CONCLUSION": "Conclusion", "REPORT_COMMENT": "Commentaire du compte rendu"}


def written_value(pen: Pen, value: ObservationValue | None, *, with_unit: bool = False) -> tuple[str, str]:
    """Write a value as OBX-2 and OBX-5."""
    match value:
        case None:
            return "", ""
        case QuantityValue():
            number = _decimal(value.number)
            return ("SN", f"{pen.text(value.comparator)}^{number}") if value.comparator else ("NM", number)
        case RatioValue():
            numbers = (_decimal(value.numerator), pen.text(value.separator), _decimal(value.denominator))
            return "SN", "^".join((pen.text(value.comparator), *numbers))
        case RangeValue():
            return _range(pen, value)
        case CodedValue():
            return _coded(pen, value)
        case DateTimeValue():
            if _TIME.fullmatch(value.at):
                return "TM", value.at.replace(":", "")
            written = stamp(value.at)
            if written:
                return ("TS" if "T" in value.at else "DT"), written
            pen.note(Severity.WARNING, "hl7v2.write.time", "a time that is not ISO 8601 was written as text")
            return "ST", pen.text(value.at)
        case TextValue():
            plain = "\n" not in value.text and not (with_unit and _NUMERIC_TEXT.fullmatch(value.text))
            return ("ST" if plain else "FT"), pen.text(value.text)


def _decimal(number: str) -> str:
    """Write a decimal without an exponent, every digit kept."""
    return number if _NUMBER.fullmatch(number) else format(Decimal(number), "f")


def _range(pen: Pen, value: RangeValue) -> tuple[str, str]:
    if value.low is not None and value.high is not None:
        return "SN", f"^{_decimal(value.low)}^-^{_decimal(value.high)}"
    if value.low is None and value.high is None:
        return "ST", pen.text(value.text)
    pen.note(Severity.WARNING, "hl7v2.write.open_range", "a range with one bound was written as a comparison")
    bound = value.low if value.low is not None else value.high
    return "SN", f"{'>=' if value.low is not None else '<='}^{_decimal(bound or '0')}"


def _coded(pen: Pen, value: CodedValue) -> tuple[str, str]:
    codes, text = value.codes, value.text
    display = next((code.display for code in codes if code.display), None)
    original = text if codes and text and text != display and display else None
    if len(codes) > 2:
        original = text or display
    kind = "CWE" if original else "CE"
    first = ce(pen, codes[:2], text, original=original)
    further = [ce(pen, codes[at : at + 2]) for at in range(2, len(codes), 2)]
    return kind, "~".join((first, *further))


def _status(pen: Pen, observation: Observation) -> str:
    status = observation.status
    if status is ResultStatus.UNKNOWN:
        pen.note(Severity.WARNING, "hl7v2.write.status", "a result without a status was written without one")
    elif status is ResultStatus.PARTIAL:
        pen.note(Severity.INFO, "hl7v2.write.status", "a partial result is read as preliminary by most receivers")
    return TO_RESULT[status]


def _unit(pen: Pen, unit: Unit | None) -> str:
    """Write OBX-6: the unit as it was, and its UCUM code beside when our table would not find it again."""
    if unit is None:
        return ""
    raw = pen.text(unit.raw)
    if unit.ucum is None or unit.ucum == ucum_of(unit.raw):
        return raw
    return pen.components((raw, raw, "L", pen.text(unit.ucum), pen.text(unit.ucum), "UCUM"))


def _reference(reference: Reference | None) -> str | None:
    """Write OBX-7 so that the bounds are read back: what they do not say follows in brackets."""
    if reference is None:
        return None
    low, high, text = reference.low, reference.high, reference.text
    if low is None and high is None:
        return text
    bounds = _bounds(low, high)
    if text is None or text.strip() == bounds:
        return text or bounds
    found = reference_of(text)
    same = found is not None and (found.low, found.high) == (low, high)
    return text if same else f"{bounds} ({text})"


def _bounds(low: str | None, high: str | None) -> str:
    if low is not None and high is not None:
        return f"{_decimal(low)} - {_decimal(high)}"
    return f"> {_decimal(low)}" if low is not None else f"< {_decimal(high or '0')}"


def _producer(pen: Pen, performer: Organization | None) -> str:
    """Write OBX-15: the code and name of who did the analysis."""
    if performer is None:
        return ""
    if performer.address is not None or performer.telecoms:
        pen.lost("the address of a laboratory")
    first, *others = performer.identifiers or (None,)
    if first is None:
        return pen.components(("", pen.text(performer.name)))
    parts = [pen.text(first.value), pen.text(performer.name), pen.text(coding_system_name(first.system))]
    if others and others[0] is not None:
        other = others[0]
        parts += [pen.text(other.value), "", pen.text(coding_system_name(other.system))]
    return pen.components(parts)


def _write_previous(pen: Pen, previous: PreviousResult) -> None:
    kind, text = _spoken(previous.value)
    if isinstance(previous.value, CodedValue) and previous.value.codes:
        pen.lost("the codes of an earlier result")
    when = f" du {previous.effective_at}" if previous.effective_at else ""
    unit = f"{_NO_BREAK}{previous.unit.raw}" if previous.unit is not None else ""
    write_note(pen, f"Antériorité{when} : {text.replace(_NO_BREAK, ' ')}{unit}", PREVIOUS, kind)


def _spoken(value: ObservationValue) -> tuple[str, str]:
    """Say an earlier value in words, with the type that reads it back."""
    match value:
        case QuantityValue():
            return ("SN" if value.comparator else "NM"), f"{value.comparator or ''}{_decimal(value.number)}"
        case RatioValue():
            numbers = f"{_decimal(value.numerator)}{value.separator}{_decimal(value.denominator)}"
            return "SN", f"{value.comparator or ''}{numbers}"
        case RangeValue(low=str(low), high=str(high)):
            return "SN", f"{_decimal(low)}-{_decimal(high)}"
        case RangeValue():
            return "ST", value.text or ""
        case DateTimeValue():
            return "TS", value.at
        case CodedValue():
            return "ST", value.text or next((code.display or code.code for code in value.codes), "")
        case TextValue():
            return "ST", value.text
