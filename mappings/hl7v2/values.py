"""OBX-5 to canonical values, with the traps of real laboratories (fact sheet hl7v2-fr §5).

A number is read as a number when there is no doubt (`12,4`, `< 0.12`, `>300`), whatever the declared type; a declared
number that is none stays text, with a Finding. The text as written is always kept beside.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mappings.hl7v2.datatypes import coded
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.notebook import Notebook
from mappings.hl7v2.syntax import NULL, Syntax
from mappings.hl7v2.times import moment, time_of_day
from schemas.coding import UCUM, Coding
from schemas.lab import (
    CodedValue,
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

_NUMBER = r"[+-]?(?:\d+(?:[.,]\d+)?|[.,]\d+)"
_QUANTITY = re.compile(rf"\s*(<=|>=|=<|=>|<|>|≤|≥|=)?\s*({_NUMBER})\s*", re.ASCII)
_WITH_UNIT = re.compile(rf"\s*(<=|>=|<|>|≤|≥)?\s*({_NUMBER})\s*((?![eE][+-]?\d)[^\d\s<>=.,+-].*?)\s*", re.ASCII)
_WORDS = r"\s*[)\]]?(?:\s*(?![-–\d.,\s]|[eE]\d).*)?"
"""What may follow a bound: a unit or a remark, never something that could be part of the number."""
_BOTH = re.compile(rf"\s*[(\[]?\s*({_NUMBER})\s*(?:-|–|—|à|a|to|_|;)\s*({_NUMBER}){_WORDS}", re.ASCII)
_ONE = re.compile(rf"\s*[(\[]?\s*(<=|>=|=<|=>|<|>|≤|≥)\s*({_NUMBER}){_WORDS}", re.ASCII)
_COMPARATORS = {"≤": "<=", "≥": ">=", "=<": "<=", "=>": ">=", "=": None, "": None}
_LOW_SIDE = frozenset({">", ">="})
_POWER = re.compile(r"[x×*]?10", re.IGNORECASE)

TEXTS = frozenset({"ST", "TX", "FT", ""})
CODES = frozenset({"CE", "CWE", "CNE", "CF", "IS", "ID"})
TIMES = frozenset({"TS", "DT", "DTM", "TM"})
UNPARTED = frozenset({"NA", "MA"})
"""Types whose value is kept as written, delimiters included."""


@lru_cache(maxsize=16384)
def quantity(text: str) -> QuantityValue | None:
    """Read a number with an optional comparator; None when there is anything else."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    comparator = found[1] or ""
    return QuantityValue(
        number=decimal(found[2]), comparator=_COMPARATORS.get(comparator, comparator or None), text=text.strip()
    )


def decimal(text: str) -> str:
    """Write a number with a point, as the canonical model wants it; the digits stay as they are."""
    return text.replace(",", ".").removesuffix(".")


@lru_cache(maxsize=8192)
def reference(text: str) -> Reference | None:
    """Read a reference range: bounds when they are certain (`13.0 - 17.0 g/dL`, `<5`), and the text as sent."""
    kept = text.strip()
    if not kept:
        return None
    if found := _BOTH.fullmatch(text):
        low, high = decimal(found[1]), decimal(found[2])
        if float(low) <= float(high):
            return Reference(low=low, high=high, text=kept)
    elif found := _ONE.fullmatch(text):
        bound = decimal(found[2])
        if _COMPARATORS.get(found[1], found[1]) in _LOW_SIDE:
            return Reference(low=bound, text=kept)
        return Reference(high=bound, text=kept)
    return Reference(text=kept)


@lru_cache(maxsize=4096)
def unit(raw: str, syntax: Syntax) -> Unit | None:
    """Read OBX-6: the unit as sent, and its UCUM code when the sender or our table says it for certain."""
    parts = syntax.components(raw)
    if len(parts) > 1 and _POWER.fullmatch(parts[0]) and parts[1][:1].isdigit():
        # `10^9/L` with its caret not escaped: the two halves are one unit.
        text = syntax.code(raw)
        return Unit(raw=text, ucum=ucum_of(text))
    found = coded(raw, syntax)
    if not found.codes:
        return Unit(raw=found.text, ucum=ucum_of(found.text)) if found.text else None
    first = found.codes[0]
    certain = next((one.code for one in found.codes if one.system == UCUM), None)
    sent = first.code
    if first.system == UCUM and first.display:
        sent = first.display
    return Unit(raw=sent, ucum=certain or ucum_of(sent))


def value_of(notes: Notebook, obx: Segment) -> tuple[ObservationValue | None, Unit | None]:
    """Read OBX-5 under OBX-2. The unit is the one that was found inside the value itself, if any."""
    fields = obx.fields
    raw = fields[5] if len(fields) > 5 else ""
    if not raw or raw == NULL:
        return None, None
    kind = fields[2]
    if kind == "NM":
        found = quantity(raw)
        return (found, None) if found is not None else _number(notes, obx, raw)
    kind = obx.code(2)
    syntax = notes.syntax
    if kind == "NM":
        return _number(notes, obx, raw)
    if kind == "SN":
        return _structured(notes, obx, raw), None
    if kind in CODES:
        return _coded(syntax, raw), None
    if kind in TIMES:
        return _time(notes, obx, raw, kind), None
    if kind in TEXTS or kind in UNPARTED:
        if not kind:
            notes.warn("hl7v2.obx.no_type", obx.where(2), "the value has no type; it is read as text")
        return _text(obx, syntax, raw), None
    if kind == "DR":
        return _period(notes, obx, raw), None
    return _composite(syntax, raw), None


