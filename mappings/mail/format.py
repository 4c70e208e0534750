"""The format `mail`, as the registry knows it."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.contracts import Format, Piece, Position, ReadContext, Reading, Rendition, WriteContext
from mappings.mail import reading, sniff, view, writing
from schemas.item import Item, ItemKind


class MailFormat:
    """Mail (RFC 5322), as MSSanté and HPRIM.Net carry documents, notes and reports.

    For reading. Options: `bounce_subjects` (words of notices of failure, beside those that are known, with `;` between
    them), `smime_key_password`; those of the HPRIM formats. Keys: see `mappings.mail.smime_keys`.

    For writing: see `mappings.mail.writing`; options of `xdm` go to the archive.
    """

    name = "mail"
    media_type = "message/rfc822"
    extension = ".eml"
    reads = frozenset(ItemKind)
    writes = frozenset({ItemKind.DOCUMENT, ItemKind.LAB_REPORT, ItemKind.NOTE})

    def sniff(self, content: bytes) -> float:
        """See `mappings.mail.sniff`."""
        return sniff.sniff(content)

    def read(self, content: bytes, context: ReadContext) -> Reading:
        """Read the documents, notes or receipts of a mail."""
        return reading.read(content, context)

    def write(self, item: Item, context: WriteContext) -> Rendition:
        """Write one Item as one mail to one address."""
        return writing.write(item, context)

    def positions(self, content: bytes) -> Sequence[Position]:
        """List the header fields and bodies with their byte spans."""
        return view.positions(content)

    def pieces(self, content: bytes) -> Sequence[Piece]:
        """Show the header, the text and the attachments."""
        return view.pieces(content)


FORMAT: Format = MailFormat()
"""What the entry point `passerelle.formats` names."""
