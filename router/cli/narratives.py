"""The narrative of a document in the terminal: sections, paragraphs, lists and tables, without a control character."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from mappings.cda.narrative_tree import (
    Block,
    Break,
    Cell,
    Figure,
    Inline,
    Listing,
    Mark,
    Media,
    Narrative,
    Note,
    NoteMark,
    Paragraph,
    Row,
    Section,
    Table,
)
from mappings.plain_text import without_controls

_STYLES: dict[Mark, str] = {"bold": "bold", "italic": "italic", "underline": "underline", "strike": "strike"}
_ROMAN = ((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))


def narrative_lines(found: Narrative) -> Iterator[RenderableType]:
    """Give the lines of a narrative, section by section."""
    for section in found.sections:
        yield from _section(section, 0)
    if found.text:
        yield Text(without_controls(found.text))
    elif found.body is not None:
        yield _media(found.body, "")
    if found.cut:
        yield Text("This document is too long to be shown whole: what follows is missing.", "yellow")
    if found.left_out:
        yield Text(f"{found.left_out} element(s) that have no place in a document are not shown.", "yellow")


def _section(section: Section, depth: int) -> Iterator[RenderableType]:
    title = without_controls(section.title) or "Untitled section"
    yield Text(f"{'#' * (depth + 1)} {title}", "bold cyan" if depth == 0 else "bold")
    yield Padding(Group(*_blocks(section.blocks), *map(_note, section.notes)), (0, 0, 0, 2))
    for inner in section.sections:
        yield from _section(inner, depth + 1)


def _blocks(blocks: Sequence[Block]) -> Iterator[RenderableType]:
    for block in blocks:
        if isinstance(block, Paragraph):
            caption = Text(without_controls(block.caption) + " ", "bold") if block.caption else Text()
            yield caption + _line(block.inlines)
        elif isinstance(block, Listing):
            yield from _listing(block)
        elif isinstance(block, Table):
            yield _table(block)
        else:
            yield _figure(block)


def _line(inlines: Sequence[Inline]) -> Text:
    text = Text()
    for one in inlines:
        if isinstance(one, Break):
            text.append("\n")
        elif isinstance(one, NoteMark):
            text.append(f"[{one.number}]", "dim")
        else:
            text.append(without_controls(one.text), " ".join(sorted(_STYLES[m] for m in one.marks if m in _STYLES)))
            if one.link:
                text.append(f" <{without_controls(one.link)}>", "dim")
    return text


def _listing(listing: Listing) -> Iterator[RenderableType]:
    if listing.caption:
        yield Text(without_controls(listing.caption), "bold")
    grid = Grid.grid(padding=(0, 1))
    for rank, entry in enumerate(listing.entries, 1):
        caption = [Text(without_controls(entry.caption), "bold")] if entry.caption else []
        grid.add_row(_bullet(listing, rank), Group(*caption, *_blocks(entry.blocks)))
    yield grid


def _bullet(listing: Listing, rank: int) -> str:
    kind = listing.numbering
    if not kind:
        return "•"
    if kind.endswith("roman"):
        number = _roman(rank)
    elif kind.endswith("alpha"):
        number = _alpha(rank)
    else:
        number = str(rank)
    return (number.upper() if kind.startswith("upper") else number) + "."


def _roman(rank: int) -> str:
    found = ""
    for value, letters in _ROMAN:
        count, rank = divmod(rank, value)
        found += letters * count
    return found


def _alpha(rank: int) -> str:
    found = ""
    while rank:
        rank, letter = divmod(rank - 1, 26)
        found = chr(ord("a") + letter) + found
    return found


def _table(table: Table) -> RenderableType:
    """Lay a table out on as many columns as its widest row has; what spans several stands in the first of them."""
    rows = [*table.head, *table.body, *table.foot]
    width = max((sum(cell.columns for cell in row.cells) for row in rows), default=0)
    grid = Grid(box=SIMPLE_HEAD, show_header=False, pad_edge=False)
    if table.caption:
        grid.title, grid.title_justify = Text(without_controls(table.caption), "bold"), "left"
    for _ in range(width):
        grid.add_column()
    kept: dict[int, int] = {}
    for row in rows:
        grid.add_row(*_cells(row, kept, width), end_section=row is (table.head or (None,))[-1])
    return grid


def _cells(row: Row, kept: dict[int, int], width: int) -> Iterator[RenderableType]:
    """Place a row's cells beside those of rows above that reach into it; `kept` counts these by column."""
    cells = iter(row.cells)
    column = 0
    while column < width:
        if kept.get(column):
            kept[column] -= 1
            yield Text()
            column += 1
            continue
        cell = next(cells, None)
        if cell is None:
            return
        yield _cell(cell)
        for place in range(column, min(column + cell.columns, width)):
            kept[place] = cell.rows - 1
            if place > column:
                yield Text()
        column += cell.columns


def _cell(cell: Cell) -> RenderableType:
    group = Group(*_blocks(cell.blocks))
    if not cell.heading and "bold" not in cell.marks:
        return group
    for text in group.renderables:
        if isinstance(text, Text):
            text.stylize("bold")
    return group


def _figure(figure: Figure) -> Text:
    if figure.media is None:
        return Text(f"[a file that is not in the document] {without_controls(figure.caption)}".rstrip(), "dim")
    return _media(figure.media, without_controls(figure.caption))


def _media(media: Media, caption: str) -> Text:
    where = f"{media.size:,} bytes" if media.held else "kept elsewhere"
    return Text(f"[{media.media_type}, {where}] {caption}".rstrip(), "dim")


def _note(note: Note) -> RenderableType:
    return Group(Text(f"[{note.number}]", "dim"), *_blocks(note.blocks))
