"""The header fields of a mail or of one of its parts (RFC 5322, 2045, 2047, 2231), read whatever was written.

Nothing here raises: fields with 8-bit characters, unknown charsets and broken encodings are decoded as well as can be.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import quopri
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from mappings.plain_text import squeezed, without_controls

LARGEST = 256 * 1024
"""Bytes of one header at most; what follows them is taken for the body."""

MOST_FIELDS = 1000

_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:(.*)", re.DOTALL)
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)[ \t\r\n]+(?==\?[^?\s]{1,60}\?[bBqQ]\?)")
_PARAMETER = re.compile(r';\s*([^\s=;*"]{1,60})(\*\d{1,4})?(\*)?\s*=\s*("(?:[^"\\]|\\.)*"?|[^;]*)')
_ADDRESS = re.compile(r"[^\s<>\"(),;:\\\[\]]{1,200}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_NOT_FOR_MAIL = frozenset(
    {"unicode-escape", "raw-unicode-escape", "punycode", "idna", "undefined", "mbcs", "oem", "utf-7"}
)
"""Codecs of Python that are no charsets of texts."""
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,900})>")
_COMMENT = re.compile(r"\([^()]*\)")


class RawField(NamedTuple):
    """One header field as it stands: its name, and the span of its value in the content."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address and the name that was put before it; the name proves nothing."""

    address: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Parameterised:
    """A value with parameters (`Content-Type`, `Content-Disposition`): `value` and names are in small letters."""

    value: str = ""
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class Headers:
    """The fields of one header, by name in any case; repeated fields keep their order."""

    __slots__ = ("_content", "_raw", "fields", "truncated")

    def __init__(self, content: bytes, fields: tuple[RawField, ...], *, truncated: bool = False) -> None:
        self._content = content
        self.fields = fields
        self.truncated = truncated
        self._raw: dict[str, list[RawField]] = {}
        for one in fields:
            self._raw.setdefault(one.name.lower(), []).append(one)

    def raw(self, name: str) -> str:
        """Give the first field of this name, unfolded and not decoded; empty when there is none."""
        found = self._raw.get(name.lower())
        return self._value(found[0]) if found else ""

    def all_raw(self, name: str) -> list[str]:
        """Give every field of this name."""
        return [self._value(one) for one in self._raw.get(name.lower(), ())]

    def text(self, name: str) -> str:
        """Give the first field of this name as a person reads it."""
        return clean(decode_words(self.raw(name)))

    def has(self, name: str) -> bool:
        """Say whether there is such a field."""
        return name.lower() in self._raw

    def parameterised(self, name: str) -> Parameterised:
        """Read a field that has parameters."""
        return read_parameters(self.raw(name))

    def mailboxes(self, name: str) -> tuple[Mailbox, ...]:
        """Read every address of every field of this name."""
        return tuple(one for value in self.all_raw(name) for one in read_mailboxes(value))

    def message_ids(self, name: str) -> tuple[str, ...]:
        """Read the message identities of a field, without their angle brackets."""
        return tuple(dict.fromkeys(found for value in self.all_raw(name) for found in read_message_ids(value)))

    def moment(self, name: str = "Date") -> str | None:
        """Read a date (RFC 5322 §3.3) as ISO 8601 with its offset; None when it is none."""
        return read_date(self.raw(name))

    def _value(self, one: RawField) -> str:
        value = self._content[one.start : one.end]
        return _UNFOLD.sub("", _text(value)).strip()


_UNFOLD = re.compile(r"\r?\n(?=[ \t])|\r(?!\n)|\n")


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")


def parse_headers(content: bytes, start: int, end: int) -> tuple[Headers, int]:
    """Read the header that begins at `start`; gives it, and where the body begins."""
    fields: list[RawField] = []
    at, stop = start, min(end, start + LARGEST)
    current: tuple[str, int, int] | None = None
    truncated = False
    while at < stop:
        line_end = content.find(b"\n", at, stop)
        line_end = stop if line_end < 0 else line_end + 1
        line = content[at:line_end]
        if not line.strip(b"\r\n"):
            at = line_end
            break
        if line[:1] in b" \t" and current is not None:
            current = (current[0], current[1], line_end)
        else:
            if current is not None:
                fields.append(_finished(content, current))
            found = _FIELD.fullmatch(line)
            if found is None and not (at == start and line.startswith(b"From ")):
                # No blank line before the body: what is no field begins it.
                return Headers(content, tuple(fields), truncated=truncated), at
            current = None
            if found is not None:
                current = (found[1].decode("ascii"), at + found.start(2), line_end)
        if len(fields) >= MOST_FIELDS:
            truncated = True
        at = line_end
    else:
        truncated = stop < end and at >= stop
    if current is not None:
        fields.append(_finished(content, current))
    return Headers(content, tuple(fields[:MOST_FIELDS]), truncated=truncated), at


def _finished(content: bytes, current: tuple[str, int, int]) -> RawField:
    name, start, end = current
    while end > start and content[end - 1 : end] in (b"\r", b"\n"):
        end -= 1
    while start < end and content[start : start + 1] in (b" ", b"\t"):
        start += 1
    return RawField(name, start, end)


