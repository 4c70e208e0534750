"""The format `cda`, as the registry knows it."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.cda.pieces import pieces
from mappings.cda.positions import positions
from mappings.cda.reading import reader
from mappings.cda.recognition import is_cda
from mappings.cda.writing import write_item
from mappings.contracts import Format, Piece, Position, ReadContext, Reading, Rendition, WriteContext
from schemas.item import Item, ItemKind


class CdaFormat:
    """CDA R2 of the CI-SIS: reads any document (a CR-BIO also as a laboratory report), writes documents and CR-BIO."""

    name = "cda"
    media_type = "text/xml"
    extension = ".xml"
    reads = frozenset({ItemKind.DOCUMENT, ItemKind.LAB_REPORT})
    writes = frozenset({ItemKind.DOCUMENT, ItemKind.LAB_REPORT})

    def sniff(self, content: bytes) -> float:
        """Recognise a ClinicalDocument of the namespace of CDA."""
        return 0.95 if is_cda(content) else 0.0

    def read(self, content: bytes, context: ReadContext) -> Reading:
        """Read one document."""
        return reader.read(content, context)

    def write(self, item: Item, context: WriteContext) -> Rendition:
        """Write one Item as one document."""
        return write_item(item, context)

    def positions(self, content: bytes) -> Sequence[Position]:
        """List the values with their byte spans."""
        return positions(content)

    def pieces(self, content: bytes) -> Sequence[Piece]:
        """Show the header and the sections."""
        return pieces(content)


FORMAT: Format = CdaFormat()
"""What the entry point `passerelle.formats` names."""