def _number(notes: Notebook, obx: Segment, raw: str) -> tuple[ObservationValue | None, Unit | None]:
    text = notes.syntax.text(raw)
    if found := quantity(text):
        return found, None
    if inside := _WITH_UNIT.fullmatch(text):
        bare = quantity(f"{inside[1] or ''}{inside[2]}")
        sent = obx.code(6)
        known = ucum_of(inside[3])
        if bare is not None and (known is not None if not sent else sent == inside[3]):
            notes.info("hl7v2.obx.unit_in_value", obx.where(5), "the unit stands in the value itself")
            return bare.model_copy(update={"text": text.strip()}), Unit(raw=inside[3], ucum=known)
    if not text.strip():
        return None, None
    notes.warn(
        "hl7v2.obx.not_a_number", obx.where(5), "the value is declared as a number and is none; it is kept as text"
    )
    return TextValue(text=_lines(notes.syntax, raw)), None


def _structured(notes: Notebook, obx: Segment, raw: str) -> ObservationValue | None:
    """Read an SN: comparator, first number, separator or suffix, second number."""
    syntax = notes.syntax
    parts = [syntax.code(part) for part in syntax.components(raw)]
    parts += [""] * (4 - len(parts))
    comparator, first, separator, second = parts[:4]
    text = "".join(parts[:4])
    if comparator and not first and not separator and (found := quantity(comparator)):
        return found
    known = _COMPARATORS.get(comparator, comparator or None)
    low, high = quantity(first), quantity(second)
    sound = known in (None, "<", "<=", ">", ">=") and (low is None or low.comparator is None)
    if sound and low is not None:
        if not separator and not second:
            return QuantityValue(number=low.number, comparator=known, text=text)
        if high is not None and separator in (":", "/"):
            return RatioValue(
                numerator=low.number, denominator=high.number, comparator=known, separator=separator, text=text
            )
        if high is not None and separator == "-" and known is None:
            return RangeValue(low=low.number, high=high.number, text=text)
    if not text:
        return None
    if not (separator == "+" and low is not None):
        notes.warn("hl7v2.obx.not_structured", obx.where(5), "this structured number is not one; it is kept as text")
    return TextValue(text=text)


def _coded(syntax: Syntax, raw: str) -> ObservationValue | None:
    found = [coded(one, syntax) for one in syntax.repetitions(raw)]
    codes = tuple(code for one in found for code in one.codes)
    originals = [one.original for one in found if one.original]
    text = "\n".join(originals or [one.text for one in found if one.text]) or None
    return CodedValue(codes=codes, text=text) if codes or text else None


def _time(notes: Notebook, obx: Segment, raw: str, kind: str) -> ObservationValue | None:
    text = notes.syntax.code(raw.split(notes.syntax.component, 1)[0])
    if not text:
        return None
    at = time_of_day(text) if kind == "TM" else moment(text, notes.zone)
    if at is not None:
        return DateTimeValue(at=at, text=text)
    notes.warn("hl7v2.time.invalid", obx.where(5), "this is not a date or time of HL7; it is kept as text")
    return TextValue(text=text)


def _text(obx: Segment, syntax: Syntax, raw: str) -> ObservationValue | None:
    text = _lines(syntax, raw)
    if not text.strip():
        return None
    # A measurement that was declared as a string: a unit makes it certain that it is one.
    if obx.code(2) == "ST" and obx.raw(6) and obx.raw(6) != NULL and (found := quantity(text)):
        return found
    return TextValue(text=text)


def _lines(syntax: Syntax, raw: str) -> str:
    """Decode a text: repetitions are paragraphs, and delimiters that the sender forgot to escape stay."""
    return "\n".join(syntax.text(one) for one in syntax.repetitions(raw))


def _period(notes: Notebook, obx: Segment, raw: str) -> ObservationValue | None:
    parts = notes.syntax.components(raw)
    ends = [notes.time_text(notes.syntax.code(part), obx.where(5)) or "" for part in parts[:2]]
    return TextValue(text="/".join(ends)) if any(ends) else None


def _composite(syntax: Syntax, raw: str) -> ObservationValue | None:
    """Read any other type (RP, XPN, CX, CP…) as the words it is made of."""
    lines = []
    for one in syntax.repetitions(raw):
        words = (syntax.code(piece) for part in syntax.components(one) for piece in syntax.subcomponents(part))
        lines.append(" ".join(word for word in words if word))
    text = "\n".join(line for line in lines if line)
    return TextValue(text=text) if text else None


def flags_of(notes: Notebook, obx: Segment, known: frozenset[str]) -> tuple[str, ...]:
    """Read OBX-8 as sent; what is not in table 0078 is a Finding, and kept."""
    raw = obx.raw(8)
    if not raw or raw == NULL:
        return ()
    if raw in known:
        return (raw,)
    codes = [notes.syntax.code(one.split(notes.syntax.component, 1)[0]) for one in obx.repetitions(8)]
    flags = tuple(code for code in codes if code)
    if not known.issuperset(flags):
        notes.warn("hl7v2.flag.unknown", obx.where(8), "a flag is not in table 0078; it is kept as sent")
    return flags


def method_of(obx: Segment, syntax: Syntax) -> Coding | None:
    """Read OBX-17, its first repetition."""
    raw = obx.first(17)
    if not raw or raw == NULL:
        return None
    found = coded(raw, syntax)
    if found.codes:
        return found.codes[0]
    return Coding(code=found.text, display=found.text) if found.text else None
