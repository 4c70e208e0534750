"""CDA narrative → the tree of `narrative_tree`: section by section, bounded in size and depth.

Source: CDA R2 narrative schema (StrucDoc) and CI-SIS fact sheet §1 and §5. Nothing of the sender's markup passes: an
element either has a meaning here, or only its text is kept. What would be no text for a reader (`script`, `style`,
stray text between cells) is counted in `Narrative.left_out`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from mappings.cda.media import V3, MediaIndex, bytes_of, media_type_of, open_document
from mappings.cda.narrative_flow import Budget, Flow
from mappings.cda.narrative_styles import NO_MARKS, align_of, marks_of, numbering_of, safe_link, span_of
from mappings.cda.narrative_tree import (
    Block,
    Cell,
    Entry,
    Figure,
    Listing,
    Mark,
    Media,
    Narrative,
    Note,
    NoteMark,
    Row,
    Section,
    Table,
)
from mappings.charsets import decode
from schemas.coding import Coding

LARGEST_TEXT = 200_000
"""Characters shown at most; the longest real document has about thirty thousand."""

MOST_PIECES = 8_000
"""Sections, cells, items, runs… shown at most; the largest real document has about a thousand."""

DEEPEST_BLOCK = 8
"""Tables and lists inside one another; below, their text only is kept."""

DEEPEST_SECTION = 6
"""Sections inside one another; deeper ones follow at this depth."""

_BLANKS = re.compile(r"[ \t\r\n\f]+")
_UNREADABLE = frozenset({"script", "style", "object", "embed", "applet", "iframe", "template"})


def narrative_of(content: bytes) -> Narrative:
    """Read what a CDA document says to a person.

    Raises FormatError: `cda.narrative.no_document`, or `cda.narrative.…` with a suffix of `parse_xml`.
    """
    return _Reader(open_document(content)).read()


class _Reader:
    """Reads one document, and remembers how much of it has been shown."""

    def __init__(self, document: etree._Element) -> None:
        self._document = document
        self._budget = Budget(LARGEST_TEXT, MOST_PIECES)
        self._left_out = 0
        self._media = MediaIndex(document)
        self._notes = {
            note.get("ID", ""): rank for rank, note in enumerate(document.iter(f"{V3}footnote"), 1) if note.get("ID")
        }
        self._number = 0
        self._section_notes: list[Note] = []

    def read(self) -> Narrative:
        """Read the body, of either level."""
        body: Media | None = None
        text = ""
        for element in self._document.iterfind(f"{V3}component/{V3}nonXMLBody/{V3}text"):
            body = self._media.body(element)
            if media_type_of(element) == "text/plain":
                text = self._budget.taken(decode(bytes_of(element)).text)
            break
        sections = list(self._sections(self._document.iterfind(f"{V3}component/{V3}structuredBody"), 0))
        return Narrative(tuple(sections), body, text, self._budget.spent, self._left_out)

    # --- sections -------------------------------------------------------------------------------------------------

    def _sections(self, parents: Iterator[etree._Element], depth: int) -> Iterator[Section]:
        for parent in parents:
            for element in parent.iterfind(f"{V3}component/{V3}section"):
                if not self._budget.piece():
                    return
                section = self._section(element)
                inner = tuple(self._sections(iter((element,)), depth + 1))
                if depth < DEEPEST_SECTION:
                    yield Section(section.title, section.code, section.blocks, section.notes, inner)
                else:
                    yield section
                    yield from inner

    def _section(self, element: etree._Element) -> Section:
        coded = element.find(f"{V3}code")
        code = None
        if coded is not None and coded.get("code"):
            oid = coded.get("codeSystem")
            display = self._budget.taken(coded.get("displayName") or "") or None
            code = Coding(system=f"urn:oid:{oid}" if oid else None, code=coded.get("code", "")[:80], display=display)
        title = self._plain(element.find(f"{V3}title")) or (code.display if code is not None else None) or ""
        self._section_notes = []
        text = element.find(f"{V3}text")
        blocks = self._blocks(text, 0) if text is not None else ()
        blocks += tuple(Figure(media) for media in self._media.only_in_entries(element) if self._budget.piece())
        return Section(title, code, blocks, tuple(self._section_notes))

    # --- blocks ---------------------------------------------------------------------------------------------------

    def _blocks(self, element: etree._Element, depth: int) -> tuple[Block, ...]:
        flow = Flow()
        self._walk(element, flow, marks_of(element) if element.tag == f"{V3}content" else NO_MARKS, None, depth)
        return flow.finished()

    def _walk(self, element: etree._Element, flow: Flow, marks: frozenset[Mark], link: str | None, depth: int) -> None:
        """Take an element's text and children, in order; the text after it belongs to who called."""
        self._text(element.text, flow, marks, link)
        for child in element:
            if self._budget.spent:
                return
            name = etree.QName(child).localname
            if name in _UNREADABLE:
                self._left_out += 1
            elif name != "caption":
                self._child(name, child, flow, marks, link, depth)
            self._text(child.tail, flow, marks, link)

    def _child(
        self, name: str, child: etree._Element, flow: Flow, marks: frozenset[Mark], link: str | None, depth: int
    ) -> None:
        match name:
            case "br":
                if self._budget.piece():
                    flow.line()
            case "renderMultiMedia":
                for figure in self._figures(child):
                    flow.block(figure)
            case "footnote":
                flow.inline(NoteMark(self._note(child, depth)))
            case "footnoteRef":
                number = self._notes.get(child.get("IDREF", ""))
                if number is not None and self._budget.piece():
                    flow.inline(NoteMark(number))
            case "table" if depth < DEEPEST_BLOCK:
                flow.block(self._table(child, depth + 1))
            case "list" if depth < DEEPEST_BLOCK:
                flow.block(self._list(child, depth + 1))
            case "paragraph" | "table" | "list" | "tr" | "item" | "text" | "p" | "div" | "li":
                flow.paragraph(self._caption(child))
                self._walk(child, flow, marks | marks_of(child), link, depth)
                flow.paragraph()
            case "linkHtml":
                self._walk(child, flow, marks, safe_link(child.get("href")) or link, depth)
            case "sub" | "sup":
                self._walk(child, flow, marks | {"sub" if name == "sub" else "sup"}, link, depth)
            case _:
                self._walk(child, flow, marks | marks_of(child), link, depth)
                if name in {"td", "th"}:  # a table too deep to be one: its cells stay apart
                    self._text(" ", flow, marks, link)

    def _note(self, element: etree._Element, depth: int) -> int:
        self._number = number = self._notes.get(element.get("ID", ""), self._number + 1)
        if self._budget.piece():
            self._section_notes.append(Note(number, self._blocks(element, min(depth + 1, DEEPEST_BLOCK))))
        return number

    def _figures(self, element: etree._Element) -> Iterator[Figure]:
        caption = self._caption(element)
        for name in (element.get("referencedObject") or "").split()[:20] or [""]:
            if self._budget.piece():
                yield Figure(self._media.named(name), caption)

    def _list(self, element: etree._Element, depth: int) -> Listing:
        entries = tuple(Entry(self._blocks(item, depth), self._caption(item)) for item in self._rows(element, {"item"}))
        return Listing(entries, numbering_of(element), self._caption(element))

    def _table(self, element: etree._Element, depth: int) -> Table:
        caption = self._caption(element)
        parts: dict[str, list[Row]] = {"thead": [], "tbody": [], "tfoot": []}
        for part in self._rows(element, {"thead", "tbody", "tfoot", "tr"}):
            name = etree.QName(part).localname
            rows = [part] if name == "tr" else self._rows(part, {"tr"})
            for row in rows:
                cells = tuple(self._cell(cell, row, depth) for cell in self._rows(row, {"td", "th"}))
                parts["tbody" if name == "tr" else name].append(Row(cells))
        return Table(tuple(parts["thead"]), tuple(parts["tbody"]), tuple(parts["tfoot"]), caption)

    def _cell(self, element: etree._Element, row: etree._Element, depth: int) -> Cell:
        return Cell(
            self._blocks(element, depth),
            etree.QName(element).localname == "th",
            span_of(element.get("colspan")),
            span_of(element.get("rowspan")),
            align_of(element, row),
            marks_of(element) | marks_of(row),
        )

    def _rows(self, element: etree._Element, names: set[str]) -> Iterator[etree._Element]:
        """Give the children that have a place in a table or a list; count what has none."""
        if (element.text or "").strip():
            self._left_out += 1
        for child in element:
            name = etree.QName(child).localname
            if name in names:
                if not self._budget.piece():
                    return
                yield child
            elif name not in {"caption", "col", "colgroup"}:
                self._left_out += 1
            if (child.tail or "").strip():
                self._left_out += 1

    # --- text -----------------------------------------------------------------------------------------------------

    def _text(self, text: str | None, flow: Flow, marks: frozenset[Mark], link: str | None) -> None:
        if text and not self._budget.spent:
            folded = _BLANKS.sub(" ", text)
            if folded == " " or self._budget.piece():
                flow.text(self._budget.taken(folded), marks, link)

    def _caption(self, element: etree._Element) -> str:
        return self._plain(element.find(f"{V3}caption"))

    def _plain(self, element: etree._Element | None) -> str:
        if element is None:
            return ""
        return self._budget.taken(_BLANKS.sub(" ", "".join(str(part) for part in element.itertext())).strip())
