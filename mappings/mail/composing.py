"""The bytes of a mail (RFC 5322, 2045 to 2047, 2231): header fields that nothing can be injected into, and parts.

The same fields and parts give the same bytes: nothing here looks at a clock, a host name or a random number.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import quote

from mappings.mail.headers import clean

CRLF = b"\r\n"
_LINE = 76
_LONGEST_LINE = 998
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+)*")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~ -]+")
_PART_OF_WORD = 45
"""Bytes in one encoded word: 60 characters of base64 beside the charset stay below the 75 of RFC 2047."""


@dataclass(frozen=True, slots=True)
class Body:
    """A part ready to be put into a mail: its header fields (without a last line end) and its encoded body."""

    fields: bytes
    content: bytes

    @property
    def whole(self) -> bytes:
        """The part as it stands in a multipart."""
        return self.fields + CRLF + CRLF + self.content


def field(name: str, value: str) -> bytes:
    """Write a header field: one line of text, encoded where it is not ASCII, folded; controls become blanks."""
    words = _words(clean(value))
    line, lines = f"{name}:", []
    for word in words:
        if len(line) + 1 + len(word) > _LINE and line.rstrip(":") != name:
            lines.append(line)
            line = ""
        line += " " + word
    return "\r\n".join([*lines, line]).encode("ascii")


def plain_field(name: str, value: str) -> bytes:
    """Write a field whose value is addresses, identities or a structure already safe: it is folded at its blanks."""
    line, lines = f"{name}:", []
    for word in value.split(" "):
        if len(line) + 1 + len(word) > _LINE and line.rstrip(":") != name:
            lines.append(line)
            line = ""
        line += " " + word
    return "\r\n".join([*lines, line]).encode("ascii")


def _words(text: str) -> Iterator[str]:
    """Give the words of a text; neighbours that are not ASCII are encoded together with the blanks between them."""
    pending: list[str] = []
    for word in text.split(" "):
        if word.isascii() and "=?" not in word and len(word) < _LONGEST_LINE - 100:
            if pending:
                yield from _encoded(" ".join(pending))
                pending = []
            yield word
        else:
            pending.append(word)
    if pending:
        yield from _encoded(" ".join(pending))


def _encoded(text: str) -> Iterator[str]:
    chunk = ""
    for char in text:
        if len((chunk + char).encode()) > _PART_OF_WORD:
            yield _encoded_word(chunk)
            chunk = ""
        chunk += char
    if chunk:
        yield _encoded_word(chunk)


def _encoded_word(chunk: str) -> str:
    return f"=?utf-8?B?{base64.b64encode(chunk.encode()).decode()}?="


def address(mailbox: str, name: str = "") -> str:
    """Write `name <mailbox>` for a field; the mailbox must have been checked."""
    label = clean(name)
    if not label:
        return mailbox
    if "=?" not in label and _ATOM.fullmatch(label):
        return f"{label} <{mailbox}>"
    if "=?" not in label and label.isascii():
        quoted = label.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{mailbox}>'
    return f"{' '.join(_encoded(label))} <{mailbox}>"


def date(moment: datetime) -> str:
    """Write a date of RFC 5322."""
    return format_datetime(moment)


def text_part(text: str) -> Body:
    """Make a `text/plain` part in UTF-8; lines end with CRLF."""
    content = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n").encode("utf-8", "replace") + CRLF
    simple = content.isascii() and max(map(len, content.split(CRLF))) <= _LONGEST_LINE - 2 and b"\0" not in content
    encoding = "7bit" if simple else "base64"
    fields = [b"Content-Type: text/plain; charset=utf-8", b"Content-Transfer-Encoding: " + encoding.encode()]
    return Body(CRLF.join(fields), content if simple else encoded(content))


def file_part(content: bytes, media_type: str, filename: str, description: str = "") -> Body:
    """Make an attachment in base64, its name by RFC 2231 where it is not ASCII."""
    fields = [
        f"Content-Type: {media_type};\r\n {_parameter('name', filename)}".encode("ascii"),
        b"Content-Transfer-Encoding: base64",
        f"Content-Disposition: attachment;\r\n {_parameter('filename', filename)}".encode("ascii"),
    ]
    if description:
        fields.append(field("Content-Description", description))
    return Body(CRLF.join(fields), encoded(content))


def _parameter(name: str, value: str) -> str:
    value = clean(value)
    if _TOKEN.fullmatch(value):
        return f'{name}="{value}"'
    return f"{name}*=UTF-8''{quote(value, safe='')}"


def encoded(content: bytes) -> bytes:
    """Write base64 in lines of 76."""
    return base64.encodebytes(content).replace(b"\n", CRLF)


def multipart(kind: str, parts: Sequence[bytes], name: str, parameters: str = "", preamble: bytes = b"") -> Body:
    """Put parts together; the boundary comes from `name` and stands in none of them."""
    boundary = boundary_of(name, parts)
    fields = f'Content-Type: multipart/{kind};{parameters}\r\n boundary="{boundary.decode()}"'.encode("ascii")
    delimiter = b"--" + boundary
    pieces: list[bytes] = [preamble] if preamble else []
    for part in parts:
        pieces += [delimiter, CRLF, part, CRLF]
    pieces += [delimiter, b"--", CRLF]
    return Body(fields, b"".join(pieces))


def boundary_of(name: str, parts: Iterable[bytes]) -> bytes:
    """Make a boundary from a name, another one while it stands in a part."""
    parts = list(parts)
    for turn in range(1000):
        digest = hashlib.blake2b(f"{name}|{turn}".encode(), digest_size=12).hexdigest()
        boundary = f"=_passerelle_{digest}".encode()
        if not any(boundary in part for part in parts):
            return boundary
    raise ValueError("no boundary is free")  # a thousand digests cannot all stand in one content by chance
