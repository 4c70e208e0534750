"""Reference ranges of a CR-BIO's results (cda-fr §5.2)."""

from __future__ import annotations

from typing import NamedTuple

from mappings.cda.reading.datatypes import text_of
from mappings.cda.reading.node import Node
from mappings.cda.reading.scribe import Scribe
from mappings.cda.reading.values import decimal, second_of, value_of
from schemas.lab import QuantityValue, Reference, Unit


class Ranges(NamedTuple):
    """A reference range, and the same in the second unit where the sender gave it."""

    first: Reference | None
    second: Reference | None


def ranges_of(scribe: Scribe, observation: Node, unit: Unit | None, where: str) -> Ranges:
    """Read the reference range: the one that says what is normal, else the first; the others are left unread."""
    ranges = [found for one in observation.all("referenceRange") if (found := one.first("observationRange"))]
    if not ranges:
        return Ranges(None, None)
    normal = next((one for one in ranges if _interpretation(one) == "N"), ranges[0])
    meaning = normal.first("interpretationCode")
    if meaning is not None and meaning.peek("code") == "N":
        meaning.use()
    written = normal.first("text")
    text = text_of(scribe, written) if written is not None else None
    value = normal.first("value")
    if value is None:
        return Ranges(Reference(text=text) if text else None, None)
    low, high = value.first("low"), value.first("high")
    measured = observation.first("value")
    unit_text = _unit_text(measured) if measured is not None else None
    if low is None and high is None:
        said = value_of(scribe, value, where).value
        text = text or (getattr(said, "text", None) if said is not None else None)
        return Ranges(Reference(text=text) if text else None, None)
    bounds = [decimal(scribe, one, where) if one is not None else None for one in (low, high)]
    for one in (low, high):
        if one is not None and one.peek("unit"):
            if unit is None or one.peek("unit") in (unit.ucum, unit_text):
                one.get("unit")
            else:
                scribe.notes.warning(
                    "cda.reference.unit", where, "a reference range is in another unit than its result"
                )
    first = Reference(low=bounds[0], high=bounds[1], text=text) if any(bounds) or text else None
    others = [second_of(one, scribe, where).value if one is not None and one.children else None for one in (low, high)]
    numbers = [one.number if isinstance(one, QuantityValue) else None for one in others]
    second = Reference(low=numbers[0], high=numbers[1]) if any(numbers) else None
    return Ranges(first, second)


def _unit_text(value: Node) -> str | None:
    """Look at the unit that a value states, itself or in a bound."""
    return next((one.peek("unit") for one in (value, *value.children) if one.peek("unit")), None)


def _interpretation(node: Node) -> str | None:
    code = node.first("interpretationCode")
    return code.peek("code") if code is not None else None
