"""The body of one part, decoded: its transfer encoding, and the charset of a text."""

from __future__ import annotations

import base64
import binascii
import html
import quopri
import re

from mappings.charsets import decode
from mappings.mail.headers import decode_declared
from mappings.mail.mime import Part
from mappings.notes import Notes
from mappings.plain_text import without_controls

DAMAGED = "mail.encoding.damaged"
"""Code of the Finding for which the router holds a whole message: a file in it is not what was sent."""

_BLANKS = b" \t\r\n"
_UU_BEGIN = re.compile(rb"(?:\A|\n)begin(?:-base64)? [0-7]{3,4} ")
_PLAIN = frozenset({"", "7bit", "8bit", "binary"})
_BLOCKS = re.compile(r"<(?:br|/p|/div|/tr|/h[1-6]|/li)\b[^<>]{0,200}>", re.IGNORECASE)
_HIDDEN = re.compile(r"<(style|script|head|title)\b", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]{0,5000}>")
_MANY_LINES = re.compile(r"\n{3,}")


def decoded(part: Part, notes: Notes) -> bytes:
    """Give the bytes of a part; a transfer encoding that cannot be undone is an error Finding (`DAMAGED`)."""
    body = part.content[part.body : part.end]
    encoding = part.headers.raw("Content-Transfer-Encoding").partition(";")[0].strip().lower()
    if encoding == "base64":
        return _from_base64(body, part.where, notes)
    if encoding == "quoted-printable":
        return quopri.decodestring(body)
    if encoding in {"x-uuencode", "uuencode", "x-uue", "uue"}:
        return _from_uuencode(body, part.where, notes)
    if encoding not in _PLAIN:
        notes.error(DAMAGED, part.where, "the transfer encoding of this part is not known: it is kept as it came")
    return body


def _from_base64(body: bytes, where: str, notes: Notes) -> bytes:
    bare = body.translate(None, _BLANKS)
    try:
        return binascii.a2b_base64(bare, strict_mode=True)
    except (binascii.Error, ValueError):
        pass
    # Senders join two encodings, forget the padding, or let a footer be added after the end.
    padded = bare.rstrip(b"=")
    if len(padded) % 4 != 1:
        try:
            content = binascii.a2b_base64(padded + b"=" * (-len(padded) % 4), strict_mode=True)
        except (binascii.Error, ValueError):
            pass
        else:
            notes.info("mail.encoding.padding", where, "the padding of the base64 was repaired")
            return content
    notes.error(DAMAGED, where, "the base64 of this part is damaged: its content is not what was sent")
    try:
        return base64.b64decode(bare[: len(bare) // 4 * 4])
    except (binascii.Error, ValueError):
        return body


def _from_uuencode(body: bytes, where: str, notes: Notes) -> bytes:
    begin = _UU_BEGIN.search(body)
    content = bytearray()
    if begin is not None:
        for line in body[begin.end() :].splitlines()[1:]:
            if line.strip() in {b"end", b"`", b""}:
                break
            try:
                content += binascii.a2b_uu(line)
            except (binascii.Error, ValueError):
                begin = None
                break
    if begin is None:
        notes.error(DAMAGED, where, "the uuencoded content of this part is damaged: it is not what was sent")
    return bytes(content)


def text_of(part: Part, notes: Notes) -> str:
    """Give a text part as people read it: lines end with a line feed, HTML is reduced to its text, blank ends go."""
    content = decoded(part, notes)
    charset = part.type.parameters.get("charset", "")
    text, sure = decode_declared(content, charset) if charset else (decode(content).text, True)
    if not sure:
        notes.info("mail.charset", part.where, "the text is not in the charset that it declares")
    if part.media_type == "text/html":
        text = text_of_html(text)
    return tidy(text)


def tidy(text: str) -> str:
    """Make line ends one, and drop control characters and blank ends."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")
    return without_controls(text).strip("\n ")


def text_of_html(markup: str) -> str:
    """Reduce HTML to its text: nothing is fetched, run or shown as markup."""
    text = _BLOCKS.sub("\n", _without_hidden(markup))
    lines = (" ".join(line.split()) for line in html.unescape(_TAG.sub("", text)).split("\n"))
    return _MANY_LINES.sub("\n\n", "\n".join(lines))


def _without_hidden(markup: str) -> str:
    """Drop style sheets, scripts and the head: one that is never closed hides the rest."""
    kept: list[str] = []
    at, small = 0, markup.lower()
    while (found := _HIDDEN.search(markup, at)) is not None:
        kept.append(markup[at : found.start()])
        end = small.find(f"</{found[1].lower()}", found.end())
        close = markup.find(">", end) if end >= 0 else -1
        if close < 0:
            return "".join(kept)
        at = close + 1
    return "".join((*kept, markup[at:]))
