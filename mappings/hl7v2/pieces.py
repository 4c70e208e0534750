"""A human reading of a message: segment by segment, with the official names (`show`, dashboard)."""

from __future__ import annotations

from mappings.contracts import Piece
from mappings.hl7v2.dictionary import Entry, component_entry, field_entry, meaning, segment_name
from mappings.hl7v2.er7 import HEADERS, Segment, parse, split

_LONGEST = 2000
"""A longer text is a file in base64, which nobody reads: its length is said instead."""


def pieces(content: bytes) -> list[Piece]:
    """Describe every segment of every message; raises FormatError when there is no message."""
    found: list[Piece] = []
    parts = split(content)
    for rank, part in enumerate(parts, start=1):
        message = parse(part)
        version = message.header.code(12)
        prefix = f"{rank}/" if rank > 1 else ""
        found += [_segment(segment, version, prefix) for segment in message.segments]
    return found


def _segment(segment: Segment, version: str, prefix: str) -> Piece:
    children: list[Piece] = []
    for n, raw in enumerate(segment.fields):
        if n and raw:
            children += _field(segment, n, raw, version, prefix)
    return Piece(
        where=prefix + segment.where(), name=segment_name(segment.name), text="", type="", children=tuple(children)
    )


def _field(segment: Segment, n: int, raw: str, version: str, prefix: str) -> list[Piece]:
    where = prefix + segment.where(n)
    entry = field_entry(segment.name, n, version)
    if segment.name in HEADERS and n <= 2:
        return [Piece(where=where, name=entry.name, text=raw, type=entry.type, depth=1)]
    if segment.name == "OBX" and n == 5:
        entry = entry._replace(type=segment.code(2) or entry.type)
    syntax = segment.syntax
    repetitions = [raw] if _is_text(entry.type) else syntax.repetitions(raw)
    return [
        _value(segment, where if rank == 1 else f"{where}[{rank}]", repetition, entry, version, depth=1)
        for rank, repetition in enumerate(repetitions, start=1)
        if repetition or len(repetitions) == 1
    ]


def _value(segment: Segment, where: str, raw: str, entry: Entry, version: str, *, depth: int) -> Piece:
    """Describe a field or component, and what it is made of when it has parts."""
    syntax = segment.syntax
    mark = syntax.component if depth == 1 else syntax.subcomponent
    if len(raw) > _LONGEST and mark not in raw[:_LONGEST]:
        return Piece(where=where, name=entry.name, text=f"[{len(raw)} characters]", type=entry.type, depth=depth)
    if _is_text(entry.type):
        text = "\n".join(syntax.text(one) for one in syntax.repetitions(raw))
        return Piece(where=where, name=entry.name, text=text, type=entry.type, depth=depth)
    parts = [raw] if depth > 2 else raw.split(mark)
    if len(parts) == 1:
        text = syntax.text(raw)
        said = meaning(entry.table, text) if entry.table else ""
        shown = f"{text} ({said})" if said else text
        return Piece(where=where, name=entry.name, text=shown, type=entry.type, depth=depth)
    children = tuple(
        _value(
            segment, f"{where}.{number}", part, component_entry(entry.type, number, version), version, depth=depth + 1
        )
        for number, part in enumerate(parts, start=1)
        if part
    )
    words = (syntax.text(word) for part in parts for word in part.split(syntax.subcomponent) if len(word) <= _LONGEST)
    text = " ".join(word for word in words if word)
    return Piece(where=where, name=entry.name, text=text, type=entry.type, depth=depth, children=children)


def _is_text(data_type: str) -> bool:
    return data_type in ("ST", "TX", "FT")
