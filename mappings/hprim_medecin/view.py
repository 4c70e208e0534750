"""A file of HPRIM Médecin for people: byte spans of its pieces (`explain`) and their names (`show`, dashboard)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mappings.charsets import byte_offsets, decode
from mappings.contracts import FormatError, Piece, Position
from mappings.hprim_medecin.header import text_of
from mappings.hprim_medecin.layout import HEADER_LINES, Layout, Line, RawReport, lay_out
from mappings.hprim_tables import explained, field_names
from mappings.notes import Notes
from mappings.plain_text import without_controls, without_entities

PACKAGE = "hprim_medecin"


@dataclass(frozen=True, slots=True)
class _Cell:
    """A piece of a record: address, key of its name, text, offset in the decoded text."""

    where: str
    key: str
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class _Record:
    where: str
    key: str
    cells: tuple[_Cell, ...]
    text: str


def positions(content: bytes) -> list[Position]:
    """List the byte spans of what holds a value: `line 7`, `RES[3]-05`, `TEX[2]`, in the order of the file.

    A content that is not this format has no positions.
    """
    decoded = decode(content)
    try:
        layout = lay_out(decoded.raw, decoded.line_end, Notes())
    except FormatError:
        return []
    spans: list[tuple[str, int, int]] = []
    ranks = _Ranks()
    for report in layout.reports:
        for line in (*report.header, *report.text):
            spans += _span(line.where, line.text, line.start)
        for line in report.records:
            spans += [span for cell in ranks.record(line).cells for span in _span(cell.where, cell.text, cell.start)]
    for line in layout.trailer:
        spans += _span(line.where, line.text, line.start)
    offsets = byte_offsets(decoded, [at for _, start, end in spans for at in (start, end)])
    size = len(content)
    return sorted(
        (Position(where, min(offsets[start], size), min(offsets[end], size)) for where, start, end in spans),
        key=lambda position: position.start,
    )


def _span(where: str, text: str, start: int) -> list[tuple[str, int, int]]:
    stripped = text.strip()
    if not stripped:
        return []
    begin = start + text.index(stripped)
    return [(where, begin, begin + len(stripped))]


class _Ranks:
    """Counts RES and TEX lines through the file and cuts them into cells."""

    def __init__(self) -> None:
        self.counts = {"RES": 0, "TEX": 0}

    def record(self, line: Line) -> _Record:
        if not line.is_record:
            return _Record(line.where, "text", (_Cell(line.where, "text", line.text, line.start),), line.text)
        lead = len(line.text) - len(line.text.lstrip())
        kind = line.text[lead : lead + 3].upper()
        self.counts[kind] += 1
        where = f"{kind}[{self.counts[kind]}]"
        if kind == "TEX":
            begin = line.text.find("|") + 1
            cell = _Cell(where, "TEX", line.text[begin:] if begin else "", line.start + begin)
            return _Record(where, "TEX", (cell,), cell.text)
        cells, start = [], line.start
        for number, text in enumerate(line.text.split("|"), 1):
            cells.append(_Cell(f"{where}-{number:02d}", f"RES-{number:02d}", text, start))
            start += len(text) + 1
        return _Record(where, "RES", tuple(cells[1:]), line.text)


def pieces(content: bytes) -> list[Piece]:
    """Give a reading of the file: each report with its header lines, text and results, by their official names.

    A content that is not this format is one piece, with its text.
    """
    decoded = decode(content)
    try:
        layout = lay_out(decoded.text, decoded.line_end, Notes())
    except FormatError as error:
        return [Piece(where=error.where, name=error.message, text=without_controls(decoded.text))]
    return [*_reports(layout), *_lines("trailer", layout.trailer, 0)]


def _reports(layout: Layout) -> Iterator[Piece]:
    ranks = _Ranks()
    for number, report in enumerate(layout.reports, 1):
        children = (*_header(report), *_lines("text", report.text, 1), *_records(report, ranks))
        name = f"Compte rendu {number} / Report {number}"
        yield Piece(where=f"line {report.first_line}", name=name, text="", children=children)


def _header(report: RawReport) -> Iterator[Piece]:
    names = field_names(PACKAGE)
    regular = len(report.header) == HEADER_LINES
    for number, line in enumerate(report.header, 1):
        name = names[f"line {number}"] if regular else names["text"]
        yield Piece(where=line.where, name=name.both, text=text_of(line), type=name.type, depth=1)


def _lines(key: str, lines: Iterable[Line], depth: int) -> Iterator[Piece]:
    name = field_names(PACKAGE)[key].both
    for line in lines:
        text = without_entities(without_controls(line.text)).rstrip()
        if text:
            yield Piece(where=line.where, name=name, text=text, depth=depth)


def _records(report: RawReport, ranks: _Ranks) -> Iterator[Piece]:
    names = field_names(PACKAGE)
    for line in report.records:
        record = ranks.record(line)
        if record.key != "RES":
            text = without_entities(without_controls(record.text)).rstrip()
            if text:
                yield Piece(where=record.where, name=names[record.key].both, text=text, depth=1)
            continue
        fields = []
        for cell in record.cells:
            text = without_controls(cell.text).strip()
            if text and cell.key in names:
                text = without_entities(text) if cell.key == "RES-02" else explained(PACKAGE, cell.key, text)
                name = names[cell.key]
                fields.append(Piece(where=cell.where, name=name.both, text=text, type=name.type, depth=2))
        text = " ".join(field.text for field in fields if field.where[-2:] in {"02", "05", "06"})
        yield Piece(where=record.where, name=names["RES"].both, text=text, depth=1, children=tuple(fields))
