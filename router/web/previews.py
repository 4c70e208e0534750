"""Bytes made readable: segments and fields with their names, indented JSON, safe text, or hexadecimal.

What is shown is bounded; what is longer can be downloaded whole. Nothing of a content is ever taken for markup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import orjson

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

Kind = Literal["pieces", "json", "text", "hex", "empty"]

_CONTROL = {number: 0x2400 + number for number in range(32) if number not in {9, 10}} | {0x7F: 0x2421}
"""Control characters are shown by their pictures (U+2400…)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One piece of a content, flattened: `long` is the length of a text that was cut."""

    where: str
    name: str
    type: str
    text: str
    depth: int
    head: bool
    long: int = 0


@dataclass(frozen=True, slots=True)
class Preview:
    """A content as it is shown; `cut` when there is more of it than that.

    `defect` names the kind of exception by which its format failed to lay it out, against its contract.
    """

    kind: Kind
    format: str = ""
    lines: tuple[Line, ...] = ()
    text: str = ""
    cut: bool = False
    defect: str = ""


def preview(content: bytes, format_name: str = "", media_type: str = "", *, raw: bool = False) -> Preview:
    """Make a content readable, by the named format if it knows how, else by what the bytes look like."""
    if not content:
        return Preview("empty")
    if not raw:
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
    lines: list[Line] = []
    cut = _flatten(pieces, 0, lines)
    return Preview("pieces", found.name, tuple(lines), cut=cut) if lines else None


def _flatten(pieces: Sequence[Piece], depth: int, lines: list[Line]) -> bool:
    for piece in pieces:
        if len(lines) >= MOST_PIECES:
            return True
        long = len(piece.text) if len(piece.text) > MOST_VALUE else 0
        text = visible(piece.text[:MOST_VALUE])
        lines.append(Line(piece.where, piece.name, piece.type, text, depth, bool(piece.children), long))
        if _flatten(piece.children, depth + 1, lines):
            return True
    return False


def _json(content: bytes) -> Preview | None:
    if len(content) > MOST_BYTES:
        return None
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    text = orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()
    return Preview("json", "", text=visible(text[:MOST_TEXT]), cut=len(text) > MOST_TEXT)


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
