"""Say of a decoded content what had to be guessed or repaired (`hprim.charset.*`)."""

from __future__ import annotations

from mappings.charsets import Decoded
from mappings.notes import Notes

SURE = 0.8
"""Below this confidence a guessed charset is a warning."""


def note_charset(decoded: Decoded, forced: str | None, notes: Notes) -> None:
    """Note the charset chosen and its confidence, repairs, lost signs, and unusual line ends."""
    if not decoded.ascii_only and forced is None:
        message = f"no charset is declared; read as {decoded.charset}, confidence {decoded.confidence:.2f}"
        (notes.info if decoded.confidence >= SURE else notes.warning)("hprim.charset.guessed", "content", message)
    if decoded.repaired:
        message = "UTF-8 had been read as Windows-1252 on the way: repaired"
        notes.warning("hprim.charset.double_encoding", "content", message)
    if decoded.lost:
        message = f"{decoded.lost} characters mean nothing in this charset, or were lost before"
        notes.warning("hprim.charset.lost", "content", message)
    if decoded.mixed:
        notes.info("hprim.line_ends.mixed", "content", "several kinds of line ends in one file")
