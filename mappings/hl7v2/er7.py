r"""The tokenizer of ER7, the `|^~\&` encoding: bytes to segments and fields, and back to the same bytes.

Only segments and fields are cut here; repetitions, components and subcomponents are cut where they are read
(`Syntax`). Nothing is dropped: `Message.encode` gives the content back byte for byte, whatever it was dressed in
(byte order mark, MLLP bytes, NULs, blank lines, any line end).

Line ends: CR when there is one, a lone LF is then text; LF or CRLF otherwise. A line that does not begin like a segment
belongs to the field before it, because free text with raw line ends is what senders produce.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from mappings.contracts import FormatError
from mappings.hl7v2.charset import decode, wide_codec
from mappings.hl7v2.header import end_of_line, find_header
from mappings.hl7v2.syntax import NULL, Syntax, delimiters_of, syntax_of
from mappings.pieces_limit import check_lines
from schemas.finding import Finding, Severity

HEADERS = frozenset({"MSH", "FHS", "BHS"})
"""Segments whose field 1 is the separator itself."""

_NOISE = "\r\n\x0b\x1c\0 \t"
_BYTES_OF_NOISE = b"\r\n\x0b\x1c\x00 \t\xef\xbb\xbf"
_MSH = re.compile(r"(?:\A|[\r\n\x0b])[ \t\0]*\ufeff?(MSH)(?=[^A-Za-z0-9\s])")
_HEADS = (b"MSH", b"FHS", b"BHS", b"BTS", b"FTS")

_BARE = frozenset({"BTS", "FTS", "DSC", "EVN", "PD1", "PV1", "PV2", "NTE", "ZBE", "ZFA", "ZFD", "ZFM", "ZFP", "ZFV"})
"""Segments that are believed when they stand alone on their line without any field."""
_USUAL = (
    *("MSH", "SFT", "EVN", "PID", "PD1", "NK1", "ROL", "MRG", "PV1", "PV2", "ORC", "OBR", "NTE", "TQ1", "OBX", "SPM"),
    *("PRT", "TXA", "DG1", "AL1", "ZBE", "ZFA", "ZFD", "ZFM", "ZFP", "ZFS", "ZFV"),
)


class Segment:
    """One segment: `fields[n]` is the raw text of field n (`fields[0]` its name), `nth` its rank among its name."""

    __slots__ = ("fields", "name", "nth", "syntax")

    def __init__(self, fields: list[str], nth: int, syntax: Syntax) -> None:
        self.name = fields[0]
        self.fields = fields
        self.nth = nth
        self.syntax = syntax

    def raw(self, n: int) -> str:
        """Give field n as written, empty when absent."""
        fields = self.fields
        return fields[n] if n < len(fields) else ""

    def first(self, n: int) -> str:
        """Give the first repetition of field n as written."""
        raw = self.raw(n)
        return raw.split(self.syntax.repetition, 1)[0] if self.syntax.repetition in raw else raw

    def code(self, n: int) -> str:
        """Decode the first component of the first repetition of field n, without blanks; Null is empty."""
        raw = self.raw(n)
        if not raw:
            return ""
        syntax = self.syntax
        if syntax.repetition in raw:
            raw = raw.split(syntax.repetition, 1)[0]
        if syntax.component in raw:
            raw = raw.split(syntax.component, 1)[0]
        return syntax.code(raw)

    def repetitions(self, n: int) -> list[str]:
        """Cut field n into its raw repetitions."""
        return self.syntax.repetitions(self.raw(n))

    def is_null(self, n: int) -> bool:
        """Say whether the field asks for a deletion (`""`)."""
        return self.raw(n) == NULL

    def where(self, n: int = 0, component: int = 0) -> str:
        """Name a place of this segment: `PID-5`, `OBX[3]-5.2`; a missing number between brackets is 1."""
        text = self.name if self.nth == 1 else f"{self.name}[{self.nth}]"
        if n:
            text = f"{text}-{n}.{component}" if component else f"{text}-{n}"
        return text

    def join(self) -> str:
        """Write the segment as it was."""
        fields = self.fields
        if fields[0] in HEADERS and len(fields) > 1:
            fields = [fields[0], *fields[2:]]
        return self.syntax.field.join(fields)


class Message:
    """One tokenized message. `ends` are the characters after each segment, `lead` those before the first.

    `escapes` says that there is an escape character somewhere beyond MSH-2.
    """

    __slots__ = ("ends", "escapes", "findings", "lead", "segments", "syntax")

    def __init__(
        self,
        segments: list[Segment],
        ends: Sequence[str],
        lead: str,
        syntax: Syntax,
        findings: list[Finding],
        *,
        escapes: bool,
    ) -> None:
        self.escapes = escapes
        self.segments = segments
        self.ends = ends
        self.lead = lead
        self.syntax = syntax
        self.findings = findings

    @property
    def header(self) -> Segment:
        """The MSH segment."""
        return self.segments[0]

    def named(self, name: str) -> list[Segment]:
        """List the segments of one name, in order."""
        return [segment for segment in self.segments if segment.name == name]

    def encode(self) -> bytes:
        """Write the message back: the bytes that were parsed."""
        parts = [self.lead]
        for segment, end in zip(self.segments, self.ends, strict=True):
            parts += (segment.join(), end)
        return "".join(parts).encode(self.syntax.codec)


def parse(content: bytes, charset: str | None = None) -> Message:
    """Tokenize one message; `charset` is a Python codec that the configuration imposes.

    Raises FormatError when there is no readable MSH. What had to be repaired is in `Message.findings`.
    """
    if content[:3] != b"MSH" and find_header(content) is None:
        raise FormatError("hl7v2.header.no_msh", "MSH", "there is no MSH segment")
    text, codec, notes = decode(content, _declared(content), charset)
    findings = list(notes)
    start = 0
    if text[:3] != "MSH":
        found = _MSH.search(text)
        if found is None:
            raise FormatError("hl7v2.header.no_msh", "MSH", "there is no MSH segment")
        start = found.start(1)
        if text[:start].strip(_NOISE + "\ufeff"):
            findings.append(_said("noise_before_msh", "MSH", "there is something before MSH that is not part of it"))
    separator = text[start + 3 : start + 4]
    if not separator or separator.isalnum() or separator.isspace():
        raise FormatError("hl7v2.header.no_msh", "MSH-1", "the field separator is not readable")
    body = text[start:] if start else text

    end = _line_end(body)
    lines = body.split(end) if end else []
    terminated = bool(lines) and not lines[-1]
    if terminated:
        lines.pop()
    dirty = framed = False
    if lines and (
        {line[:4] for line in lines} <= _usual_starts(separator) or all(_begins(line, separator) for line in lines)
    ):
        ends: Sequence[str] = [end] * (len(lines) - 1) + [end if terminated else ""]
    else:
        lines, ends = _cut(body, separator)
        dirty = any("\r" in line or "\0" in line for line in lines)
        _note_repairs(body, lines, findings)
        framed = any("\x1c" in one or "\x0b" in one for one in ends)

    check_lines(len(lines), "hl7v2")
    delimiters, repaired = delimiters_of(separator, lines[0][4:].split(separator, 1)[0])
    if repaired:
        findings.append(_said("delimiters", "MSH-2", "the encoding characters had to be repaired"))
    syntax = syntax_of(delimiters, codec, dirty)
    ranks: dict[str, int] = {}
    segments = []
    for line in lines:
        fields = line.split(separator)
        name = fields[0]
        ranks[name] = nth = ranks.get(name, 0) + 1
        if name in HEADERS and len(fields) > 1:
            fields.insert(1, separator)
        segments.append(Segment(fields, nth, syntax))
    if start and "\ufeff" in text[:start]:
        findings.append(_said("byte_order_mark", "MSH", "a byte order mark precedes the message", Severity.INFO))
    if framed or "\x0b" in text[:start]:
        findings.append(_said("mllp_bytes", "MSH", "the message is still in its MLLP frame", Severity.INFO))
    escapes = body.count(delimiters.escape) > 1
    return Message(segments, ends, text[:start], syntax, findings, escapes=escapes)


def split(content: bytes) -> list[bytes]:
    """Cut a batch (FHS, BHS), several MSH, or several MLLP frames into messages, byte for byte.

    What is not a message (batch headers and trailers, frame bytes) is left out; a content without MSH stays whole.
    """
    if content[:3] == b"MSH":
        if content.find(b"MSH", 3) < 0 and not (b"\x1c" in content or b"BTS" in content or b"FTS" in content):
            return [content]
    elif find_header(content) is None:
        return [content]
    if wide := wide_codec(content):
        try:
            text = content.decode(wide)
        except UnicodeDecodeError:
            return [content]
        pieces = split(text.lstrip("\ufeff").encode("utf-8"))
        if len(pieces) == 1:
            return [content]
        return [piece.decode("utf-8").encode(wide) for piece in pieces]
    boundaries = sorted(_boundaries(content))
    messages = []
    for rank, (start, name) in enumerate(boundaries, start=1):
        if name != b"MSH":
            continue
        last = rank == len(boundaries)
        piece = content[start : len(content) if last else boundaries[rank][0]]
        kept = piece if last and b"\x1c" not in piece[-4:] else piece.rstrip(_BYTES_OF_NOISE)
        ending = re.match(rb"\r\n?|\n", piece[len(kept) :])
        messages.append(kept + ending[0] if ending else kept)
    return messages if len(messages) > 1 or (messages and len(boundaries) > 1) else [content]


def _boundaries(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Find where headers and trailers begin a line: by their names, so that megabytes of base64 cost nothing."""
    for name in _HEADS:
        at = content.find(name)
        while at >= 0:
            following = content[at + 3 : at + 4]
            parted = not following.isalnum() and (name.endswith(b"TS") or (following and not following.isspace()))
            if parted and _begins_a_line(content, at):
                yield at, name
            at = content.find(name, at + 3)


