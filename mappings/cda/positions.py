"""Byte positions of the values of a document, for `explain`: which bytes said this."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mappings.contracts import Position

_TAG = re.compile(rb"<(/?)([^\s/>\"'<=]+)((?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*)>")
_SKIPPED = ((b"<!--", b"-->"), (b"<?", b"?>"))
_CDATA = b"<![CDATA["
_ATTRIBUTE = re.compile(rb"([^\s=\"'/]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_ROOT = "ClinicalDocument"


def positions(content: bytes, root: str = _ROOT) -> list[Position]:
    """List every attribute value and every text of the ClinicalDocument (or of `root`), in order, with its byte span.

    Names are paths from it: `recordTarget/patientRole/id[2]/@extension`, `title` for a text; rank 1 is left out.
    Namespace declarations hold no value. A content in UTF-16 has no positions, nor has one without a ClinicalDocument;
    after a tag that never ends the list ends.
    """
    return list(_scan(content, root))


class _Tag(NamedTuple):
    """A tag: its local name, where its attributes stand, whether it closes an element, and whether it is empty."""

    name: str
    start: int
    end: int
    closes: bool
    empty: bool


class _Text(NamedTuple):
    """A stretch of text."""

    start: int
    end: int


def _tokens(content: bytes) -> Iterator[_Tag | _Text]:
    """Cut a content into tags and texts; comments and instructions are left out. Ends where a token has no end."""
    at = 0
    while at < len(content):
        if content[at : at + 1] != b"<":
            end = content.find(b"<", at)
            end = len(content) if end < 0 else end
            yield _Text(at, end)
            at = end
        elif content.startswith(_CDATA, at):
            end = content.find(b"]]>", at)
            if end < 0:
                return
            yield _Text(at + len(_CDATA), end)
            at = end + 3
        elif skipped := next((close for start, close in _SKIPPED if content.startswith(start, at)), None):
            end = content.find(skipped, at)
            if end < 0:
                return
            at = end + len(skipped)
        else:
            tag = _TAG.match(content, at)
            if tag is None:
                return
            name = tag[2].rpartition(b":")[2].decode("utf-8", "replace")
            yield _Tag(name, *tag.span(3), closes=bool(tag[1]), empty=tag[3].rstrip().endswith(b"/"))
            at = tag.end()


def _scan(content: bytes, root: str) -> Iterator[Position]:
    path: list[str] = []
    ranks: list[dict[str, int]] = []
    texts: list[int] = []
    for token in _tokens(content):
        if isinstance(token, _Text):
            span = _trimmed(content, token.start, token.end) if path else None
            if span is not None:
                texts[-1] += 1
                where = path[-1] or "."
                yield Position(where if texts[-1] == 1 else f"{where}/text()[{texts[-1]}]", *span)
            continue
        if token.closes:
            if path:
                path.pop()
                ranks.pop()
                texts.pop()
                if not path:
                    return
            continue
        if not path:
            if token.name != root:
                continue
            path.append("")
        else:
            rank = ranks[-1][token.name] = ranks[-1].get(token.name, 0) + 1
            step = token.name if rank == 1 else f"{token.name}[{rank}]"
            path.append(f"{path[-1]}/{step}" if path[-1] else step)
        ranks.append({})
        texts.append(0)
        yield from _attributes(content, token, path[-1])
        if token.empty:
            path.pop()
            ranks.pop()
            texts.pop()
            if not path:
                return


def _attributes(content: bytes, tag: _Tag, place: str) -> Iterator[Position]:
    for found in _ATTRIBUTE.finditer(content, tag.start, tag.end):
        name = found[1].decode("utf-8", "replace")
        if name == "xmlns" or name.startswith("xmlns:"):
            continue
        group = 2 if found[2] is not None else 3
        if found[group].strip():
            yield Position(f"{place}/@{name}" if place else f"@{name}", *found.span(group))


def _trimmed(content: bytes, start: int, end: int) -> tuple[int, int] | None:
    piece = content[start:end]
    stripped = piece.strip()
    if not stripped:
        return None
    offset = len(piece) - len(piece.lstrip())
    return start + offset, start + offset + len(stripped)
