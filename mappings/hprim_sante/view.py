"""A file of HPRIM Santé for people: byte spans of its fields (`explain`) and their names (`show`, dashboard).

An address is `OBX[2]-5`, with `(2)` for a second repetition, `.1` for a sub-field where there are several, and `.1`
again for a sub-sub-field.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from mappings.charsets import byte_offsets, decode
from mappings.contracts import FormatError, Piece, Position
from mappings.hprim_sante.syntax import Delimiters, Segment, tokenize
from mappings.hprim_tables import explained, field_names
from mappings.notes import Notes
from mappings.plain_text import without_controls

PACKAGE = "hprim_sante"
_WITH_SUB_FIELDS = frozenset({"P-13", "OBR-10", "OBR-15", "OBR-28", "OBR-32", "OBR-33", "OBR-34", "OBR-35"})
"""Fields whose sub-fields are made of sub-sub-fields: elsewhere `&` is data."""
HIDDEN = "•••"
"""Shown instead of what is nobody's to see."""
KEPT_HIDDEN = ("H", 3)


def positions(content: bytes) -> list[Position]:
    """List the byte spans of every value, in the order of the file. A content that is not this format has none.

    The span of a value that an `A` line continues runs over the line end and the `A`.
    """
    decoded = decode(content)
    try:
        messages = tokenize(decoded.raw, Notes())
    except FormatError:
        return []
    spans: list[tuple[str, int, int]] = []
    for message in messages:
        for segment in message.segments:
            spans += _leaves(segment)
    offsets = byte_offsets(decoded, [at for _, start, end in spans for at in (start, end)])
    size = len(content)
    return [Position(where, min(offsets[start], size), min(offsets[end], size)) for where, start, end in spans]


def _leaves(segment: Segment) -> Iterator[tuple[str, int, int]]:
    """Find each leaf of a segment that holds something, as offsets in the decoded content."""
    starts: list[int] = []
    length = 0
    for chunk in segment.chunks:
        starts.append(length)
        length += len(chunk.text)

    def place(at: int) -> int:
        chunk = max(bisect_right(starts, at) - 1, 0)
        return segment.chunks[chunk].start + at - starts[chunk]

    at = 0
    for number, raw in enumerate(segment.fields):
        if number:
            yield from (
                (where, place(at + start), place(at + end - 1) + 1)
                for where, start, end in _parts(segment, number, raw)
            )
        at += len(raw) + 1


def _parts(segment: Segment, number: int, raw: str) -> Iterator[tuple[str, int, int]]:
    """Cut a field into repetitions, sub-fields and sub-sub-fields; give the stripped ones with their offsets in it."""
    where = segment.where(number)
    delimiters = segment.delimiters
    if segment.name == "H" and number == 1:
        if raw:
            yield where, 0, len(raw)
        return
    repetitions = delimiters.split(raw, delimiters.repeat)
    at = 0
    for rank, repetition in enumerate(repetitions, 1):
        suffix = f"({rank})" if len(repetitions) > 1 else ""
        yield from _inner(where + suffix, repetition, at, delimiters, f"{segment.name}-{number}")
        at += len(repetition) + 1


def _inner(where: str, text: str, at: int, delimiters: Delimiters, key: str) -> Iterator[tuple[str, int, int]]:
    components = delimiters.split(text, delimiters.component)
    for rank, component in enumerate(components, 1):
        address = f"{where}.{rank}" if len(components) > 1 else where
        subs = delimiters.split(component, delimiters.sub) if key in _WITH_SUB_FIELDS else [component]
        inside = at
        for sub_rank, sub in enumerate(subs, 1):
            stripped = sub.strip()
            if stripped:
                start = inside + sub.index(stripped)
                name = f"{address}.{sub_rank}" if len(subs) > 1 else address
                yield name, start, start + len(stripped)
            inside += len(sub) + 1
        at += len(component) + 1


def pieces(content: bytes) -> list[Piece]:
    """Give a reading of the file, segment by segment, with the official names of fields; a password is not shown.

    A content that is not this format is one piece, with its text.
    """
    decoded = decode(content)
    try:
        messages = tokenize(decoded.text, Notes())
    except FormatError as error:
        return [Piece(where=error.where, name=error.message, text=without_controls(decoded.text))]
    found: list[Piece] = []
    for message in messages:
        found += [_segment(segment) for segment in message.segments]
        found += [Piece(where=f"line {number}", name="?", text=text) for number, text in message.strange]
    return found


def _segment(segment: Segment) -> Piece:
    names = field_names(PACKAGE)
    fields = tuple(_field(segment, number, raw) for number, raw in enumerate(segment.fields) if number and raw.strip())
    name = names[segment.name].both if segment.name in names else segment.name
    return Piece(where=segment.address, name=name, text="", children=fields)


def _field(segment: Segment, number: int, raw: str) -> Piece:
    key = f"{segment.name}-{number}"
    known = field_names(PACKAGE).get(key)
    name, kind = (known.both, known.type) if known else (key, "")
    where = segment.where(number)
    if (segment.name, number) == KEPT_HIDDEN:
        return Piece(where=where, name=name, text=HIDDEN, type=kind, depth=1)
    plain = segment.delimiters.plain
    parts = list(_parts(segment, number, raw))
    if len(parts) < 2:
        text = plain(raw[parts[0][1] : parts[0][2]]) if parts else ""
        return Piece(where=where, name=name, text=explained(PACKAGE, key, text), type=kind, depth=1)
    children = tuple(
        Piece(where=address, name=address.removeprefix(where), text=plain(raw[start:end]), depth=2)
        for address, start, end in parts
    )
    return Piece(where=where, name=name, text=plain(raw).strip(), type=kind, depth=1, children=children)
