"""The format `hl7v2`, as the registry knows it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mappings.contracts import Format, Piece, Position, ReadContext, Reading, Rendition, WriteContext
from mappings.hl7v2 import er7, reader, writer
from mappings.hl7v2.charset import wide_codec
from mappings.hl7v2.pieces import pieces
from mappings.hl7v2.positions import positions
from schemas.item import Item, ItemKind

_START = re.compile(rb"(?:\xef\xbb\xbf)?[\s\x0b\x00]*(?:MSH|[FB]HS)([^\w\s])")
_LATER = re.compile(rb"[\r\n\x0b]MSH[^\w\s]")
_LOOKED_AT = 4096


class Hl7v2Format:
    """HL7v2 in ER7: ORU, MDM, the French ADT set and the business acknowledgements ZAM.

    Options of a partner: those of the header (`sending_application`, `sending_facility`, `receiving_…`), and for
    documents `document_message`, `document_content` and `document_profile` (`written_documents`).
    """

    name = "hl7v2"
    media_type = "application/hl7-v2"
    extension = ".hl7"
    writes = frozenset(ItemKind) - {ItemKind.NOTE, ItemKind.APPOINTMENT, ItemKind.TASK}
    reads = writes

    def sniff(self, content: bytes) -> float:
        """Recognise MSH (or a batch header) at the beginning; later in the content it is less certain."""
        head = content[:_LOOKED_AT]
        if _START.match(head):
            return 0.95
        if wide_codec(head) and _START.match(head.replace(b"\0", b"").lstrip(b"\xff\xfe")):
            return 0.9
        return 0.5 if _LATER.search(head) else 0.0

    def read(self, content: bytes, context: ReadContext) -> Reading:
        """Read one message or a batch."""
        return reader.read(content, context)

    def write(self, item: Item, context: WriteContext) -> Rendition:
        """Write one Item as one message."""
        return writer.write(item, context)

    def split(self, content: bytes) -> Sequence[bytes]:
        """Cut a batch, several MSH or several MLLP frames into messages."""
        return er7.split(content)

    def positions(self, content: bytes) -> Sequence[Position]:
        """List the values with their byte spans."""
        return positions(content)

    def pieces(self, content: bytes) -> Sequence[Piece]:
        """Show the message segment by segment, with the official names."""
        return pieces(content)


FORMAT: Format = Hl7v2Format()
"""What the entry point `passerelle.formats` names."""
