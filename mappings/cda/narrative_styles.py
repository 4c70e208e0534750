"""Attributes of the narrative's elements that have a meaning here: styles, alignment, spans, addresses.

Source: CDA R2 §4.3.5 (`styleCode`, `revised`). Whatever is not in these tables means nothing.
"""

from __future__ import annotations

import re

from lxml import etree

from mappings.cda.narrative_tree import Align, Mark, Numbering

LONGEST = 400
"""Characters of a `styleCode` that are looked at."""

WIDEST = 40
"""Columns or rows that a cell spans at most."""

_MARKS: dict[str, frozenset[Mark]] = {
    "bold": frozenset({"bold"}),
    "italics": frozenset({"italic"}),
    "emphasis": frozenset({"italic"}),
    "bolditalics": frozenset({"bold", "italic"}),
    "underline": frozenset({"underline"}),
    "strikethrough": frozenset({"strike"}),
}
_NUMBERINGS: dict[str, Numbering] = {
    "arabic": "decimal",
    "littleroman": "lower-roman",
    "bigroman": "upper-roman",
    "littlealpha": "lower-alpha",
    "bigalpha": "upper-alpha",
}
_ALIGNS: dict[str, Align] = {"left": "left", "center": "center", "right": "right"}
_LINK = re.compile(r"^(?:https?://|mailto:)[^\s<>\"\\\x00-\x20\x7f]{1,2000}$", re.IGNORECASE)

NO_MARKS: frozenset[Mark] = frozenset()


def numbering_of(element: etree._Element) -> Numbering:
    """Say how a list is numbered."""
    numbering: Numbering = "decimal" if element.get("listType") == "ordered" else ""
    for style in (element.get("styleCode") or "")[:LONGEST].casefold().split():
        numbering = _NUMBERINGS.get(style, numbering)
    return numbering


def align_of(element: etree._Element, row: etree._Element) -> Align:
    """Say how a cell's text is set: as the cell says, else as its row does."""
    return _ALIGNS.get((element.get("align") or row.get("align") or "").casefold(), "")


def marks_of(element: etree._Element) -> frozenset[Mark]:
    """Give the marks that an element puts on its text."""
    found: set[Mark] = set()
    for style in (element.get("styleCode") or "")[:LONGEST].casefold().split():
        found |= _MARKS.get(style, NO_MARKS)
    match element.get("revised"):
        case "delete":
            found.add("strike")
        case "insert":
            found.add("underline")
    return frozenset(found)


def span_of(text: str | None) -> int:
    """Give how many columns or rows a cell spans, within reason."""
    return max(1, min(int(text), WIDEST)) if text and text.isascii() and text.isdigit() and len(text) < 10 else 1


def safe_link(address: str | None) -> str | None:
    """Give an address that may become a link: http, https or mailto, whole; None for any other."""
    stated = (address or "").strip()
    return stated if _LINK.match(stated) else None