def clean(text: str) -> str:
    """Make a header's text one line without control characters."""
    return squeezed(without_controls(text.replace("\n", " ").replace("\r", " ")))


def decode_words(text: str) -> str:
    """Decode the encoded words of RFC 2047; what is not decodable stays as it was written."""
    if "=?" not in text:
        return text
    return _WORD.sub(_decoded_word, _BETWEEN_WORDS.sub(r"\1", text))


def _decoded_word(found: re.Match[str]) -> str:
    charset, kind, data = found[1].partition("*")[0], found[2].upper(), found[3]
    raw = data.encode("latin-1", "replace")
    if kind == "Q":
        content = quopri.decodestring(raw.replace(b"_", b"=20"))
    else:
        try:
            content = base64.b64decode(raw + b"=" * (-len(raw) % 4))
        except (binascii.Error, ValueError):
            return found[0]
    return decode_declared(content, charset)[0]


def decode_declared(content: bytes, charset: str) -> tuple[str, bool]:
    """Decode by a declared charset, or UTF-8, or Windows-1252; False when the declared one did not do."""
    try:
        name = (charset or "us-ascii").strip().strip("\"'").lower()
        if name in {"us-ascii", "ascii", "iso-8859-1", "latin1", "latin-1"}:
            name = "ascii" if name.endswith("ascii") else "cp1252"
        if codecs.lookup(name).name not in _NOT_FOR_MAIL:
            return content.decode(name), True
    except (LookupError, UnicodeError, ValueError, TypeError):
        pass
    try:
        return content.decode("utf-8"), False
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace"), False


def read_parameters(value: str) -> Parameterised:
    """Read `value; name=…; name*0*=…`: the segments of RFC 2231 joined and decoded, encoded words too."""
    head, semicolon, rest = value.partition(";")
    segments: dict[str, dict[int, tuple[str, bool]]] = {}
    for name, number, star, raw in _PARAMETER.findall(semicolon + rest[:8192]):
        rank = int(number[1:]) if number else 0
        text = raw[1:].removesuffix('"') if raw.startswith('"') else raw.strip()
        if raw.startswith('"'):
            text = re.sub(r"\\(.)", r"\1", text)
        segments.setdefault(name.lower(), {}).setdefault(rank, (text, bool(star)))
    parameters = {name: _joined(parts) for name, parts in segments.items()}
    return Parameterised(_COMMENT.sub("", head).strip().lower(), MappingProxyType(parameters))


def _joined(parts: Mapping[int, tuple[str, bool]]) -> str:
    ordered = [parts[rank] for rank in sorted(parts)]
    if not any(encoded for _, encoded in ordered):
        return decode_words("".join(text for text, _ in ordered))
    charset, first = "utf-8", True
    content = bytearray()
    for text, encoded in ordered:
        if encoded and first and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        content += unquote_to_bytes(text) if encoded else text.encode("utf-8", "surrogateescape")
        first = False
    return decode_declared(bytes(content), charset)[0]


def read_mailboxes(value: str) -> tuple[Mailbox, ...]:
    """Read a list of addresses with their names; what holds no address is left out."""
    found: list[Mailbox] = []
    for part in _at_commas(value[:65536]):
        before, bracket, after = _outside_quotes(part, "<")
        inside = after.partition(">")[0] if bracket else _COMMENT.sub("", part)
        address = _ADDRESS.search(inside)
        if address is None:
            continue
        name = before if bracket else " ".join(re.findall(r"\(([^()]*)\)", part))
        name = clean(decode_words(re.sub(r"\\(.)", r"\1", name.strip().strip('"'))))
        found.append(Mailbox(address[0], name or None))
    return tuple(found)


def _at_commas(value: str) -> list[str]:
    """Cut at the commas that are not inside quotes; a group's name (`team: a, b;`) is dropped."""
    parts, quoted, start = [], False, 0
    for place, char in enumerate(value):
        if char == '"' and (place == 0 or value[place - 1] != "\\"):
            quoted = not quoted
        elif char in ",;" and not quoted:
            parts.append(value[start:place])
            start = place + 1
    return [*parts, value[start:]]


def _outside_quotes(text: str, sign: str) -> tuple[str, str, str]:
    quoted = False
    for place, char in enumerate(text):
        if char == '"' and (place == 0 or text[place - 1] != "\\"):
            quoted = not quoted
        elif char == sign and not quoted:
            return text[:place], char, text[place + 1 :]
    return text, "", ""


def read_message_ids(value: str) -> list[str]:
    """Read message identities: those in angle brackets, else the first word that looks like one."""
    found = _MESSAGE_ID.findall(value)
    if found:
        return [str(one) for one in found]
    word = value.strip().split(maxsplit=1)[0] if value.strip() else ""
    return [word] if "@" in word and len(word) < 900 and "<" not in word and ">" not in word else []


def read_date(value: str) -> str | None:
    """Read a date of RFC 5322 as ISO 8601; `-0000` (no known zone) is UTC."""
    if not value or len(value) > 200:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    text = moment.replace(microsecond=0).isoformat()
    return text if 1900 < moment.year < 2200 and len(text) == 25 else None
