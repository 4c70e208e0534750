"""How many pieces one content may have: a small file of tiny pieces takes fifty times its size once it is read.

The largest real contents are large for a picture or a PDF inside them, and have few pieces: a hundredth of these.
"""

from __future__ import annotations

from mappings.contracts import FormatError

MOST_LINES = 100_000
"""Segments of an HL7 or HPRIM Santé message, lines of an HPRIM Médecin file."""

MOST_ELEMENTS = 500_000
"""Elements of an XML content."""

MOST_VALUES = 2_000_000
"""Values of a JSON content."""


def check_lines(count: int, code: str) -> None:
    """Refuse a content of too many lines or segments. Raises FormatError `<code>.too_many_lines`."""
    if count > MOST_LINES:
        raise FormatError(f"{code}.too_many_lines", "content", f"it has more than {MOST_LINES:,} lines")


def check_elements(content: bytes, code: str, where: str) -> None:
    """Refuse XML of too many elements: each has one `<` or two. Raises FormatError `<code>.too_many_elements`."""
    if content.count(b"<") > 2 * MOST_ELEMENTS:
        raise FormatError(f"{code}.too_many_elements", where, f"it has more than {MOST_ELEMENTS:,} elements")


def check_values(content: bytes) -> None:
    """Refuse JSON of too many values: each but one of its container stands behind a comma. Raises FormatError."""
    if content.count(b",") > MOST_VALUES:
        raise FormatError("json.too_many_values", "content", f"it has more than {MOST_VALUES:,} values")
