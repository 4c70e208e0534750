"""Values, units and reference ranges of results as CDA data types (cda-fr §5.2).

    quantity          PQ; with a comparator, an IVL_PQ with one bound
    range             IVL_PQ with both bounds
    coded             CD with translations; its words in the narrative
    text              CD without a code, the text in the narrative
    ratio (titre)     RTO_PQ_PQ
    date              TS

A unit is its UCUM code; the spelling of the laboratory, where it differs, is a translation without a code. A unit
without UCUM code is written as a UCUM annotation (`{spelling}`). A second unit is a translation with a code.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple
from zoneinfo import ZoneInfo

from mappings.cda.writing.codes import attributes_of, names_its_system
from mappings.cda.writing.markup import attribute, clean, escaped
from mappings.cda.writing.times import stamp
from mappings.lab_text import value_text
from mappings.notes import Notes
from schemas.coding import UCUM
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    ObservationValue,
    QuantityValue,
    RangeValue,
    RatioValue,
    Reference,
    SecondResult,
    Unit,
)
from schemas.value_sets import code_system_oid

_UCUM_OID = code_system_oid(UCUM)
_SIGNS = {"<": ("high", "false"), "<=": ("high", "true"), ">": ("low", "false"), ">=": ("low", "true")}
_NOT_UCUM = re.compile(r"[^\x21-\x7e]")
_NOT_ANNOTATION = re.compile(r"[^\x21-\x7a|~]+")


class Written(NamedTuple):
    """A value as XML, the words that stand in the narrative, and whether the value points to them."""

    xml: str
    words: str
    pointed: bool = False


def spelled(unit: Unit | None) -> str:
    """Give a unit as the laboratory spells it."""
    return clean(unit.raw).strip() if unit is not None else ""


def unit_code(unit: Unit | None) -> str | None:
    """Give the UCUM code of a unit; a unit without one is an annotation, in ASCII and without blanks."""
    if unit is None:
        return None
    if unit.ucum and not _NOT_UCUM.search(unit.ucum):
        return unit.ucum
    plain = unicodedata.normalize("NFKD", unit.raw.strip())
    plain = "".join(one for one in plain if not unicodedata.combining(one))
    kept = _NOT_ANNOTATION.sub("_", plain.replace("{", "(").replace("}", ")")).strip("_")
    return f"{{{kept or 'unite'}}}"


def _number(number: str) -> str:
    return number.removeprefix("+")


class _Measure:
    """Writes the numbers of one result with its unit."""

    __slots__ = ("_spelling", "_unit")

    def __init__(self, unit: Unit | None) -> None:
        code, raw = unit_code(unit), spelled(unit)
        self._unit = attribute("unit", code)
        self._spelling = ""
        if raw and raw != code:
            self._spelling = f'<translation nullFlavor="OTH"><originalText>{escaped(raw)}</originalText></translation>'

    def pq(self, tag: str, number: str, attributes: str = "", translation: str = "", *, spelling: bool = True) -> str:
        """Write a PQ; `spelling` adds the laboratory's own spelling of the unit."""
        inside = (self._spelling if spelling else "") + translation
        start = f'<{tag}{attributes} value="{_number(number)}"{self._unit}'
        return f"{start}>{inside}</{tag}>" if inside else f"{start}/>"


def _in_second_unit(number: str, unit: Unit | None) -> str:
    """Write a number in the second unit, as a translation (PQR)."""
    code, raw = unit_code(unit) or "1", spelled(unit)
    words = f"<originalText>{escaped(raw)}</originalText>" if raw else ""
    coded = f'{attribute("code", code)} codeSystem="{_UCUM_OID}"'
    return f'<translation value="{_number(number)}"{coded}>{words}</translation>'


