"""Numbers, comparators, ranges and dates in the words of French laboratories (hprim 2.5 and 3.9).

Each reader here answers only when it is certain, and None otherwise: what is not understood stays text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from mappings.french_time import french_day, french_moment, write_moment
from schemas.lab import (
    DateTimeValue,
    ObservationValue,
    QuantityValue,
    RangeValue,
    RatioValue,
    Reference,
    TextValue,
    Unit,
)
from schemas.units import ucum_of

LONGEST_NUMBER = 64
"""No number, range or titre is longer than that: longer texts are not even tried."""

_BLANK = "[ \u00a0\u202f\u2009]"
_DIGITS = rf"(?:\d{{1,3}}(?:{_BLANK}\d{{3}})+|\d{{1,3}}(?:\.\d{{3}}){{2,}}|\d{{1,3}}(?:,\d{{3}}){{2,}}|\d+)"
_NUMBER = rf"[+\-−]?(?:{_DIGITS}(?:[.,]\d*)?|[.,]\d+)"
_PLAIN = re.compile(_NUMBER + r"(?:[eE][+-]?\d{1,3})?")
_COMPARED = re.compile(
    rf"""(?P<sign><=|=<|≤|>=|=>|≥|<|>|=|
          (?:inf(?:[ée]rieure?s?|\.)?|sup(?:[ée]rieure?s?|\.)?)(?:\s+ou\s+[ée]gale?s?)?\s*[àa]?(?=[\s\d+-]))?
        \s*(?P<number>{_NUMBER}(?:[eE][+-]?\d{{1,3}})?)""",
    re.VERBOSE | re.IGNORECASE,
)
_RATIO = re.compile(rf"(?P<sign>[<>]=?|[≤≥])?\s*(?P<one>1)\s*(?P<separator>[:/])\s*(?P<other>{_DIGITS})")
_INTERVAL = re.compile(
    r"(?P<low>0|[1-9]\d*|(?:0|[1-9]\d*)[.,]\d+)\s*(?:-|–|à)\s*(?P<high>[1-9]\d*|(?:0|[1-9]\d*)[.,]\d+)"
)
_MARKED = re.compile(r"\*\s*(?P<inner>[^*]+?)\s*\*?|(?P<other>[^*]+?)\s*\*")

_RANGE_PREFIX = re.compile(
    r"^(?:v\.?\s?r\.?|v\.?\s?n\.?|n\.?|normes?|normales?|r[ée]f(?:[ée]rences?|\.)?"
    r"|valeurs? (?:normales?|usuelles?|de r[ée]f[ée]rence))\s*:\s*|^entre\s+",
    re.IGNORECASE,
)
_TWO_BOUNDS = re.compile(
    rf"(?P<low>[+-]?{_DIGITS}(?:[.,]\d*)?)\s*(?:-|–|à|a|et)\s*(?P<high>[+-]?{_DIGITS}(?:[.,]\d*)?)", re.IGNORECASE
)
_UPPER = re.compile(
    rf"(?:<=?|=<|≤|inf(?:[ée]rieure?s?|\.)?(?:\s+ou\s+[ée]gale?s?)?(?:\s*[àa](?=[\s\d]))?|jusqu'?\s?[àa]|max(?:i|imum|\.)?)"
    rf"\s*(?P<high>{_NUMBER})",
    re.IGNORECASE,
)
_LOWER = re.compile(
    rf"(?:>=?|=>|≥|sup(?:[ée]rieure?s?|\.)?(?:\s+ou\s+[ée]gale?s?)?(?:\s*[àa](?=[\s\d]))?|min(?:i|imum|\.)?)"
    rf"\s*(?P<low>{_NUMBER})",
    re.IGNORECASE,
)
_COMPARATORS = {"<": "<", ">": ">", "<=": "<=", "=<": "<=", "≤": "<=", ">=": ">=", "=>": ">=", "≥": ">=", "=": None}
_UNIT_LIKE = re.compile(r"(?:%|[^\W\d_/]{0,10}/[^\s|]{1,20})")


class Bounds(NamedTuple):
    """The two ends of a range; None where it is open or not known."""

    low: str | None
    high: str | None


@dataclass(frozen=True, slots=True)
class Measure:
    """A number found in a text, its comparator, and what stands after it (`rest`, a unit when there is one)."""

    number: str
    comparator: str | None
    rest: str


def number_of(text: str) -> str | None:
    """Give the decimal that the whole text is (`4,58`, `301 000`, `+2`, `*12.9*`) with a point, or None.

    A single point or comma is decimal; blanks, and points or commas in two groups or more, separate thousands.
    """
    stripped = unmarked(text)
    if not stripped or len(stripped) > LONGEST_NUMBER or not _PLAIN.fullmatch(stripped):
        return None
    return _normal(stripped)


def unmarked(text: str) -> str:
    """Strip a value and the stars by which some laboratories mark it as abnormal (`*12.9*`, `85*`)."""
    stripped = text.strip()
    if "*" in stripped and (marked := _MARKED.fullmatch(stripped)):
        return (marked["inner"] or marked["other"]).strip()
    return stripped


def _normal(number: str) -> str:
    digits = re.sub(_BLANK, "", number).replace("−", "-").removeprefix("+")
    if digits.count(".") > 1 or (digits.count(".") and digits.count(",") and digits.rindex(",") > digits.rindex(".")):
        digits = digits.replace(".", "")
    if digits.count(",") > 1 or ("," in digits and "." in digits):
        digits = digits.replace(",", "")
    digits = digits.replace(",", ".")
    mantissa, mark, exponent = digits.partition("e") if "e" in digits else digits.partition("E")
    mantissa = mantissa.removesuffix(".")
    if mantissa.startswith((".", "-.")):
        mantissa = mantissa.replace(".", "0.", 1)
    return mantissa + mark + exponent


def measure_of(text: str) -> Measure | None:
    """Find a number at the start of a text, with its comparator (`< 0.12  mg/L`, `inf. à 5`, `>=60`), or None."""
    stripped = unmarked(text)
    if not stripped or len(stripped) > LONGEST_NUMBER:
        return None
    found = _COMPARED.match(stripped)
    if found is None:
        return None
    rest = stripped[found.end() :]
    if rest and (rest[0].isdigit() or (rest[0] in ".,:-/" and rest[1:2].isdigit())):
        return None
    return Measure(_normal(found["number"]), _comparator(found["sign"]), rest.strip())


def _comparator(sign: str | None) -> str | None:
    if not sign:
        return None
    if sign in _COMPARATORS:
        return _COMPARATORS[sign]
    strict = "gal" not in sign.lower()
    return (">" if strict else ">=") if sign[:1] in "sS" else ("<" if strict else "<=")


def bounds_of(text: str, unit: str | None = None) -> Bounds | None:
    """Read a reference range as its two bounds, or None when it cannot be read with certainty (hprim 3.9).

    `10 - 40`, `-2 - 2`, `vr : 4 a  10000`, `inf à 5`, `<5`, `>60`, each with or without the unit after it. Bounds
    in the wrong order (`7 - 5.7`) are not swapped: they make the range a text.
    """
    stripped = text.strip()
    if not stripped or len(stripped) > LONGEST_NUMBER:
        return None
    stripped = _RANGE_PREFIX.sub("", stripped).strip(" ()[]")
    if unit:
        stripped = stripped.removesuffix(unit.strip()).rstrip()
    if both := _TWO_BOUNDS.fullmatch(stripped):
        low, high = _normal(both["low"]), _normal(both["high"])
        return Bounds(low, high) if Decimal(low) <= Decimal(high) else None
    if upper := _UPPER.fullmatch(stripped):
        return Bounds(None, _normal(upper["high"]))
    if lower := _LOWER.fullmatch(stripped):
        return Bounds(_normal(lower["low"]), None)
    return None


def reference_of(text: str, unit: str | None = None) -> Reference | None:
    """Make a Reference of a range in one text: its bounds when they are certain, the text always; None for nothing."""
    stripped = text.strip()
    if not stripped.strip("-. "):
        return None
    low, high = bounds_of(stripped, unit) or Bounds(None, None)
    return Reference(low=low, high=high, text=stripped)


def range_text(reference: Reference) -> str:
    """Write a range as a laboratory does: its own text when that says the same bounds, else `low - high`, `< high`."""
    low, high, text = reference.low, reference.high, (reference.text or "").strip()
    if low is None and high is None:
        return text
    if text and "\n" not in text and bounds_of(text) == (low, high):
        return text
    if low is not None and high is not None:
        return f"{low} - {high}"
    return f"> {low}" if high is None else f"< {high}"


def unit_of(raw: str | None) -> Unit | None:
    """Make a Unit of what the sender wrote, with its UCUM code when it is known; None for nothing."""
    stripped = (raw or "").strip()
    return Unit(raw=stripped, ucum=ucum_of(stripped)) if stripped and stripped not in {".", "_", "-"} else None


class ReadValue(NamedTuple):
    """A value, and the unit that stood in the same text."""

    value: ObservationValue
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class Hints:
    """What helps to read a result: a declared number, bounds beside it, a label that speaks of a date; legal time."""

    numeric: bool
    bounded: bool
    dated: bool
    zone: ZoneInfo


def value_of(text: str, unit: Unit | None, hints: Hints) -> ReadValue:
    """Read a result by its content; the declared type is only a hint (hprim 2.5.3).

    A bare number declared as text, without unit or bounds, stays text (a lot number, a count in words).
    """
    stripped = text.strip()
    if len(stripped) <= LONGEST_NUMBER:
        known = _special(stripped, hints)
        if known is not None:
            return ReadValue(known)
        measure = measure_of(stripped)
        if measure is not None and _is_measure(measure, stripped, hints.numeric or hints.bounded, unit):
            value = QuantityValue(number=measure.number, comparator=measure.comparator, text=stripped)
            return ReadValue(value, unit_of(measure.rest))
    return ReadValue(TextValue(text=stripped))


def _is_measure(measure: Measure, text: str, sure: bool, unit: Unit | None) -> bool:
    if measure.rest:
        same = unit is not None and measure.rest == unit.raw
        known = ucum_of(measure.rest) is not None or _UNIT_LIKE.fullmatch(measure.rest) is not None
        return same or (unit is None and known)
    leading_zero = re.match(r"0\d", text) is not None
    return sure or measure.comparator is not None or (unit is not None and not leading_zero)


def _special(text: str, hints: Hints) -> ObservationValue | None:
    """Read a titre (`1/80`), an interval (`3-5`) or a date (`05/06/2024`, `05062024`, `05/06/2024 08:15`)."""
    moment = french_day(text) if len(text) <= 10 else french_moment(text, hints.zone)
    if moment is not None and (len(text) >= 10 or hints.dated or (hints.numeric and text.startswith("0"))):
        return DateTimeValue(at=moment, text=text)
    if ratio := _RATIO.fullmatch(text):
        return RatioValue(
            numerator=ratio["one"],
            denominator=_normal(ratio["other"]),
            comparator=_comparator(ratio["sign"]),
            separator=ratio["separator"],
            text=text,
        )
    interval = _INTERVAL.fullmatch(text)
    if interval and Decimal(low := _normal(interval["low"])) < Decimal(high := _normal(interval["high"])):
        return RangeValue(low=low, high=high, text=text)
    return None


def plain_decimal(number: str) -> str:
    """Write a decimal without an exponent or a plus sign, as both HPRIM formats want it (RES-05, NM)."""
    if "e" in number or "E" in number:
        return format(Decimal(number), "f")
    return number.removeprefix("+")


def value_text(value: ObservationValue | None, zone: ZoneInfo) -> str:
    """Write any value as one line (several for a text of several lines), as a laboratory prints it."""
    match value:
        case None:
            return ""
        case QuantityValue():
            return (
                f"{value.comparator} {plain_decimal(value.number)}" if value.comparator else plain_decimal(value.number)
            )
        case RatioValue():
            return f"{value.comparator or ''}{value.numerator}{value.separator}{value.denominator}"
        case RangeValue():
            ends = [plain_decimal(end) for end in (value.low, value.high) if end is not None]
            if len(ends) == 2:
                return " - ".join(ends)
            return value.text or (f"> {ends[0]}" if value.low else f"< {ends[0]}" if ends else "")
        case DateTimeValue():
            return write_moment(value.at, zone) if len(value.at) >= 10 else value.at
        case TextValue():
            return value.text
    return value.text or next((code.display or code.code for code in value.codes), "")