def _begins_a_line(content: bytes, at: int) -> bool:
    while at and content[at - 1] in b" \t\0":
        at -= 1
    if content[at - 3 : at] == b"\xef\xbb\xbf":
        at -= 3
    return not at or content[at - 1] in b"\r\n\x0b\x1c"


def _declared(content: bytes) -> str:
    """Read MSH-18 from the bytes, its first repetition."""
    at = 0 if content[:3] == b"MSH" else content.find(b"MSH")
    if at < 0:
        return ""
    head = content[at : at + 4096]
    line = head[: end_of_line(head)]
    fields = line.split(line[3:4] or b"|")
    if len(fields) < 18:
        return ""
    return fields[17].split(fields[1][1:2] or b"~", 1)[0].decode("iso8859-1").strip()


def _line_end(body: str) -> str:
    """Give the one line end of the body; empty when it is mixed or when there are stray control bytes."""
    if "\0" in body or "\x1c" in body or "\x0b" in body:
        return ""
    if "\n" not in body:
        return "\r"
    if "\r" not in body:
        return "\n"
    pairs = body.count("\r\n")
    return "\r\n" if pairs == body.count("\n") == body.count("\r") else ""


@lru_cache(maxsize=64)
def _usual_starts(separator: str) -> frozenset[str]:
    """Give the beginnings of the usual segments: one look into a set instead of a test for each line."""
    return frozenset(name + separator for name in _USUAL)


