"""The lines and delimiters of HPRIM Santé: segments, continuations, escapes (hprim 3.1 and 3.2).

Text is kept as sent: `Segment.fields` are slices of the message, cut at delimiters that are not escaped;
`Delimiters.plain` makes a leaf readable. The places of characters are kept, so that every field can be shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

from mappings.contracts import FormatError
from mappings.notes import Notes
from mappings.pieces_limit import check_lines
from mappings.plain_text import without_controls

_LINE = re.compile(r"[^\r\n]+")
_LINE_END = re.compile(r"\r\n|\n\r|\r|\n")
_LEADING_CONTROLS = re.compile(r"[\0-\x1f]+")
_START = re.compile(r"(?:^|(?<=[\r\n]))[\s\ufeff\0-\x1f]*H(?=[^\w\s])")
_NAME = re.compile(r"[A-Z]{1,3}")
_HEX = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")
SEGMENTS = frozenset({"H", "P", "OBR", "OBX", "C", "A", "L", "ERR", "REG", "FAC", "ACT", "AP", "AC"})


@dataclass(frozen=True)
class Delimiters:
    """The five separators, by their position after H: field, sub-field, repeater, escape, sub-sub-field."""

    field: str = "|"
    component: str = "~"
    repeat: str = "^"
    escape: str = "\\"
    sub: str = "&"

    @cached_property
    def all(self) -> str:
        """All five, in the order of the header."""
        return self.field + self.component + self.repeat + self.escape + self.sub

    @cached_property
    def _escapes(self) -> re.Pattern[str]:
        e = re.escape(self.escape)
        return re.compile(rf"{e}(?:[FSTRE]|X(?:[0-9A-Fa-f]{{2}})+){e}|{e}[{re.escape(self.all)}]")

    @cached_property
    def _cutters(self) -> dict[str, re.Pattern[str]]:
        return {one: re.compile(f"{self._escapes.pattern}|{re.escape(one)}") for one in self.all}

    @cached_property
    def _letters(self) -> dict[str, str]:
        return {"F": self.field, "S": self.component, "R": self.repeat, "T": self.sub, "E": self.escape}

    def split(self, text: str, separator: str) -> list[str]:
        """Cut a text at a separator, but not inside an escape."""
        if self.escape not in text or separator == self.escape:
            return text.split(separator)
        parts, start = [], 0
        for found in self._cutters[separator].finditer(text):
            if found.group() == separator:
                parts.append(text[start : found.start()])
                start = found.end()
        parts.append(text[start:])
        return parts

    def plain(self, text: str) -> str:
        r"""Undo escapes: `\F\ \S\ \R\ \T\ \E\ \X0D\` first, else the escape makes the next separator literal.

        An escape before any other sign is data: many senders do not escape at all (hprim 3.2).
        """
        if self.escape in text:
            text = self._escapes.sub(self._unescaped, text)
        return without_controls(text)

    def _unescaped(self, found: re.Match[str]) -> str:
        inner = found.group()[1:].removesuffix(self.escape) if len(found.group()) > 2 else found.group()[1]
        if len(found.group()) == 2:
            return inner
        if code := _HEX.fullmatch(inner):
            return bytes.fromhex(code[1]).decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
        return self._letters[inner]


@dataclass(slots=True)
class Chunk:
    """What one physical line adds to a segment: its text, and where that begins in the content."""

    start: int
    text: str


@dataclass(slots=True)
class Segment:
    """A logical segment: name, rank among its name from 1, first line, text with its continuations, fields.

    `fields[0]` is the name and `fields[n]` the n-th field; H.1 is the delimiters after the first. `used` are the
    numbers of the fields that somebody read: the others are unread.
    """

    name: str
    rank: int
    line: int
    delimiters: Delimiters
    chunks: list[Chunk]
    text: str = ""
    fields: list[str] = field(default_factory=list)
    used: set[int] = field(default_factory=set)

    @property
    def address(self) -> str:
        """The segment's address: `OBX[2]`."""
        return f"{self.name}[{self.rank}]"

    def where(self, number: int) -> str:
        """Give the address of a field: `OBX[2]-5`."""
        return f"{self.name}[{self.rank}]-{number}"

    def raw(self, number: int) -> str:
        """Give a field as sent, without blanks at its end; empty when it is absent."""
        self.used.add(number)
        return self.fields[number].rstrip() if number < len(self.fields) else ""

    def text_of(self, number: int) -> str:
        """Give a whole field as text, stripped and without escapes."""
        return self.delimiters.plain(self.raw(number)).strip()

    def repetitions(self, number: int) -> list[str]:
        """Give the repetitions of a field that hold something, as sent."""
        raw = self.raw(number)
        return [one for one in self.delimiters.split(raw, self.delimiters.repeat) if one.strip()] if raw else []

    def lines(self, number: int) -> list[str]:
        """Give the repetitions of a field as lines of text, as sent: empty ones are empty lines."""
        raw = self.raw(number)
        return self.delimiters.split(raw, self.delimiters.repeat) if raw else []

    def components(self, number: int, count: int) -> list[str]:
        """Give the first `count` sub-fields of a field's first repetition, stripped; missing ones are empty."""
        first = next(iter(self.repetitions(number)), "")
        return self.parts(first, count)

    def parts(self, repetition: str, count: int) -> list[str]:
        """Give the first `count` sub-fields of a repetition, stripped and without escapes; missing ones are empty."""
        delimiters = self.delimiters
        cut = [delimiters.plain(one).strip() for one in delimiters.split(repetition, delimiters.component)[:count]]
        return cut + [""] * (count - len(cut))

    def leave_unused(self, notes: Notes) -> None:
        """Note every field that holds something and that nobody read."""
        empty = self.delimiters.all + " "
        for number, raw in enumerate(self.fields):
            if number > 1 and number not in self.used and raw.strip(empty):
                notes.leave(self.where(number), self.delimiters.plain(raw))


@dataclass(slots=True)
class Message:
    """One message, H to L: its delimiters and segments; `cut` is the segment in whose middle the file stops."""

    delimiters: Delimiters
    segments: list[Segment]
    strange: list[tuple[int, str]] = field(default_factory=list)
    cut: Segment | None = None

    @property
    def header(self) -> Segment:
        """The segment H."""
        return self.segments[0]


def tokenize(text: str, notes: Notes) -> list[Message]:
    """Cut a file into messages and segments. Raises FormatError when there is no H with delimiters of its own.

    Text before the first H is skipped; a file may hold several messages. The ranks of segments run through the file.
    """
    first = _START.search(text)
    if first is None:
        raise FormatError("hprim.header.missing", "line 1", "there is no segment H")
    begin = first.end() - 1
    if text[:begin].strip("\ufeff\0 \t\r\n"):
        notes.info("hprim.header.preceded", "line 1", "text before the segment H is skipped")
        notes.leave("before H", without_controls(text[:begin]))
    check_lines(sum(1 for _ in _LINE.finditer(text, begin)), "hprim")
    walk = _Tokenizer(notes)
    number, end = 1, 0
    for line in _LINE.finditer(text, begin):
        number += len(_LINE_END.findall(text, end, line.start()))
        end = line.end()
        skipped = _LEADING_CONTROLS.match(line.group())
        begin = line.start() + (skipped.end() if skipped else 0)
        walk.line(number, begin, text[begin : line.end()])
    return walk.finish(terminated=text.endswith(("\r", "\n")))


class _Tokenizer:
    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.messages: list[Message] = []
        self.ranks: dict[str, int] = {}
        self.last: Segment | None = None

    def line(self, number: int, start: int, text: str) -> None:
        """Take one physical line."""
        if text.startswith("H") and len(text) > 1 and not (text[1].isalnum() or text[1].isspace()):
            self._header(number, start, text)
            return
        if not text.strip():
            return
        message = self.messages[-1]
        separator = message.delimiters.field
        name = text.partition(separator)[0].strip()
        if name == "A" and text[1:2] == separator and self.last is not None:
            self.last.chunks.append(Chunk(start + 2, text[2:]))
        elif name in SEGMENTS and name not in {"A", "H"}:
            self._segment(name, number, start, text)
        else:
            self.notes.warning("hprim.segment.unknown", f"line {number}", "the line is no segment of HPRIM Santé")
            message.strange.append((number, without_controls(text)))
            self.last = None

    def _header(self, number: int, start: int, text: str) -> None:
        """Begin a message. A header that cannot be read refuses the file, unless a message stands before it."""
        try:
            delimiters = delimiters_of(text, number)
        except FormatError as error:
            if not self.messages:
                raise
            self.notes.error(error.code, error.where, error.message)
            self.messages[-1].strange.append((number, without_controls(text)))
            self.last = None
            return
        self.messages.append(Message(delimiters, []))
        self._segment("H", number, start, text)

    def _segment(self, name: str, number: int, start: int, text: str) -> None:
        self.ranks[name] = self.ranks.get(name, 0) + 1
        message = self.messages[-1]
        self.last = Segment(name, self.ranks[name], number, message.delimiters, [Chunk(start, text)])
        message.segments.append(self.last)

    def finish(self, *, terminated: bool) -> list[Message]:
        """Cut the fields, once every continuation is there."""
        for message in self.messages:
            for segment in message.segments:
                _cut_fields(segment)
        if not terminated and self.last is not None and self.last.name != "L":
            message = self.messages[-1]
            message.cut = self.last
            self.notes.error("hprim.file.cut", self.last.address, "the file stops in the middle of a segment")
        return self.messages


def _cut_fields(segment: Segment) -> None:
    delimiters = segment.delimiters
    text = segment.text = "".join(chunk.text for chunk in segment.chunks).rstrip("\x1a\0 \t")
    if segment.name == "H":
        name, marks, rest = text[:1], *_header_marks(text)
        segment.fields = [name, marks, *delimiters.split(rest, delimiters.field)] if rest is not None else [name, marks]
    else:
        segment.fields = delimiters.split(text, delimiters.field)


def _header_marks(text: str) -> tuple[str, str | None]:
    """Split the text of H after its first separator: the other delimiters, and the rest (None when there is none)."""
    marks, found, rest = text[2:].partition(text[1])
    return marks, rest if found else None


def delimiters_of(text: str, line: int) -> Delimiters:
    r"""Read the delimiters of a segment H by position; four of them leave out the escape, which is then `\`.

    Raises FormatError when there are fewer, when two are the same, or when one is a letter, a digit or a blank.
    """
    where = f"line {line}"
    marks = text[1] + _header_marks(text)[0]
    if len(marks) == 4:
        marks = marks[:3] + "\\" + marks[3]
    if len(marks) < 5:
        raise FormatError("hprim.delimiters.missing", where, "the segment H does not name five delimiters")
    marks = marks[:5]
    if len(set(marks)) < 5 or any(mark.isalnum() or mark.isspace() for mark in marks):
        raise FormatError("hprim.delimiters.ambiguous", where, "the five delimiters of the segment H must differ")
    return Delimiters(*marks)
