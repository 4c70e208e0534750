"""The words of IMAP4rev1 (RFC 3501 section 9), as the sandbox's server reads and writes them: bytes only, no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from email.utils import getaddresses
from typing import TypeAlias

Word: TypeAlias = "str | bytes | list[Word]"
"""An atom or quoted string, a literal, or a list in parentheses."""

_SECTION = re.compile(r"^BODY(\.PEEK)?\[(.*?)\](?:<(\d+)\.(\d+)>)?$", re.IGNORECASE | re.DOTALL)


class Malformed(ValueError):
    """The client's line is not IMAP."""


def words(segments: Sequence[bytes]) -> list[Word]:
    """Read a command's words; segments are its text, with the literals between: text, literal, text again."""
    stack: list[list[Word]] = [[]]
    for rank, segment in enumerate(segments):
        if rank % 2:
            stack[-1].append(segment)
        else:
            _scan(segment.decode("utf-8", "replace"), stack)
    if len(stack) != 1:
        raise Malformed("unbalanced parentheses")
    return stack[0]


def _scan(text: str, stack: list[list[Word]]) -> None:
    at = 0
    while at < len(text):
        mark = text[at]
        if mark == " ":
            at += 1
        elif mark == "(":
            inner: list[Word] = []
            stack[-1].append(inner)
            stack.append(inner)
            at += 1
        elif mark == ")":
            if len(stack) == 1:
                raise Malformed("unbalanced parentheses")
            stack.pop()
            at += 1
        elif mark == '"':
            value, at = _quoted(text, at + 1)
            stack[-1].append(value)
        else:
            start = at
            depth = 0
            while at < len(text) and (depth or text[at] not in ' ()"'):
                depth += (text[at] == "[") - (text[at] == "]")
                at += 1
            if at == start:
                raise Malformed("unexpected character")
            stack[-1].append(text[start:at])


def _quoted(text: str, at: int) -> tuple[str, int]:
    value = []
    while at < len(text) and text[at] != '"':
        if text[at] == "\\":
            at += 1
        value.append(text[at : at + 1])
        at += 1
    if at >= len(text):
        raise Malformed("a string that does not end")
    return "".join(value), at + 1


def text_of(word: Word) -> str:
    """Give a word that is no list as text."""
    if isinstance(word, list):
        raise Malformed("a list where a word was due")
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else word


def chosen(text: str, highest: int) -> set[range]:
    """Read a set of numbers (`1:3,7,9:*`); `*` is the highest there is."""
    ranges = set()
    for part in text.split(","):
        first, _, last = part.partition(":")
        ends = [highest if end == "*" else int(end) for end in (first, last or first) if end == "*" or end.isdigit()]
        if len(ends) != 2:
            raise Malformed("a set of numbers")
        ranges.add(range(min(ends), max(ends) + 1))
    return ranges


def among(number: int, ranges: Iterable[range]) -> bool:
    """Say whether a number is in a set."""
    return any(number in one for one in ranges)


def literal(content: bytes) -> bytes:
    """Write bytes of any kind."""
    return b"{%d}\r\n" % len(content) + content


def string(text: str | None) -> bytes:
    """Write a string, NIL when there is none."""
    if text is None:
        return b"NIL"
    if text.isascii() and "\r" not in text and "\n" not in text and len(text) < 200:
        return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'
    return literal(text.encode("utf-8", "replace"))


def internal_date(moment: datetime) -> str:
    """Write when a mail came."""
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{moment.day:02d}-{months[moment.month - 1]}-{moment:%Y %H:%M:%S %z}"


def section(item: str, content: bytes) -> tuple[bytes, bytes, bool] | None:
    """Answer `BODY[…]`: the name of the answer, its bytes, whether the mail is then read; None for another item."""
    found = _SECTION.match(item)
    if found is None:
        return None
    peek, wanted, start, count = found.groups()
    body = _part(wanted, content)
    name = f"BODY[{wanted}]"
    if start is not None:
        body = body[int(start) : int(start) + int(count)]
        name += f"<{start}>"
    return name.encode(), body, peek is None


