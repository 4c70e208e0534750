"""What a PDF says of its own conformance: PDF/A needs it in its XMP metadata (ISO 19005-1 §6.7.11)."""

from __future__ import annotations

import base64
import binascii
import re

from mappings.notes import Notes

_PART = re.compile(rb"pdfaid:part(?:\s*=\s*[\"']|\s*>\s*)([1-4])")


def pdf_a_part(content: bytes) -> int | None:
    """Give the part of PDF/A that a PDF claims (1, 2, 3…), or None; metadata may not be compressed in PDF/A-1."""
    found = _PART.search(content)
    return int(found[1]) if found else None


def note_conformance(data: str, where: str, notes: Notes) -> None:
    """Note a PDF that is not one, or that does not claim PDF/A-1 (volet CDA R2 niveau 1); it is never refused."""
    try:
        content = base64.b64decode(data)
    except (binascii.Error, ValueError):
        return
    if content.lstrip()[:5] != b"%PDF-":
        notes.warning("cda.write.not_pdf", where, "a file that is said to be a PDF does not begin as one")
    elif pdf_a_part(content) != 1:
        notes.warning("cda.write.not_pdf_a1", where, "the PDF does not say that it is PDF/A-1, which CI-SIS asks for")
