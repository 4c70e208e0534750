"""The narrative of a CDA as lines of plain text, for the PDF that must say what the document says (ECO.2.1.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mappings.cda.narrative_tree import (
    Block,
    Break,
    Figure,
    Inline,
    Listing,
    Narrative,
    Note,
    NoteMark,
    Paragraph,
    Row,
    Section,
    Table,
)
from mappings.plain_text import without_controls

_STEP = "  "


def text_lines(narrative: Narrative) -> Iterator[str]:
    """Give the lines, section by section; tables are rows of cells, pictures are named."""
    for section in narrative.sections:
        yield from _section(section, 0)
    if narrative.text:
        yield from without_controls(narrative.text).splitlines()
    if narrative.cut:
        yield "[Document trop long pour cette copie : la suite est dans le document structuré.]"


def _section(section: Section, depth: int) -> Iterator[str]:
    yield ""
    title = without_controls(section.title)
    if title:
        yield _STEP * depth + (title.upper() if depth == 0 else title)
    for line in (*_blocks(section.blocks), *(line for note in section.notes for line in _note(note))):
        yield _STEP * (depth + 1) + line
    for inner in section.sections:
        yield from _section(inner, depth + 1)


def _blocks(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Paragraph):
            caption = f"{block.caption} " if block.caption else ""
            yield from (caption + _inline(block.inlines)).split("\n")
        elif isinstance(block, Listing):
            yield from _listing(block)
        elif isinstance(block, Table):
            yield from _table(block)
        else:
            yield from _figure(block)


def _inline(inlines: Sequence[Inline]) -> str:
    found: list[str] = []
    for one in inlines:
        if isinstance(one, Break):
            found.append("\n")
        elif isinstance(one, NoteMark):
            found.append(f"[{one.number}]")
        else:
            found.append(without_controls(one.text))
    return "".join(found)


def _listing(listing: Listing) -> Iterator[str]:
    if listing.caption:
        yield without_controls(listing.caption)
    for rank, entry in enumerate(listing.entries, 1):
        mark = f"{rank}." if listing.numbering else "-"
        caption = f"{without_controls(entry.caption)} " if entry.caption else ""
        first, *others = list(_blocks(entry.blocks)) or [""]
        yield f"{mark} {caption}{first}"
        yield from (_STEP + line for line in others)


def _table(table: Table) -> Iterator[str]:
    if table.caption:
        yield without_controls(table.caption)
    for row in (*table.head, *table.body, *table.foot):
        yield _row(row)


def _row(row: Row) -> str:
    return " | ".join(" / ".join(line for line in _blocks(cell.blocks) if line.strip()) for cell in row.cells)


def _figure(figure: Figure) -> Iterator[str]:
    yield f"[{without_controls(figure.caption) or 'image'}]"


def _note(note: Note) -> Iterator[str]:
    yield f"[{note.number}] " + " ".join(_blocks(note.blocks))
