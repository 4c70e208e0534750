"""The narrative of a CDA document as a small tree of our own: what a page or a terminal draws.

The blocks are those of CDA R2's narrative schema (StrucDoc): paragraphs, lists, tables, figures. No tag of the sender's
is in it: inline elements are flattened into runs of text that carry their marks, so that no depth of the sender's
reaches who draws the tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.coding import Coding

Mark = Literal["bold", "italic", "underline", "strike", "sub", "sup"]

Numbering = Literal["", "decimal", "lower-roman", "upper-roman", "lower-alpha", "upper-alpha"]
"""How a list is numbered; empty for bullets."""

Align = Literal["", "left", "center", "right"]


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one look; blanks are folded. `link` is an address of scheme http, https or mailto, never another."""

    text: str
    marks: frozenset[Mark] = frozenset()
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Break:
    """The end of a line."""


@dataclass(frozen=True, slots=True)
class NoteMark:
    """Where a footnote is called; `number` counts the footnotes of the document."""

    number: int


Inline = Run | Break | NoteMark


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines of text."""

    inlines: tuple[Inline, ...]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An item of a list."""

    blocks: tuple[Block, ...]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list, numbered or not."""

    entries: tuple[Entry, ...]
    numbering: Numbering = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table; `columns` and `rows` are how many it spans, within reason."""

    blocks: tuple[Block, ...]
    heading: bool = False
    columns: int = 1
    rows: int = 1
    align: Align = ""
    marks: frozenset[Mark] = frozenset()


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table."""

    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table in its three parts, in the order in which they are read."""

    head: tuple[Row, ...] = ()
    body: tuple[Row, ...] = ()
    foot: tuple[Row, ...] = ()
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """A file inside the document; `rank` asks `media_content` for its bytes, `size` is in bytes, decoded.

    `held` is False when the document only refers to the file: it is never fetched.
    """

    rank: int
    media_type: str
    size: int = 0
    held: bool = True


@dataclass(frozen=True, slots=True)
class Figure:
    """A file that the narrative shows at this place; `media` None when its reference leads nowhere."""

    media: Media | None
    caption: str = ""


Block = Paragraph | Listing | Table | Figure


@dataclass(frozen=True, slots=True)
class Note:
    """A footnote."""

    number: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its title (else the label of its code), its narrative, its notes and its sub-sections."""

    title: str
    code: Coding | None = None
    blocks: tuple[Block, ...] = ()
    notes: tuple[Note, ...] = ()
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True, slots=True)
class Narrative:
    """What a CDA document says to a person.

    `body` is the file of a level 1 body, `text` the text of one that is plain text. `cut` says that the document is
    larger than what is shown of it; `left_out` counts the elements and texts that have no place in a narrative.
    """

    sections: tuple[Section, ...] = ()
    body: Media | None = None
    text: str = ""
    cut: bool = False
    left_out: int = 0
