"""Bytes made readable: segments and fields with their names, indented JSON, safe text, or hexadecimal.

What is shown is bounded; what is longer can be downloaded whole. Nothing of a content is ever taken for markup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import orjson
from markupsafe import Markup, escape

from mappings.contracts import FormatError, Piece
from mappings.registry import detect, format_named

MOST_TEXT = 200_000
"""Characters shown of a text."""

MOST_BYTES = 20_000_000
"""Bytes that are cut into pieces; of a larger content the beginning is shown as text."""

MOST_PIECES = 4_000
MOST_VALUE = 600
"""Characters shown of one field: a document in base64 is not for reading."""

HEX_BYTES = 2_048
HEX_EXACT = 16_384
"""Bytes shown in hexadecimal: of what is no text, and of what is asked for byte by byte."""

Form = Literal["", "raw", "exact"]
"""How a content is laid out: by its names, as text, or byte by byte."""

Kind = Literal["pieces", "json", "text", "hex", "empty"]

_JSON_TOKEN = re.compile(
    r'(?m)^(\s*)("(?:[^"\\]|\\.)*")(:)|("(?:[^"\\]|\\.)*")|(?<=[\s:])(-?\d[\d.eE+-]*|true|false|null)(?=[,\s]|$)'
)

_CONTROL = {number: 0x2400 + number for number in range(32) if number not in {9, 10}} | {0x7F: 0x2421}
"""Control characters are shown by their pictures (U+2400…)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One piece of a content: `long` is the length of a text that was cut, `depth` counts from its block."""

    where: str
    name: str
    type: str
    text: str
    depth: int
    head: bool
    long: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """A segment with its fields in a row (`fields`) and all its pieces (`lines`), or lines alone without `head`."""

    head: Line | None
    fields: tuple[Line, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """A content as it is shown; `cut` when there is more of it than that.

    `defect` names the kind of exception by which its format failed to lay it out, against its contract.
    """

    kind: Kind
    format: str = ""
    blocks: tuple[Block, ...] = ()
    text: str | Markup = ""
    cut: bool = False
    defect: str = ""


def preview(content: bytes, format_name: str = "", media_type: str = "", *, form: Form = "") -> Preview:
    """Make a content readable, by the named format if it knows how, else by what the bytes look like."""
    if not content:
        return Preview("empty")
    if form == "exact":
        return Preview("hex", text=_hexadecimal(content[:HEX_EXACT]), cut=len(content) > HEX_EXACT)
    if not form:
        if "json" in media_type or content[:1] in b"{[":
            shown = _json(content)
            if shown is not None:
                return shown
        if len(content) <= MOST_BYTES:
            try:
                shown = _pieces(content, format_name)
            except Exception as defect:
                # Whoever looks at a message that broke its reader must see it all the same.
                return replace(_text(content), defect=type(defect).__name__)
            if shown is not None:
                return shown
    return _text(content)


def _pieces(content: bytes, format_name: str) -> Preview | None:
    try:
        found = format_named(format_name) if format_name else detect(content)
        pieces = found.pieces(content)
    except FormatError:
        return None
    laying = _Laying()
    laying.add(pieces)
    return Preview("pieces", found.name, tuple(laying.blocks()), cut=laying.full) if laying.count else None


class _Laying:
    """Lays pieces out: what has fields of its own becomes a segment, what lies between them becomes lines."""

    def __init__(self) -> None:
        self.count = 0
        self._blocks: list[Block] = []
        self._loose: list[Line] = []

    @property
    def full(self) -> bool:
        """Whether no further piece is taken."""
        return self.count >= MOST_PIECES

    def blocks(self) -> list[Block]:
        """Give what was laid out."""
        self._settle()
        return self._blocks

    def add(self, pieces: Sequence[Piece]) -> None:
        """Lay pieces out, going into those that only hold segments."""
        for piece in pieces:
            if self.full:
                return
            if not piece.children:
                self._loose.append(self._line(piece, 0))
            elif any(child.children and not child.type for child in piece.children):
                self._loose.append(self._line(piece, 0))
                self.add(piece.children)
            else:
                self._settle()
                head = self._line(piece, 0)
                fields = tuple(_cut(child, 0) for child in piece.children)
                lines: list[Line] = []
                self._flatten(piece.children, 0, lines)
                self._blocks.append(Block(head, fields, tuple(lines)))

    def _flatten(self, pieces: Sequence[Piece], depth: int, lines: list[Line]) -> None:
        for piece in pieces:
            if self.full:
                return
            lines.append(self._line(piece, depth))
            self._flatten(piece.children, depth + 1, lines)

    def _line(self, piece: Piece, depth: int) -> Line:
        self.count += 1
        return _cut(piece, depth)

    def _settle(self) -> None:
        if self._loose:
            self._blocks.append(Block(None, (), tuple(self._loose)))
            self._loose = []


def _cut(piece: Piece, depth: int) -> Line:
    long = len(piece.text) if len(piece.text) > MOST_VALUE else 0
    text = visible(piece.text[:MOST_VALUE])
    return Line(piece.where, piece.name, piece.type, text, depth, bool(piece.children), long)


def _json(content: bytes) -> Preview | None:
    if len(content) > MOST_BYTES:
        return None
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    text = orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()
    return Preview("json", "", text=_coloured(visible(text[:MOST_TEXT])), cut=len(text) > MOST_TEXT)


def _coloured(text: str) -> Markup:
    """Mark the names, texts and numbers of indented JSON."""

    def mark(found: re.Match[str]) -> str:
        space, name, colon, string, number = found.groups()
        if name is not None:
            return f'{space}<span class="k">{escape(name)}</span>{colon}'
        if string is not None:
            return f'<span class="s">{escape(string)}</span>'
        return f'<span class="n">{number}</span>'

    pieces: list[str] = []
    last = 0
    for found in _JSON_TOKEN.finditer(text):
        pieces += (str(escape(text[last : found.start()])), mark(found))
        last = found.end()
    pieces.append(str(escape(text[last:])))
    return Markup("".join(pieces))  # noqa: S704 - every part was escaped above


def _text(content: bytes) -> Preview:
    head = content[: MOST_TEXT * 4]
    text = decoded(head)
    if text is None:
        return Preview("hex", text=_hexadecimal(content[:HEX_BYTES]), cut=len(content) > HEX_BYTES)
    lines = re.sub(r"\r\n|\r", "\n", text)
    return Preview("text", text=visible(lines[:MOST_TEXT]), cut=len(content) > len(head) or len(lines) > MOST_TEXT)


def decoded(content: bytes) -> str | None:
    """Decode a text as UTF-8, else as Windows-1252; None for what is no text."""
    if b"\0" in content[:4096]:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as problem:
        if problem.start > len(content) - 4:
            return content[: problem.start].decode("utf-8")  # cut within a character
    odd = sum(byte < 32 and byte not in b"\t\n\r\x0b\x0c\x1c" for byte in content[:4096])
    return None if odd > len(content[:4096]) // 20 else content.decode("cp1252", errors="replace")


def visible(text: str) -> str:
    """Show control characters, and the marks that turn the direction of writing, instead of obeying them."""
    shown = text.translate(_CONTROL)
    return re.sub(r"[\u202a-\u202e\u2066-\u2069\u200e\u200f]", "\ufffd", shown)


def _hexadecimal(content: bytes) -> str:
    rows = []
    for start in range(0, len(content), 16):
        row = content[start : start + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in row)
        rows.append(f"{start:08x}  {row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}  {shown}")
    return "\n".join(rows)
