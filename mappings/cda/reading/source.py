"""The bytes of a CDA document to its XML: size, encoding and wrappers (cda-fr §1, §6, §10)."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from lxml import etree

from mappings.cda.oids import V3
from mappings.charsets import decode
from mappings.contracts import FormatError
from mappings.notes import Notes
from mappings.xml_source import parse_xml

LIMIT = 96 * 1024 * 1024
"""Bytes of one document at most: the DMP takes 10 MB, and nothing that a mailbox or a hospital sends comes near."""

_TAG = f"{{{V3}}}ClinicalDocument"
_DECLARATION = re.compile(rb"\s*<\?xml\s[^>]{0,200}?\?>")
_ENCODING = re.compile(rb"""encoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]{0,39})["']""")
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_ONE_BYTE = frozenset({"iso8859-1", "iso8859-15", "cp1252", "ascii"})
_TWO_BYTES = frozenset({"utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"})


@dataclass(frozen=True, slots=True)
class Source:
    """A document that could be parsed: its ClinicalDocument, and the encoding that it is really in."""

    document: etree._Element
    charset: str
    wrapped: bool


def open_source(content: bytes, charset: str | None, notes: Notes) -> Source:
    """Parse a content and find its ClinicalDocument, inside a wrapper if it has one.

    An encoding declaration that the bytes contradict is put right, with a Finding. Raises FormatError: what `parse_xml`
    raises under `cda.…`, `cda.charset.unknown` for a forced charset that there is not, `cda.no_document`.
    """
    if len(content) > LIMIT:
        raise FormatError("cda.too_large", "", f"a document is at most {LIMIT // 1024 // 1024} MB")
    root, used = _parsed(content, charset, notes)
    if root.tag == _TAG:
        return Source(root, used, wrapped=False)
    found = next(root.iter(_TAG), None)
    if found is None:
        raise FormatError("cda.no_document", "", "this XML holds no ClinicalDocument of CDA R2")
    notes.info("cda.wrapper", "", "the document stands inside another XML document (self-presenting)")
    return Source(found, used, wrapped=True)


def _parsed(content: bytes, charset: str | None, notes: Notes) -> tuple[etree._Element, str]:
    content = content.lstrip(b" \t\r\n")
    declared = _declared(content)
    if charset is not None:
        try:
            text = content.decode(charset, "replace")
        except LookupError:
            raise FormatError("cda.charset.unknown", "", "the charset that was asked for does not exist") from None
        return parse_xml(_plain(text), code="cda", limit=2 * LIMIT), charset
    if _contradicted(content, declared):
        decoded = decode(content)
        message = f"the XML says {declared or 'utf-8'}, its bytes are {decoded.charset}: read as that"
        notes.warning("cda.charset.guessed", "line 1", message)
        return parse_xml(_plain(decoded.text), code="cda", limit=2 * LIMIT), decoded.charset
    return parse_xml(content, code="cda", limit=LIMIT), declared or "utf-8"


def _declared(content: bytes) -> str | None:
    """Give the encoding that the XML declaration names, as Python does; None when it names none that is known."""
    head = content[:256].removeprefix(codecs.BOM_UTF8)
    declaration = _DECLARATION.match(head)
    found = _ENCODING.search(declaration[0]) if declaration else None
    if found is None:
        return None
    try:
        return codecs.lookup(found[1].decode("ascii")).name
    except LookupError:
        return None


def _contradicted(content: bytes, declared: str | None) -> bool:
    """Tell bytes that cannot be, or are surely not, in the declared encoding."""
    if content.startswith(_WIDE) or b"\0" in content[:64]:
        return False
    if declared in _TWO_BYTES:
        return True
    if declared is None or declared == "utf-8":
        return not _is_utf8(content)
    return declared in _ONE_BYTE and not content.isascii() and _is_utf8(content)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _plain(text: str) -> bytes:
    """Encode a text as UTF-8 without its declaration, which named something else."""
    bare = text.removeprefix("\ufeff").encode("utf-8", "replace")
    found = _DECLARATION.match(bare)
    return bare[found.end() :] if found else bare
