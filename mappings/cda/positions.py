"""Byte positions of the values of a document, for `explain`: which bytes said this."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mappings.contracts import Position

_TOKEN = re.compile(
    rb"<!--.*?-->|<!\[CDATA\[(?P<cdata>.*?)\]\]>|<\?.*?\?>|<![^>]*>"
    rb"|<(?P<close>/)?(?P<name>[^\s/>\"'<]+)(?P<attributes>(?:[^>\"']|\"[^\"]*\"|'[^']*')*)>|(?P<text>[^<]+)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(rb"([^\s=\"'/]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_ROOT = b"ClinicalDocument"


def positions(content: bytes) -> list[Position]:
    """List every attribute value and every text of the ClinicalDocument, in order, with its byte span.

    Names are paths from it: `recordTarget/patientRole/id[2]/@extension`, `title` for a text; rank 1 is left out.
    Namespace declarations hold no value. A content in UTF-16 has no positions, nor has one without a ClinicalDocument;
    after a tag that never ends the list ends.
    """
    return list(_scan(content))


def _scan(content: bytes) -> Iterator[Position]:
    path: list[str] = []
    ranks: list[dict[str, int]] = []
    texts: list[int] = []
    for token in _TOKEN.finditer(content):
        name = token["name"]
        if name is not None:
            local = name.rpartition(b":")[2].decode("utf-8", "replace")
            if not ranks:
                if local.encode() != _ROOT or token["close"]:
                    continue
                path, ranks, texts = [""], [{}], [0]
                if token["attributes"].rstrip().endswith(b"/"):
                    return
            elif token["close"]:
                path.pop(), ranks.pop(), texts.pop()
                if not ranks:
                    return
                continue
            else:
                rank = ranks[-1][local] = ranks[-1].get(local, 0) + 1
                step = local if rank == 1 else f"{local}[{rank}]"
                path.append(f"{path[-1]}/{step}" if path[-1] else step)
                ranks.append({})
                texts.append(0)
            yield from _attributes(token, path[-1])
            if token["attributes"].rstrip().endswith(b"/"):
                path.pop(), ranks.pop(), texts.pop()
        elif ranks:
            group = "text" if token["text"] is not None else "cdata" if token["cdata"] is not None else None
            if group is not None and (span := _trimmed(content, *token.span(group))):
                texts[-1] += 1
                where = path[-1] or "."
                yield Position(where if texts[-1] == 1 else f"{where}/text()[{texts[-1]}]", *span)


def _attributes(token: re.Match[bytes], place: str) -> Iterator[Position]:
    base = token.start("attributes")
    for found in _ATTRIBUTE.finditer(token["attributes"]):
        name = found[1].decode("utf-8", "replace")
        if name == "xmlns" or name.startswith("xmlns:"):
            continue
        group = 2 if found[2] is not None else 3
        start, end = found.span(group)
        if content_holds(found[group]):
            yield Position(f"{place}/@{name}" if place else f"@{name}", base + start, base + end)


def content_holds(value: bytes) -> bool:
    """Tell whether a value is more than blanks."""
    return bool(value.strip())


def _trimmed(content: bytes, start: int, end: int) -> tuple[int, int] | None:
    piece = content[start:end]
    stripped = piece.strip()
    if not stripped:
        return None
    offset = len(piece) - len(piece.lstrip())
    return start + offset, start + offset + len(stripped)