def value_element(
    value: ObservationValue,
    unit: Unit | None,
    second: SecondResult | None,
    name: str,
    zone: ZoneInfo,
    notes: Notes,
) -> Written:
    """Write a `value`; `name` is the ID that its words will have in the narrative if it points to them."""
    words = words_of(value, unit, zone)
    match value:
        case QuantityValue(number=number, comparator=comparator):
            measure = _Measure(unit)
            twin = second.value if is_parallel(value, second) and second is not None else None
            more = _in_second_unit(twin.number, second.unit) if isinstance(twin, QuantityValue) and second else ""
            if comparator in _SIGNS:
                tag, inclusive = _SIGNS[comparator]
                bound = measure.pq(tag, number, f' inclusive="{inclusive}"', more)
                return Written(f'<value xsi:type="IVL_PQ">{bound}</value>', words)
            return Written(measure.pq("value", number, ' xsi:type="PQ"', more), words)
        case RangeValue(low=low, high=high) if low is not None or high is not None:
            measure = _Measure(unit)
            if low is None or high is None:
                message = "a range with one bound is written as a comparison"
                notes.info("cda.write.range", "observation.value", message)
            ends = (measure.pq("low", low) if low is not None else "") + (
                measure.pq("high", high, spelling=low is None) if high is not None else ""
            )
            return Written(f'<value xsi:type="IVL_PQ">{ends}</value>', words)
        case RatioValue(numerator=numerator, denominator=denominator, comparator=None, separator=separator):
            if separator != ":":
                notes.info("cda.write.ratio", "observation.value", "the separator of a titre is written `:`")
            measure = _Measure(unit)
            over = measure.pq("numerator", numerator)
            under = f'<denominator value="{_number(denominator)}"/>'
            return Written(f'<value xsi:type="RTO_PQ_PQ">{over}{under}</value>', words)
        case DateTimeValue(at=at) if (moment := stamp(at, zone)) is not None:
            return Written(f'<value xsi:type="TS" value="{moment}"/>', words)
        case CodedValue(codes=codes) if codes:
            if not all(names_its_system(code) for code in codes):
                message = "the system of a code has no OID: it is named beside ours"
                notes.info("cda.write.code_system", "observation.value.codes", message)
            more = "".join(f"<translation{attributes_of(code)}/>" for code in codes[1:])
            pointer = f'<originalText><reference value="#{name}"/></originalText>'
            first = attributes_of(codes[0], value.text)
            return Written(f'<value xsi:type="CD"{first}>{pointer}{more}</value>', words, pointed=True)
    if isinstance(value, (DateTimeValue, RatioValue)):
        message = "a time of day, or a titre with a comparator, is written as a text"
        notes.warning("cda.write.value_as_text", "observation.value", message)
    return Written(
        f'<value xsi:type="CD"><originalText><reference value="#{name}"/></originalText></value>', words, pointed=True
    )


def without_value(unit: Unit) -> Written:
    """Write the unit of a result that has no value (yet)."""
    spelling = f'<translation nullFlavor="OTH"><originalText>{escaped(spelled(unit))}</originalText></translation>'
    return Written(f'<value xsi:type="PQ" nullFlavor="NAV"{attribute("unit", unit_code(unit))}>{spelling}</value>', "")


def words_of(value: ObservationValue, unit: Unit | None, zone: ZoneInfo) -> str:
    """Give the words of a value for people: a number with a decimal comma, followed by its unit."""
    words = value_text(value, zone)
    if isinstance(value, (QuantityValue, RangeValue)):
        return f"{words.replace('.', ',')} {spelled(unit)}".strip()
    return words


def is_parallel(value: ObservationValue | None, second: SecondResult | None) -> bool:
    """Tell whether a second result is the same quantity in another unit, with the same comparator."""
    return (
        second is not None
        and isinstance(value, QuantityValue)
        and isinstance(second.value, QuantityValue)
        and value.comparator == second.value.comparator
    )


def reference_range(
    reference: Reference | None, unit: Unit | None, second: SecondResult | None, name: str | None
) -> str:
    """Write the one `referenceRange`: its words in the narrative (`name`), its bounds, those of the second unit."""
    other = second.reference if second is not None else None
    bounds = ""
    measure = _Measure(unit)
    for tag in ("low", "high"):
        number: str | None = getattr(reference, tag) if reference is not None else None
        twin: str | None = getattr(other, tag) if other is not None else None
        more = _in_second_unit(twin, second.unit) if twin is not None and second is not None else ""
        if number is not None:
            bounds += measure.pq(tag, number, translation=more, spelling=False)
        elif more:
            bounds += f'<{tag} nullFlavor="NI">{more}</{tag}>'
    if not bounds and name is None:
        return ""
    text = f'<text><reference value="#{name}"/></text>' if name is not None else ""
    value = f'<value xsi:type="IVL_PQ">{bounds}</value>' if bounds else ""
    return (
        f'<referenceRange typeCode="REFV"><observationRange classCode="OBS" moodCode="EVN.CRT">{text}{value}'
        '<interpretationCode code="N" displayName="Normal" codeSystem="2.16.840.1.113883.5.83"/>'
        "</observationRange></referenceRange>"
    )
