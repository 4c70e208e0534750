"""The format `cda`, as the registry knows it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mappings.cda.pieces import pieces
from mappings.cda.positions import positions
from mappings.cda.reading import reader
from mappings.contracts import Format, Piece, Position, ReadContext, Reading, Rendition, WriteContext
from schemas.item import Item, ItemKind

_LOOKED_AT = 64 * 1024
_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?ClinicalDocument[\s>]")
_NAMESPACE = b"urn:hl7-org:v3"
_DOCUMENT = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<")
_WRAPPER = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?(?:stylesheet|transform|html)[\s>]")


def is_cda(content: bytes) -> bool:
    """Say whether a content is a CDA document, alone or in a self-presenting wrapper, by its bytes; nothing is parsed.

    The ClinicalDocument of a wrapper may stand far behind a long stylesheet: the whole content is looked at then.
    """
    head = _narrow(content[:_LOOKED_AT])
    if not _DOCUMENT.match(head) or (_NAMESPACE not in head and not _WRAPPER.search(head)):
        return False
    if _ROOT.search(head):
        return _NAMESPACE in head
    if not _WRAPPER.search(head):
        return False
    return b"ClinicalDocument" in content and _NAMESPACE in content and _ROOT.search(content) is not None


def _narrow(head: bytes) -> bytes:
    """Take the zeros out of UTF-16, so that ASCII is searched for in one way."""
    return head.replace(b"\0", b"").lstrip(b"\xff\xfe") if b"\0" in head[:64] else head


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
        from mappings.cda.writing import write_item  # imported late: it is made beside this module

        return write_item(item, context)

    def positions(self, content: bytes) -> Sequence[Position]:
        """List the values with their byte spans."""
        return positions(content)

    def pieces(self, content: bytes) -> Sequence[Piece]:
        """Show the header and the sections."""
        return pieces(content)


FORMAT: Format = CdaFormat()
"""What the entry point `passerelle.formats` names."""
