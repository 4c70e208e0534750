"""A human reading of a document: the header, then the sections (`show`, dashboard)."""

from __future__ import annotations

from mappings.contracts import Piece


def pieces(content: bytes) -> list[Piece]:
    """Describe the document; raises FormatError when there is none."""
    return []
