"""The format `xdm`, as the registry knows it."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.archive import is_archive
from mappings.contracts import Format, Piece, Position, ReadContext, Reading, Rendition, WriteContext
from mappings.xdm import reading, view, writing
from schemas.item import Item, ItemKind

_LOOKED_AT = 64 * 1024


class XdmFormat:
    """IHE_XDM.ZIP: documents with their XDS metadata, on a medium or in a mail (MSSanté).

    Options of a partner, all for writing: `issuer`, `issuer_address`, `issuer_phone` (whom the leaflets name; by
    default the custodian), `application`, `application_version`, `application_editor`; `source_id`, the OID of this
    installation; `content_type`, the contentTypeCode of the submission; `action_slot`, the name of the extra metadata
    that replaces or deletes (`action`); `pdf = "yes"`, a PDF twin beside the CDA; `compression = "store"`, nothing is
    deflated, so that the bytes do not depend on a version of zlib.
    """

    name = "xdm"
    media_type = "application/zip"
    extension = ".zip"
    reads = frozenset({ItemKind.DOCUMENT, ItemKind.LAB_REPORT})
    writes = frozenset({ItemKind.DOCUMENT, ItemKind.LAB_REPORT})

    def sniff(self, content: bytes) -> float:
        """Recognise a ZIP that names IHE_XDM at its beginning or in its directory; any other may hold documents too."""
        if not is_archive(content):
            return 0.0
        looked_at = (content[:_LOOKED_AT] + content[-_LOOKED_AT:]).upper()
        if b"IHE_XDM" in looked_at:
            return 0.95
        return 0.3 if b".XML" in looked_at else 0.1

    def read(self, content: bytes, context: ReadContext) -> Reading:
        """Read every document of every submission set."""
        return reading.read(content, context)

    def write(self, item: Item, context: WriteContext) -> Rendition:
        """Write one Item as an archive of one document."""
        return writing.write(item, context)

    def positions(self, content: bytes) -> Sequence[Position]:
        """List the entries with their byte spans."""
        return view.positions(content)

    def pieces(self, content: bytes) -> Sequence[Piece]:
        """Show the metadata and the documents."""
        return view.pieces(content)


FORMAT: Format = XdmFormat()
"""What the entry point `passerelle.formats` names."""
