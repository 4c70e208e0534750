"""HPRIM Médecin 3.0: twelve header lines, a readable text, and coded lines (RES, TEX) in a block (hprim 2)."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.contracts import Format, Piece, Position, ReadContext, Reading, Rendition, WriteContext
from mappings.hprim_medecin.read import NAME, read
from mappings.hprim_medecin.sniff import sniff
from mappings.hprim_medecin.view import pieces, positions
from mappings.hprim_medecin.write import MEDIA_TYPE, write
from schemas.item import Item, ItemKind

__all__ = ["FORMAT"]


class HprimMedecin:
    """The format `hprim-medecin`: laboratory reports with coded lines, and letters."""

    name = NAME
    media_type = MEDIA_TYPE
    extension = ".hpm"
    reads = frozenset({ItemKind.LAB_REPORT, ItemKind.DOCUMENT})
    writes = frozenset({ItemKind.LAB_REPORT, ItemKind.DOCUMENT})

    def sniff(self, content: bytes) -> float:
        """See `mappings.hprim_medecin.sniff`."""
        return sniff(content)

    def read(self, content: bytes, context: ReadContext) -> Reading:
        """See `mappings.hprim_medecin.read`."""
        return read(content, context)

    def write(self, item: Item, context: WriteContext) -> Rendition:
        """See `mappings.hprim_medecin.write`."""
        return write(item, context)

    def positions(self, content: bytes) -> Sequence[Position]:
        """See `mappings.hprim_medecin.view`."""
        return positions(content)

    def pieces(self, content: bytes) -> Sequence[Piece]:
        """See `mappings.hprim_medecin.view`."""
        return pieces(content)


FORMAT: Format = HprimMedecin()
