"""The tree of a mail's parts over its raw bytes (RFC 2046): each part knows its span, nothing is copied or decoded.

The spans serve what must have the very bytes: the signature of S/MIME, the MDN that gives the original back, `explain`.
The number of parts and their nesting are bounded; what lies beyond is told, and the message held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mappings.contracts import FormatError
from mappings.mail.headers import Headers, Parameterised, parse_headers
from mappings.notes import Notes

LARGEST = 256 * 1024 * 1024
"""Bytes of one mail at most; operators refuse more than 30 MB."""

PARTLY_READ = "mail.parts.left"
"""Code of the Finding for which the router holds a whole message: some of it was not looked at."""

_TEXT = Parameterised("text/plain")
_MESSAGE = Parameterised("message/rfc822")
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,120}")
_FIRST_LINE = re.compile(rb"(?:\A|\n)--([^\s\x00-\x1f\x7f-\xff]{1,70})[ \t]*\r?\n")
_MESSAGES = frozenset({"message/rfc822", "message/global"})


@dataclass(frozen=True, slots=True)
class Limits:
    """What a mail may be made of: parts in all, multiparts inside one another, forwarded mails inside one another."""

    parts: int = 1000
    depth: int = 20
    forwarded: int = 3


LIMITS = Limits()


@dataclass(slots=True, eq=False)
class Part:
    """A part: `content[start:body]` is its header, `content[body:end]` its body.

    `where` is its place in the mail (`part 2.1`), empty for the mail itself. The children of a multipart are its parts;
    the child of a `message/rfc822` is the mail in it.
    """

    content: bytes
    start: int
    body: int
    end: int
    headers: Headers
    type: Parameterised
    where: str
    children: tuple[Part, ...] = ()

    @property
    def media_type(self) -> str:
        """`type/subtype` in small letters."""
        return self.type.value

    @property
    def raw(self) -> bytes:
        """The part as it stands, header and body."""
        return self.content[self.start : self.end]

    @property
    def is_multipart(self) -> bool:
        """Whether it is made of other parts."""
        return self.media_type.startswith("multipart/") and bool(self.children)

    @property
    def is_message(self) -> bool:
        """Whether it is a whole mail that travels in this one."""
        return self.media_type in _MESSAGES

    @property
    def disposition(self) -> str:
        """`attachment`, `inline`, or empty."""
        return self.headers.parameterised("Content-Disposition").value

    @property
    def filename(self) -> str | None:
        """The name that the sender gave: a label, never a path."""
        name = self.headers.parameterised("Content-Disposition").parameters.get("filename")
        name = name or self.type.parameters.get("name")
        cleaned = "".join(char for char in (name or "") if char.isprintable()).strip()
        return cleaned[:255] or None

    def walk(self, *, into_messages: bool = False) -> Iterator[Part]:
        """Give this part and those in it, in order; not those of a mail that travels in it, unless asked."""
        yield self
        if self.is_message and not into_messages:
            return
        for child in self.children:
            yield from child.walk(into_messages=into_messages)


def parse(content: bytes, notes: Notes, limits: Limits = LIMITS) -> Part:
    """Read a mail's structure. Raises FormatError `mail.too_large`, and `mail.no_header` when it has no header."""
    if len(content) > LARGEST:
        raise FormatError("mail.too_large", "", f"the mail is larger than {LARGEST // 1024 // 1024} MB")
    start = len(content) - len(content.lstrip(b"\r\n"))
    part = _Parser(content, notes, limits).part(start, len(content), "", depth=0, forwarded=0)
    if not part.headers.fields:
        raise FormatError("mail.no_header", "", "this does not begin with the header of a mail")
    return part


