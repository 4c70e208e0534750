"""Values, ranges and codes of a report, written for reading."""

from __future__ import annotations

from router.web.formatting import Formats
from schemas.coding import Coding
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    ObservationValue,
    QuantityValue,
    RangeValue,
    RatioValue,
    Reference,
    TextValue,
)

_SIGNS = {">=": "≥", "<=": "≤"}


def written(value: ObservationValue | None, formats: Formats) -> str:
    """Write a value as its sender did where the text says more than its parts, else from these."""
    if value is None:
        return ""
    if isinstance(value, QuantityValue):
        return value.text if value.text and value.text != value.number else _quantity(value, formats)
    if value.text:
        return value.text
    if isinstance(value, TextValue):
        return ""
    if isinstance(value, CodedValue):
        return ", ".join(code.display or code.code for code in value.codes)
    if isinstance(value, RatioValue):
        ratio = f"{_decimal(value.numerator, formats)}{value.separator}{_decimal(value.denominator, formats)}"
        return f"{value.comparator or ''} {ratio}".strip()
    if isinstance(value, RangeValue):
        return f"{_decimal(value.low or '', formats)} – {_decimal(value.high or '', formats)}".strip()
    return _date_time(value, formats)


def _quantity(value: QuantityValue, formats: Formats) -> str:
    sign = _SIGNS.get(value.comparator or "", value.comparator or "")
    return f"{sign} {_decimal(value.number, formats)}".strip()


def _date_time(value: DateTimeValue, formats: Formats) -> str:
    return formats.partial(value.at) if "-" in value.at else value.at


def bounds(reference: Reference | None, formats: Formats) -> str:
    """Write a reference range: as sent, else from its bounds."""
    if reference is None:
        return ""
    if reference.text:
        return reference.text
    low, high = _trimmed(reference.low), _trimmed(reference.high)
    if low and high:
        return f"{_decimal(low, formats)} – {_decimal(high, formats)}"
    if low:
        return f"≥ {_decimal(low, formats)}"
    return f"≤ {_decimal(high, formats)}" if high else ""


def codes(found: tuple[Coding, ...]) -> str:
    """Name codes with their systems, for the hover."""
    return ", ".join(f"{code.system or '?'}|{code.code}" for code in found)


def _trimmed(bound: str | None) -> str | None:
    """Drop the zeros of a bound that a program filled up to its column's width (`63.000000`)."""
    whole, point, decimals = (bound or "").partition(".")
    if not point or len(decimals) < 4 or "e" in decimals.lower():
        return bound
    decimals = decimals.rstrip("0")
    return f"{whole}.{decimals}" if decimals else whole


def _decimal(text: str, formats: Formats) -> str:
    return text.replace(".", ",") if formats.french else text


def label(code: Coding | None) -> str:
    """Give a code's label, else the code."""
    return (code.display or code.code) if code is not None else ""
