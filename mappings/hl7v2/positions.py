"""Byte positions of the values of a content, for `explain`: which bytes said this."""

from __future__ import annotations

from collections.abc import Iterator

from mappings.contracts import FormatError, Position
from mappings.hl7v2.er7 import HEADERS, Message, Segment, parse, split


def positions(content: bytes) -> list[Position]:
    """List every component or subcomponent that holds a value, in order, with its byte span.

    Names are `PID[1]-3[2].4.1`: the first PID, its field 3, second repetition, fourth component, first subcomponent;
    the last number is left out where a component has no subcomponents. From the second message of a batch on, the rank
    of the message comes first: `2/PID[1]-3[1].1`. The delimiters themselves (MSH-1, MSH-2) are not listed. A content
    that is not HL7v2 has no positions.
    """
    pieces = split(content)
    found: list[Position] = []
    at = 0
    for rank, piece in enumerate(pieces, start=1):
        at = max(content.find(piece, at), 0)
        prefix = f"{rank}/" if rank > 1 else ""
        try:
            message = parse(piece)
        except FormatError:
            continue
        found += [Position(prefix + where, at + start, at + end) for where, start, end in _in_bytes(message)]
        at += len(piece)
    return found


def _in_bytes(message: Message) -> Iterator[tuple[str, int, int]]:
    """Turn character offsets into byte offsets, walking once through the text."""
    codec = message.syntax.codec
    text = message.encode().decode(codec)
    seen = counted = 0
    for where, start, end in _leaves(message):
        counted += len(text[seen:start].encode(codec))
        length = len(text[start:end].encode(codec))
        yield where, counted, counted + length
        seen, counted = end, counted + length


def _leaves(message: Message) -> Iterator[tuple[str, int, int]]:
    at = len(message.lead)
    for segment, end in zip(message.segments, message.ends, strict=True):
        yield from _leaves_of(segment, at)
        at += len(segment.join()) + len(end)


def _leaves_of(segment: Segment, at: int) -> Iterator[tuple[str, int, int]]:
    syntax = segment.syntax
    header = segment.name in HEADERS
    at += len(segment.name) + 1
    for n, field in enumerate(segment.fields[1:], start=1):
        if header and n == 1:
            continue
        if not (header and n == 2):
            place = f"{segment.name}[{segment.nth}]-{n}"
            inside = at
            for rank, repetition in enumerate(field.split(syntax.repetition), start=1):
                for number, component in enumerate(repetition.split(syntax.component), start=1):
                    parts = component.split(syntax.subcomponent)
                    for sub, part in enumerate(parts, start=1):
                        if part.strip():
                            suffix = f".{sub}" if len(parts) > 1 else ""
                            yield f"{place}[{rank}].{number}{suffix}", inside, inside + len(part)
                        inside += len(part) + 1
        at += len(field) + 1