class _Parser:
    def __init__(self, content: bytes, notes: Notes, limits: Limits) -> None:
        self.content = content
        self.notes = notes
        self.limits = limits
        self.count = 0

    def part(
        self, start: int, end: int, where: str, *, depth: int, forwarded: int, default: Parameterised = _TEXT
    ) -> Part:
        self.count += 1
        headers, body = parse_headers(self.content, start, end)
        if headers.truncated:
            self.notes.warning("mail.header.too_large", where, "the header is too large: its end is not read")
        declared = headers.parameterised("Content-Type")
        if headers.has("Content-Type") and _TYPE.fullmatch(declared.value) is None:
            self.notes.info("mail.mime.type", where, "the Content-Type is none: the part is taken for what it holds")
            declared = default if not declared.value else Parameterised("application/octet-stream", declared.parameters)
        kind = declared if headers.has("Content-Type") else default
        part = Part(self.content, start, body, end, headers, kind, where)
        if kind.value.startswith("multipart/"):
            self._split(part, depth, forwarded)
        elif part.is_message:
            self._open(part, depth, forwarded)
        return part

    def _open(self, part: Part, depth: int, forwarded: int) -> None:
        if forwarded >= self.limits.forwarded or depth >= self.limits.depth:
            self.notes.error(PARTLY_READ, part.where, "too many mails stand inside one another: the last is not read")
            return
        if part.headers.raw("Content-Transfer-Encoding").lower() in {"base64", "quoted-printable"}:
            # RFC 2046 §5.2.1 forbids it; the reader decodes it as a content of its own.
            return
        inner = f"{part.where} mail".strip()
        child = self.part(part.body, part.end, inner, depth=depth + 1, forwarded=forwarded + 1)
        part.children = (child,) if child.headers.fields else ()

    def _split(self, part: Part, depth: int, forwarded: int) -> None:
        if depth >= self.limits.depth:
            self.notes.error(PARTLY_READ, part.where, "too many parts stand inside one another: the last is not read")
            return
        boundary = part.type.parameters.get("boundary", "").encode("utf-8", "replace").rstrip()
        if not boundary or self.content.find(b"--" + boundary, part.body, part.end) < 0:
            found = _FIRST_LINE.search(self.content, part.body, part.end)
            if found is None:
                self.notes.warning("mail.mime.boundary", part.where, "a multipart without a boundary: read as a text")
                part.type = _TEXT
                return
            self.notes.warning("mail.mime.boundary", part.where, "the boundary is not the one declared: it was found")
            boundary = found[1]
        spans, closed = _spans(self.content, part.body, part.end, boundary)
        if not closed:
            self.notes.warning("mail.mime.not_closed", part.where, "the last boundary is missing: the mail may be cut")
        default = _MESSAGE if part.media_type == "multipart/digest" else _TEXT
        children: list[Part] = []
        for rank, (start, end) in enumerate(spans, 1):
            if self.count >= self.limits.parts:
                self.notes.error(PARTLY_READ, part.where, f"more than {self.limits.parts} parts: the rest is not read")
                break
            base = f"part {rank}" if not part.where else f"{part.where}.{rank}"
            if part.where.endswith("mail"):
                base = f"{part.where} part {rank}"
            children.append(self.part(start, end, base, depth=depth + 1, forwarded=forwarded, default=default))
        part.children = tuple(children)


def _spans(content: bytes, start: int, end: int, boundary: bytes) -> tuple[list[tuple[int, int]], bool]:
    """Find the spans between delimiter lines; the line end before a delimiter belongs to it (RFC 2046 §5.1.1)."""
    delimiter = b"--" + boundary
    spans: list[tuple[int, int]] = []
    opened: int | None = None
    at = start
    while (found := content.find(delimiter, at, end)) >= 0:
        at = found + len(delimiter)
        if found > start and content[found - 1 : found] != b"\n":
            continue
        line_end = content.find(b"\n", at, end)
        line_end = end if line_end < 0 else line_end + 1
        rest = content[at:line_end].strip(b" \t\r\n")
        if rest not in (b"", b"--"):
            continue
        if opened is not None:
            before = found - 1 if content[found - 1 : found] == b"\n" else found
            before = before - 1 if content[before - 1 : before] == b"\r" else before
            spans.append((opened, max(opened, before)))
        opened = line_end
        at = line_end
        if rest == b"--":
            return spans, True
    if opened is not None and opened < end:
        spans.append((opened, end))
    return spans, False
