"""The format `xds`, as the registry knows it."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.cda import FORMAT as CDA, is_cda
from mappings.cda.positions import positions
from mappings.contracts import Format, Piece, Position, ReadContext, Reading, Rendition, WriteContext
from mappings.xds import reading, view, writing
from schemas.item import Item, ItemKind

_LOOKED_AT = 16 * 1024
_OBJECTS = "RegistryObjectList"
_MARKS = (b"urn:oasis:names:tc:ebxml-regrep:xsd:", b"RegistryObjectList")


class XdsFormat:
    """What an XDS repository takes and gives (DMP): a document, with METADATA.XML beside it; or metadata alone.

    Options of a partner, for writing: `source_id`, the OID of this installation; `content_type`, the contentTypeCode
    of the submission.
    """

    name = "xds"
    media_type = "text/xml"
    extension = ".xml"
    reads = frozenset({ItemKind.DOCUMENT, ItemKind.LAB_REPORT})
    writes = frozenset({ItemKind.DOCUMENT, ItemKind.LAB_REPORT})

    def sniff(self, content: bytes) -> float:
        """Recognise ebRIM; a document by itself is of its own format, whatever may lie beside it."""
        head = content[:_LOOKED_AT]
        return 0.9 if all(mark in head for mark in _MARKS) and not is_cda(content) else 0.0

    def read(self, content: bytes, context: ReadContext) -> Reading:
        """Read a document with the metadata beside it, or metadata alone."""
        return reading.read(content, context)

    def write(self, item: Item, context: WriteContext) -> Rendition:
        """Write the document with its metadata beside it; a deletion is metadata alone."""
        return writing.write(item, context)

    def positions(self, content: bytes) -> Sequence[Position]:
        """List the values of a document, or of the registry objects."""
        return CDA.positions(content) if is_cda(content) else positions(content, _OBJECTS)

    def pieces(self, content: bytes) -> Sequence[Piece]:
        """Show the document as its own format does, or the metadata under their official names."""
        return CDA.pieces(content) if is_cda(content) else view.pieces(content)


FORMAT: Format = XdsFormat()
"""What the entry point `passerelle.formats` names."""