def _part(wanted: str, content: bytes) -> bytes:
    head, blank, text = content.partition(b"\r\n\r\n")
    upper = wanted.upper()
    if not upper:
        return content
    if upper == "HEADER":
        return head + blank
    if upper == "TEXT":
        return text
    if upper.startswith("HEADER.FIELDS"):
        names = {name.strip('"').lower() for name in wanted[wanted.find("(") + 1 : wanted.rfind(")")].split()}
        exclude = upper.startswith("HEADER.FIELDS.NOT")
        lines = re.split(rb"\r\n(?![ \t])", head)
        kept = [
            line
            for line in lines
            if (line.partition(b":")[0].strip().lower().decode("ascii", "replace") in names) is not exclude
        ]
        return b"".join(line + b"\r\n" for line in kept) + b"\r\n"
    return _numbered(upper, content)


def _numbered(path: str, content: bytes) -> bytes:
    part: Message = BytesParser(policy=compat32).parsebytes(content)
    numbers, _, rest = path.partition(".MIME")
    for number in numbers.split("."):
        if not number.isdigit():
            return b""
        if part.is_multipart():
            inner = part.get_payload()
            assert isinstance(inner, list)  # noqa: S101 - a multipart's payload is a list
            if not 1 <= int(number) <= len(inner):
                return b""
            part = inner[int(number) - 1]  # type: ignore[assignment]  # the parts of a mail are Messages
        elif number != "1":
            return b""
    if rest or path.endswith(".MIME"):
        return "".join(f"{name}: {value}\r\n" for name, value in part.items()).encode("utf-8", "replace") + b"\r\n"
    payload = part.get_payload()
    return payload.encode("utf-8", "surrogateescape") if isinstance(payload, str) else part.as_bytes()


def envelope(content: bytes) -> bytes:
    """Write the ENVELOPE of a mail (section 7.4.2)."""
    head = BytesParser(policy=compat32).parsebytes(content, headersonly=True)
    sender = _people(head, "From")
    parts = [
        string(_said(head, "Date")),
        string(_said(head, "Subject")),
        sender,
        _people(head, "Sender") if head["Sender"] else sender,
        _people(head, "Reply-To") if head["Reply-To"] else sender,
        _people(head, "To"),
        _people(head, "Cc"),
        _people(head, "Bcc"),
        string(_said(head, "In-Reply-To")),
        string(_said(head, "Message-ID")),
    ]
    return b"(" + b" ".join(parts) + b")"


def structure(content: bytes) -> bytes:
    """Write the BODYSTRUCTURE of a mail, without its extensions (section 7.4.2)."""
    return _structure(BytesParser(policy=compat32).parsebytes(content))


def _structure(part: Message) -> bytes:
    payload = part.get_payload()
    if part.get_content_maintype() == "multipart" and isinstance(payload, list):
        inner = b"".join(_structure(one) for one in payload if isinstance(one, Message))
        return b"(" + inner + b" " + string(part.get_content_subtype().upper()) + b")"
    text = payload if isinstance(payload, str) else part.as_string()
    parameters = [string(word) for name, value in part.get_params([], unquote=True)[1:] for word in (name, str(value))]
    fields = [
        string(part.get_content_maintype().upper()),
        string(part.get_content_subtype().upper()),
        b"(" + b" ".join(parameters) + b")" if parameters else b"NIL",
        string(part["Content-ID"]),
        string(part["Content-Description"]),
        string(str(part["Content-Transfer-Encoding"] or "7BIT")),
        str(len(text.encode("utf-8", "surrogateescape"))).encode(),
    ]
    if part.get_content_maintype() == "text":
        fields.append(str(text.count("\n")).encode())
    return b"(" + b" ".join(fields) + b")"


def _said(head: Message, name: str) -> str | None:
    value = head[name]
    return None if value is None else str(value).replace("\r", "").replace("\n", "")


def _people(head: Message, name: str) -> bytes:
    found = [pair for pair in getaddresses([str(value) for value in head.get_all(name, [])]) if pair[1]]
    if not found:
        return b"NIL"
    written = []
    for label, address in found:
        local, _, domain = address.rpartition("@")
        written.append(b"(" + b" ".join((string(label or None), b"NIL", string(local), string(domain))) + b")")
    return b"(" + b"".join(written) + b")"
