"""`value` of an observation to canonical values: PQ, IVL_PQ, CD, REAL, INT, ST, ED, RTO, TS (cda-fr §5.2).

A number is only ever what its attribute says; the narrative, with its decimal commas, is used for texts alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from mappings.cda.reading.datatypes import concept, text_of, time_of
from mappings.cda.reading.node import Node
from mappings.cda.reading.scribe import Scribe
from schemas.base import DECIMAL
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    ObservationValue,
    QuantityValue,
    RangeValue,
    RatioValue,
    TextValue,
    Unit,
)

UCUM_OID = "2.16.840.1.113883.6.8"
_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)


class Measured(NamedTuple):
    """A value with its unit."""

    value: ObservationValue | None
    unit: Unit | None = None


_NOTHING = Measured(None)


@lru_cache(maxsize=4096)
def unit_of(code: str | None, spelling: str | None = None) -> Unit | None:
    """Make a Unit of a PQ's unit: CDA says that it is UCUM.

    `spelling` is the laboratory's own; beside a mere annotation (`{germes}/champ`) it says that there is no UCUM code.
    """
    if code is None:
        return Unit(raw=spelling) if spelling else None
    annotation = spelling is not None and spelling != code and code.startswith("{") and code.endswith("}")
    return Unit(raw=spelling or code, ucum=None if annotation else code)


def _unit(node: Node) -> Unit | None:
    """Take the unit of a PQ, with the laboratory's own spelling: a translation that has words and no code."""
    spelling = None
    for one in node.all("translation"):
        original = one.first("originalText")
        if original is not None and one.peek("code") is None and one.peek("value") is None:
            spelling = original.text
    return unit_of(node.get("unit"), spelling)


def value_of(scribe: Scribe, node: Node, where: str) -> Measured:
    """Read a value by its `xsi:type`; an unknown type is read by what it holds, a null flavour is no value."""
    kind = (node.peek("xsi:type") or "").rpartition(":")[2].partition("_PQ")[0] if node.attributes else ""
    declared = (node.peek("xsi:type") or "").rpartition(":")[2]
    reader = _READERS.get(declared) or _READERS.get(kind) or _guessed(node)
    return reader(scribe, node, where)


def _guessed(node: Node) -> _Reader:
    if node.peek("value") is not None:
        return _quantity
    if node.first("low") is not None or node.first("high") is not None:
        return _interval
    if node.peek("code") is not None or node.first("originalText") is not None:
        return _coded
    return _text


def decimal(scribe: Scribe, node: Node, where: str) -> str | None:
    """Take a number; a decimal comma is put right, anything else is not taken."""
    raw = (node.peek("value") or "").strip()
    if not raw:
        return None
    if DECIMAL.match(raw):
        node.get("value")
        return raw
    if _COMMA.fullmatch(raw):
        node.get("value")
        scribe.notes.warning("cda.value.comma", where, "a number with a decimal comma was read with a point")
        return raw.replace(",", ".")
    return None


def _quantity(scribe: Scribe, node: Node, where: str) -> Measured:
    number = decimal(scribe, node, where)
    unit = _unit(node)
    if number is not None:
        return Measured(QuantityValue(number=number, text=(node.get("value") or number)), unit)
    raw = node.get("value")
    if raw is None:
        return Measured(None, unit)
    scribe.notes.warning("cda.value.number", where, "a number that is not one was read as text")
    return Measured(TextValue(text=raw), unit)


def _interval(scribe: Scribe, node: Node, where: str) -> Measured:
    """Read an IVL_PQ: one bound is a comparison (`inclusive` is true when it is left out), two are a range."""
    low, high, middle = node.first("low"), node.first("high"), node.first("center")
    lower = decimal(scribe, low, where) if low is not None else None
    upper = decimal(scribe, high, where) if high is not None else None
    if lower is not None and upper is not None and low is not None and high is not None:
        unit = _unit_of_both(scribe, low, high, where)
        return Measured(RangeValue(low=lower, high=upper), unit)
    if upper is not None and high is not None:
        sign = "<=" if _inclusive(high) else "<"
        return Measured(QuantityValue(number=upper, comparator=sign), _unit(high))
    if lower is not None and low is not None:
        sign = ">=" if _inclusive(low) else ">"
        return Measured(QuantityValue(number=lower, comparator=sign), _unit(low))
    if middle is not None:
        return _quantity(scribe, middle, where)
    return _quantity(scribe, node, where)


