"""The narrative of a section: what people read, and what coded entries point to (cda-fr §5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mappings.cda.writing.markup import escaped

_KEPT = re.compile(r"^ +|(?<= ) +| +$", re.MULTILINE)
COLUMNS = ("Examen", "Résultat", "Valeurs de référence", "Interprétation", "Antériorités")
_SPAN = len(COLUMNS)


class Names:
    """Gives `ID`s that are unique in the document."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0

    def new(self, kind: str) -> str:
        """Give the next name of a kind (`r12`)."""
        self._last += 1
        return f"{kind}{self._last}"


def lines(text: str) -> str:
    """Write a text with its line breaks; spaces that begin a line or follow another become no-break spaces.

    A reader of XML may fold blanks: columns that a laboratory lined up must stay so.
    """
    return _KEPT.sub(lambda found: "\xa0" * len(found[0]), escaped(text.strip("\n"))).replace("\n", "<br/>")


def content(name: str, text: str) -> str:
    """Write a text that entries may point to."""
    return f'<content ID="{name}">{lines(text)}</content>'


class Page:
    """The narrative of one section: one table of results, remarks and headings in their order, then paragraphs."""

    __slots__ = ("_after", "_before", "_rows", "names")

    def __init__(self, names: Names) -> None:
        self.names = names
        self._before: list[str] = []
        self._rows: list[str] = []
        self._after: list[str] = []

    def heading(self, text: str, before: str = "") -> str:
        """Write the name of a battery or isolate over its results, with words before it; gives the name's ID."""
        name = self.names.new("h")
        self._rows.append(f'<tr><th colspan="{_SPAN}">{before}{content(name, text)}</th></tr>')
        return name

    def row(self, cells: Iterable[str]) -> None:
        """Write a line of results; its cells are XML already."""
        self._rows.append("<tr>" + "".join(f"<td>{cell}</td>" if cell else "<td/>" for cell in cells) + "</tr>")

    def remark(self, text: str) -> str:
        """Write a comment under the line before it; gives its ID."""
        name = self.names.new("c")
        self._rows.append(f'<tr><td colspan="{_SPAN}">{content(name, text)}</td></tr>')
        return name

    def opening(self, text: str, before: str = "", after: str = "") -> str:
        """Write a paragraph before the results, with words around a text; gives the text's ID."""
        name = self.names.new("p")
        self._before.append(f"<paragraph>{escaped(before)}{content(name, text)}{escaped(after)}</paragraph>")
        return name

    def closing(self, text: str) -> None:
        """Write a paragraph after the results."""
        self._after.append(f"<paragraph>{lines(text)}</paragraph>")

    def text(self) -> str:
        """Give the section's `text`."""
        return f"<text>{''.join(self._parts())}</text>"

    def _parts(self) -> Iterator[str]:
        yield from self._before
        if self._rows:
            head = "".join(f"<th>{column}</th>" for column in COLUMNS)
            yield f'<table border="0"><thead><tr>{head}</tr></thead><tbody>'
            yield from self._rows
            yield "</tbody></table>"
        yield from self._after
        if not (self._before or self._rows or self._after):
            yield "<paragraph>Aucun résultat.</paragraph>"
