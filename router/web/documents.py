"""What a document says, ready to be drawn: its narrative when it is a CDA, and the files that are shown in place.

The narrative is a tree of our own (`mappings.cda.narrative_tree`); templates write it with everything escaped, so that
no markup, style or address of the sender's reaches a page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mappings.cda.narrative import narrative_of
from mappings.cda.narrative_tree import (
    Break,
    Figure,
    Listing,
    Media,
    Narrative,
    NoteMark,
    Paragraph,
    Run,
    Section,
    Table,
)
from mappings.contracts import FormatError
from router.web.attachments import Shown, Viewing, attachments_of, carried, files_of, plain_type, viewing
from schemas.attachment import Attachment
from schemas.document import Document
from schemas.item import Item

XML_TYPES = frozenset({"text/xml", "application/xml", "application/hl7-cda+xml", "application/hl7-sda+xml"})

LARGEST = 32_000_000
"""Bytes of a CDA that a page reads to show it; a larger one is only downloaded."""

CONTENTS_FROM = 5
"""Sections from which a list of them is given first."""

KINDS = {
    "run": Run,
    "line_end": Break,
    "note_mark": NoteMark,
    "paragraph": Paragraph,
    "listing": Listing,
    "grid": Table,
    "figure": Figure,
}
"""The pieces of a narrative by the names of the templates' tests."""

Load = Callable[[int], bytes | None]
"""Gives the bytes of an Item's file by its rank; None when they are gone."""


@dataclass(frozen=True, slots=True)
class Paper:
    """A document as it is read.

    `source` is the rank of the CDA among the Item's files, None when no file is one. `defect` says why its narrative
    cannot be shown (the code of the reader, or `too_large`, `gone`). `opened` is the file to read first, `others` those
    that are shown when asked.
    """

    source: int | None
    narrative: Narrative | None
    defect: str
    opened: Shown | None
    others: tuple[Shown, ...]

    @property
    def contents(self) -> tuple[tuple[int, Section], ...]:
        """The list of sections, when there are enough of them for one."""
        sections = self.narrative.sections if self.narrative is not None else ()
        return tuple(enumerate(sections)) if len(sections) >= CONTENTS_FROM else ()

    @property
    def body(self) -> Media | None:
        """The body of level 1, when it is not among the Item's files as well."""
        if self.narrative is None or self.narrative.body is None or self.narrative.text:
            return None
        return None if self.opened is not None or self.others else self.narrative.body


def paper(item: Item, load: Load) -> Paper:
    """Lay out what an Item's files say. `load` is asked for a CDA's bytes when the Item does not carry them."""
    shown = attachments_of(item)
    source = _source(item)
    narrative, defect = _narrative(item, source, load) if source is not None else (None, "")
    # A narrative in sections shows its document's files where they belong.
    told = narrative is not None and bool(narrative.sections)
    pictures = () if told else tuple(one for one in shown if one.viewing and one.rank != source)
    opened = pictures[0] if pictures and isinstance(item.content, Document) else None
    return Paper(source, narrative, defect, opened, tuple(one for one in pictures if one is not opened))


def viewing_of(found: Media) -> Viewing:
    """Say how the page shows a file inside a CDA."""
    return viewing(found.media_type) if found.held else ""


def _source(item: Item) -> int | None:
    """Give the rank of the first file that is XML: a document read from CDA keeps the CDA first."""
    if not isinstance(item.content, Document):
        return None
    return next((rank for rank, one in enumerate(files_of(item)) if plain_type(one.media_type) in XML_TYPES), None)


def _narrative(item: Item, source: int, load: Load) -> tuple[Narrative | None, str]:
    one = files_of(item)[source]
    if (one.size or 0) > LARGEST:
        return None, "too_large"
    content = _bytes(one, source, load)
    if content is None:
        return None, "gone"
    if len(content) > LARGEST:
        return None, "too_large"
    try:
        return narrative_of(content), ""
    except FormatError as problem:
        return None, problem.code


def _bytes(one: Attachment, rank: int, load: Load) -> bytes | None:
    found = carried(one)
    return found if found is not None else load(rank)