def _begins(line: str, separator: str) -> bool:
    name = line[:3]
    return line[3:4] == separator and name.isalnum() and name.isupper() and name.isascii()


def _cut(body: str, separator: str) -> tuple[list[str], list[str]]:
    """Cut a body that is not tidy: find where segments begin, and leave everything between to the one before."""
    starts = [found.end() for found in _starts(separator).finditer(body) if found[2] == separator or found[1] in _BARE]
    lines: list[str] = []
    ends: list[str] = []
    for start, stop in zip(starts, [*starts[1:], len(body)], strict=True):
        chunk = body[start:stop]
        length = len(chunk.rstrip(_NOISE))
        while length < len(chunk) and chunk[length] in " \t":
            length += 1
        lines.append(chunk[:length])
        ends.append(chunk[length:])
    return lines, ends


@lru_cache(maxsize=64)
def _starts(separator: str) -> re.Pattern[str]:
    """Match what stands before a segment; groups 1 and 2 look ahead at its name and at what follows it."""
    mark = re.escape(separator)
    return re.compile(rf"(?:\A|[\r\n\x0b\x1c])[ \t\0\ufeff]*(?=([A-Z][A-Z0-9]{{2}})({mark}|[ \t\0]*(?:[\r\n\x1c]|\Z)))")


def _note_repairs(body: str, lines: list[str], findings: list[Finding]) -> None:
    if "\0" in body:
        findings.append(_said("nul_bytes", "MSH", "the message holds NUL bytes; they are left out of the values"))
    if any("\r" in line or "\n" in line for line in lines):
        findings.append(_said("continued_line", "MSH", "lines that begin no segment were taken as text of the field"))


def _said(what: str, where: str, message: str, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(severity=severity, code=f"hl7v2.{what}", where=where, message=message)
