"""HPRIM Santé 2.0 to 2.5: segments H, P, OBR, OBX, C, L, with delimiters of the sender's choice (hprim 3)."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.contracts import Format, Piece, Position, ReadContext, Reading, Rendition, WriteContext
from mappings.hprim_sante.read import read
from mappings.hprim_sante.report import NAME
from mappings.hprim_sante.sniff import sniff
from mappings.hprim_sante.view import pieces, positions
from mappings.hprim_sante.write import MEDIA_TYPE, write
from schemas.item import Item, ItemKind

__all__ = ["FORMAT"]


class HprimSante:
    """The format `hprim-sante`: results (ORU), admission data (ADM) and answers (ERR) in, results out."""

    name = NAME
    media_type = MEDIA_TYPE
    extension = ".hpr"
    reads = frozenset({ItemKind.LAB_REPORT, ItemKind.IDENTITY, ItemKind.STAY})
    writes = frozenset({ItemKind.LAB_REPORT})

    def sniff(self, content: bytes) -> float:
        """See `mappings.hprim_sante.sniff`."""
        return sniff(content)

    def read(self, content: bytes, context: ReadContext) -> Reading:
        """See `mappings.hprim_sante.read`."""
        return read(content, context)

    def write(self, item: Item, context: WriteContext) -> Rendition:
        """See `mappings.hprim_sante.write`."""
        return write(item, context)

    def positions(self, content: bytes) -> Sequence[Position]:
        """See `mappings.hprim_sante.view`."""
        return positions(content)

    def pieces(self, content: bytes) -> Sequence[Piece]:
        """See `mappings.hprim_sante.view`."""
        return pieces(content)


FORMAT: Format = HprimSante()
