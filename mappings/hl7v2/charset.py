"""Character sets of HL7v2: what MSH-18 says, what the bytes say, and what to do when they disagree.

HL7 says that an empty MSH-18 is 7-bit ASCII; France says `8859/15` or `UNICODE UTF-8`; senders often say one and send
the other, or send Windows-1252 under either name. Every codec that is chosen here decodes the whole content strictly
and encodes it back to the same bytes: nothing is replaced.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import NamedTuple

from schemas.finding import Finding, Severity

_NAMED = {
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "UNICODE": "utf-8",
    "ASCII": "ascii",
    "USASCII": "ascii",
    "7BIT": "ascii",
    "WINDOWS1252": "cp1252",
    "CP1252": "cp1252",
    "ANSI": "cp1252",
    "LATIN1": "iso8859-1",
    "LATIN9": "iso8859-15",
    "UNICODEUTF16": "utf-16",
    "UNICODEUTF32": "utf-32",
    "GB180302000": "gb18030",
    "BIG5": "big5",
    "KSX1001": "euc-kr",
}
_ISO_8859 = re.compile(r"(?:ISO)?(?:IR)?8859(\d{1,2})")

LABELS = {
    "utf-8": "UNICODE UTF-8",
    "iso8859-15": "8859/15",
    "iso8859-1": "8859/1",
    "cp1252": "8859/1",
}
"""What MSH-18 says for the codecs that Passerelle writes."""

_CONTROLS_OF_8859 = re.compile(rb"[\x80-\x9f]")
"""Bytes that are invisible controls in every ISO 8859 part, and letters or punctuation in Windows-1252."""


class Decoded(NamedTuple):
    """A content as text, the Python codec that gives its bytes back, and what was noticed on the way."""

    text: str
    codec: str
    findings: tuple[Finding, ...]


@lru_cache(maxsize=256)
def codec_of(label: str) -> str | None:
    """Give the Python codec that an MSH-18 label names (`8859/15`, `UNICODE UTF-8`, `utf8`…), None when unknown."""
    key = re.sub(r"[^0-9A-Z]", "", label.upper())
    if key in _NAMED:
        return _NAMED[key]
    if part := _ISO_8859.fullmatch(key):
        try:
            return codecs.lookup(f"iso8859-{part[1]}").name
        except LookupError:
            return None
    return None


def label_of(codec: str) -> str:
    """Give the MSH-18 label of a Python codec name; `UNICODE UTF-8` for one that France does not name."""
    try:
        return LABELS.get(codecs.lookup(codec).name, "UNICODE UTF-8")
    except LookupError:
        return "UNICODE UTF-8"


def wide_codec(content: bytes) -> str | None:
    """Recognise UTF-16, by its byte order mark or by the zero bytes around an initial `MSH` or `FHS`."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16-le" if content.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    start = content[:6]
    if start in (b"M\0S\0H\0", b"F\0H\0S\0", b"B\0H\0S\0"):
        return "utf-16-le"
    if start in (b"\0M\0S\0H", b"\0F\0H\0S", b"\0B\0H\0S"):
        return "utf-16-be"
    return None


def decode(content: bytes, label: str, forced: str | None = None) -> Decoded:
    """Decode a content whose MSH-18 says `label`; `forced` is a Python codec that the configuration imposes."""
    wide = wide_codec(content)
    if wide is not None and (text := _strictly(content, wide)) is not None:
        return Decoded(text, wide, ())
    declared = codec_of(label) if label else None
    unknown: tuple[Finding, ...] = ()
    if forced is not None:
        declared = _known(forced)
    elif label and declared is None:
        unknown = (_said(Severity.WARNING, "unknown", "MSH-18 names a character set that is not known"),)
    if content.isascii():
        return Decoded(content.decode("ascii"), _ascii_compatible(declared), unknown)
    if forced is not None and declared is not None and (text := _strictly(content, declared)) is not None:
        return Decoded(text, declared, unknown)
    if declared is None and content.startswith(codecs.BOM_UTF8) and (text := _strictly(content, "utf-8")) is not None:
        return Decoded(text, "utf-8", unknown)
    codec, text = _best(content, declared)
    if forced is not None:
        note = (_said(Severity.WARNING, "mismatch", f"the configured character set does not fit; read as {codec}"),)
        return Decoded(text, codec, note)
    return Decoded(text, codec, unknown + _compared(label, declared, codec))


def _best(content: bytes, declared: str | None) -> tuple[str, str]:
    """Choose the codec: UTF-8 whenever the bytes are valid UTF-8, else what was declared, else Windows-1252."""
    if (text := _strictly(content, "utf-8")) is not None and declared in (None, "utf-8", "ascii", *_LATIN):
        return "utf-8", text
    candidates = [declared] if declared not in (None, "utf-8", "ascii", "utf-16", "utf-32") else []
    if declared in _LATIN and _CONTROLS_OF_8859.search(content):
        candidates = ["cp1252", declared]
    if declared == "iso8859-1":
        candidates = ["cp1252", declared]
    for codec in (*candidates, "cp1252"):
        if codec is not None and (text := _strictly(content, codec)) is not None:
            return codec, text
    return "iso8859-1", content.decode("iso8859-1")


_LATIN = ("iso8859-1", "iso8859-15", "cp1252")


def _compared(label: str, declared: str | None, codec: str) -> tuple[Finding, ...]:
    if declared is None:
        if label:
            return ()
        return (_said(Severity.INFO, "guessed", f"MSH-18 is empty and the text is not ASCII; read as {codec}"),)
    if codec == declared or (declared, codec) == ("iso8859-1", "cp1252"):
        return ()
    return (_said(Severity.WARNING, "mismatch", f"the bytes are not in the declared character set; read as {codec}"),)


def _said(severity: Severity, what: str, message: str) -> Finding:
    return Finding(severity=severity, code=f"hl7v2.charset.{what}", where="MSH-18", message=message)


def _strictly(content: bytes, codec: str) -> str | None:
    try:
        text = content.decode(codec)
        # A stateful or lenient codec could read what it cannot give back: such a reading would not be lossless.
        return text if codec in _LOSSLESS or text.encode(codec) == content else None
    except (UnicodeError, LookupError):
        return None


_LOSSLESS = frozenset({"ascii", "utf-8", "iso8859-1", "iso8859-15", "cp1252"})


def _ascii_compatible(codec: str | None) -> str:
    """Keep the declared codec for an all-ASCII content only if it would give the same bytes."""
    return codec if codec in _LOSSLESS else "ascii"


def _known(codec: str) -> str | None:
    try:
        return codecs.lookup(codec).name
    except LookupError:
        return None
