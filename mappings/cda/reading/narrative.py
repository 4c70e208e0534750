"""The narrative of sections as plain text, and the references by which entries point into it (cda-fr §5.2)."""

from __future__ import annotations

import re

from lxml import etree

_BLOCKS = frozenset({"paragraph", "list", "item", "table", "tr", "caption", "thead", "tbody", "tfoot"})
_CELLS = frozenset({"td", "th"})
_BLANKS = re.compile(r"[ \t\r\n]+")
_BREAK = "\x00"
"""Stands for a line break while a text is put together: XML cannot hold it."""
_LONGEST = 100_000
"""Characters of one text taken out of the narrative at most."""


class Narrative:
    """Finds, document-wide, the element that a reference names, and gives its text."""

    __slots__ = ("_by_id", "_document")

    def __init__(self, document: etree._Element) -> None:
        self._document = document
        self._by_id: dict[str, etree._Element] | None = None

    def resolve(self, reference: str) -> str | None:
        """Give the text of the element whose `ID` a reference (`#id`) names; None when there is none, or no text."""
        if self._by_id is None:
            self._by_id = {}
            for element in self._document.iter():
                name = element.get("ID")
                if name is not None:
                    self._by_id.setdefault(name, element)
        found = self._by_id.get(reference.strip().removeprefix("#"))
        return plain_text(found) if found is not None else None


def plain_text(element: etree._Element) -> str | None:
    """Give the text of an element of narrative: a line for each paragraph, item and row, cells parted by ` | `.

    Line breaks (`br`) keep the blank lines between them; blocks that hold nothing give no line.
    """
    parts: list[str] = []
    for event, one in etree.iterwalk(element, events=("start", "end")):
        name = one.tag.rpartition("}")[2]
        if event == "start":
            if name in _BLOCKS:
                parts.append("\n")
            elif name == "br":
                parts.append(_BREAK)
            if one.text:
                parts.append(_folded(one.text))
        else:
            if name in _CELLS and one is not element:
                parts.append("\t")
            elif name in _BLOCKS:
                parts.append("\n")
            if one.tail and one is not element:
                parts.append(_folded(one.tail))
    blocks = ("\n".join(_line(line) for line in block.split(_BREAK)) for block in "".join(parts).split("\n"))
    kept = (block.strip("\n") for block in blocks)
    return "\n".join(block for block in kept if block)[:_LONGEST] or None


def _folded(text: str) -> str:
    """Fold the blanks of XML into single spaces; other spaces (no-break, thin) are the author's own."""
    return _BLANKS.sub(" ", text)


def _line(line: str) -> str:
    """Join the cells of a line; no-break spaces, by which a text keeps its columns, become plain ones."""
    cells = [_BLANKS.sub(" ", cell).strip(" ").replace("\xa0", " ") for cell in line.split("\t")]
    cells = [cell.rstrip() if cell.strip() else "" for cell in cells]
    while cells and not cells[-1]:
        cells.pop()
    return " | ".join(cells)