def _inclusive(bound: Node) -> bool:
    return (bound.get("inclusive") or "true").lower() not in ("false", "0")


def _unit_of_both(scribe: Scribe, low: Node, high: Node, where: str) -> Unit | None:
    if low.peek("unit") and high.peek("unit") and low.peek("unit") != high.peek("unit"):
        scribe.notes.warning("cda.value.units", where, "the two bounds of a range have different units")
        return _unit(low)
    lower, upper = _unit(low), _unit(high)
    return lower if lower is not None and lower.raw != lower.ucum else upper or lower


def _coded(scribe: Scribe, node: Node, where: str) -> Measured:
    """Read a CD: coded, or, without a code, the text in the narrative."""
    found = concept(scribe, node)
    if found.codes:
        return Measured(CodedValue(codes=found.codes, text=found.text))
    if found.text:
        return Measured(TextValue(text=found.text))
    if node.peek("nullFlavor") is None:
        scribe.notes.warning("cda.value.empty", where, "a coded value with neither code nor text")
    return _NOTHING


def _text(scribe: Scribe, node: Node, where: str) -> Measured:
    if (node.peek("representation") or "").upper() == "B64":
        scribe.notes.warning("cda.value.file", where, "a value that is a file is left in the document")
        return _NOTHING
    found = text_of(scribe, node)
    return Measured(TextValue(text=found)) if found else _NOTHING


def _ratio(scribe: Scribe, node: Node, where: str) -> Measured:
    """Read an RTO: a titre when its parts have no unit, or a quantity by another (its unit is both, `mg/mmol`)."""
    over, under = node.first("numerator"), node.first("denominator")
    numerator = decimal(scribe, over, where) if over is not None else None
    denominator = decimal(scribe, under, where) if under is not None else None
    if over is None or under is None or numerator is None or denominator is None:
        scribe.notes.warning("cda.value.ratio", where, "a ratio without its two numbers")
        return _NOTHING
    unit, other = _unit(over), under.get("unit")
    if other not in (None, "1"):
        unit = unit_of(f"{over.get('unit') or '1'}/{other}")
    return Measured(RatioValue(numerator=numerator, denominator=denominator), unit)


def _moment(scribe: Scribe, node: Node, where: str) -> Measured:
    at = time_of(scribe, node, where) or time_of(scribe, node.first("low"), where)
    return Measured(DateTimeValue(at=at)) if at is not None else _NOTHING


def _boolean(scribe: Scribe, node: Node, where: str) -> Measured:
    said = node.get("value")
    return Measured(TextValue(text=said)) if said else _NOTHING


_Reader = Callable[[Scribe, Node, str], Measured]
_READERS: dict[str, _Reader] = {
    "PQ": _quantity,
    "REAL": _quantity,
    "INT": _quantity,
    "MO": _quantity,
    "IVL_PQ": _interval,
    "IVL_REAL": _interval,
    "IVL_INT": _interval,
    "CD": _coded,
    "CE": _coded,
    "CV": _coded,
    "CO": _coded,
    "CS": _coded,
    "ST": _text,
    "ED": _text,
    "SC": _text,
    "RTO": _ratio,
    "RTO_PQ_PQ": _ratio,
    "RTO_QTY_QTY": _ratio,
    "TS": _moment,
    "IVL_TS": _moment,
    "BL": _boolean,
}


def second_of(node: Node, scribe: Scribe, where: str) -> Measured:
    """Read a PQ's translation (a PQR): the same result in another unit, as the sender gave it."""
    for one in node.all("translation"):
        number = decimal(scribe, one, where) if one.peek("value") else None
        if number is None:
            continue
        original = one.first("originalText")
        spelling = (original.text if original is not None else None) or one.get("displayName")
        if one.peek("codeSystem") in (None, UCUM_OID):
            one.get("codeSystem")
        unit = unit_of(one.get("code") or one.get("unit"), spelling)
        return Measured(QuantityValue(number=number, text=one.get("value")), unit)
    bounds = [bound for bound in (node.first("low"), node.first("high")) if bound is not None]
    if len(bounds) != 1:
        return _NOTHING
    found = second_of(bounds[0], scribe, where)
    if not isinstance(found.value, QuantityValue):
        return _NOTHING
    sign = ("<" if bounds[0].name == "high" else ">") + ("=" if _inclusive(bounds[0]) else "")
    return Measured(found.value.model_copy(update={"comparator": sign, "text": None}), found.unit)
