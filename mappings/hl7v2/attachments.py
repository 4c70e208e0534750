"""ED values: files inside OBX-5, in base64 that is often not quite base64 (21 of 76 official examples)."""

from __future__ import annotations

import base64
import binascii

from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.notebook import Notebook
from schemas.attachment import Attachment

_MEDIA = {
    "PDF": "application/pdf",
    "XML": "text/xml",
    "HTML": "text/html",
    "RTF": "application/rtf",
    "JPEG": "image/jpeg",
    "JPG": "image/jpeg",
    "JPE": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "TIF": "image/tiff",
    "PLAIN": "text/plain",
    "DICOM": "application/dicom",
}
_EXACT = frozenset({"text/rtf", "application/xml", "application/xhtml+xml"})
"""Media types that a sender spelled out and that are not the usual one of their subtype."""
_BARE = {"TEXT": "text/plain", "TX": "text/plain", "FT": "text/plain", "": "application/octet-stream"}
_BLANKS = str.maketrans("", "", "\r\n\t \0")


def payload_of(notes: Notebook, obx: Segment) -> tuple[str, bytes, str] | None:
    """Read an ED of OBX-5 as its media type, bytes, and their base64; None (with a Finding) when it cannot be read.

    Escapes are not decoded and the character set plays no part: base64 has neither.
    """
    syntax = notes.syntax
    parts = obx.raw(5).split(syntax.component, 4)
    parts += [""] * (5 - len(parts))
    kind, subtype, encoding, data = (*(syntax.code(part) for part in parts[1:4]), parts[4])
    # What follows the data is a further component or repetition that no ED has.
    data = data.split(syntax.component, 1)[0].split(syntax.repetition, 1)[0] if data else ""
    where = obx.where(5, 5)
    if not data:
        notes.warn("hl7v2.ed.empty", where, "the encapsulated data is empty")
        return None
    scheme = encoding.upper()
    if scheme == "A":
        content = syntax.text(data).encode("utf-8")
    elif scheme == "HEX":
        try:
            content = bytes.fromhex(data)
        except ValueError:
            notes.error("hl7v2.ed.hex", where, "the encapsulated data is not hexadecimal")
            return None
    else:
        if scheme != "BASE64":
            notes.warn("hl7v2.ed.encoding", obx.where(5, 4), "the encoding is not stated; the data is read as base64")
        decoded = _from_base64(notes, data, where)
        if decoded is None:
            return None
        content, data = decoded
        return _media_type(kind, subtype, content), content, data
    return _media_type(kind, subtype, content), content, base64.b64encode(content).decode("ascii")


def attachment_of(notes: Notebook, obx: Segment, title: str | None) -> tuple[Attachment, bytes] | None:
    """Read an ED as an Attachment, with its bytes for whoever looks inside."""
    found = payload_of(notes, obx)
    if found is None:
        return None
    media_type, content, data = found
    return Attachment(media_type=media_type, title=title, size=len(content), data=data), content


def _from_base64(notes: Notebook, data: str, where: str) -> tuple[bytes, str] | None:
    """Decode base64, repairing blanks, padding and a lone last character; give the clean text back as well."""
    try:
        return binascii.a2b_base64(data, strict_mode=True), data
    except (binascii.Error, ValueError):
        pass
    bare = data.translate(_BLANKS).rstrip("=")
    if len(bare) % 4 == 1:
        bare = bare[:-1]
    padded = bare + "=" * (-len(bare) % 4)
    try:
        content = binascii.a2b_base64(padded, strict_mode=True)
    except (binascii.Error, ValueError):
        notes.error("hl7v2.ed.base64", where, "the encapsulated data is not base64")
        return None
    notes.warn("hl7v2.ed.repaired", where, "blanks or padding of the base64 had to be repaired")
    return content, base64.b64encode(content).decode("ascii")


def _media_type(kind: str, subtype: str, content: bytes) -> str:
    if content.startswith(b"%PDF-"):
        return "application/pdf"
    family = kind.lower()
    if (exact := f"{family}/{subtype.lower()}") in _EXACT:
        return exact
    if known := _MEDIA.get(subtype.upper()):
        return known
    if not subtype:
        return _BARE.get(kind.upper(), "application/octet-stream")
    if family in ("text", "image", "audio", "video", "application"):
        return f"{family}/{subtype.lower()}"
    return "application/octet-stream"
