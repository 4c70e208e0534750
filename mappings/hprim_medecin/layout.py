"""How an HPRIM Médecin file is laid out: reports, their header, text and coded lines (hprim 2.1, 2.2, 2.5.14-16).

Nothing is interpreted here: a `Layout` holds lines with their place. Reading, `positions` and `pieces` share it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mappings.charsets import line_spans
from mappings.contracts import FormatError
from mappings.french_time import find_day, read_day
from mappings.notes import Notes

HEADER_LINES = 12
BIRTH_DATE, REPORT_DATE = 6, 9
"""Places of the two dates in the header, counted from 0 (lines 7 and 10)."""

_TAG = re.compile(r"\*{4}\s*(LAB|FIN|FINFICHIER)\s*\*{4}", re.IGNORECASE)
_RECORD = re.compile(r"\s*(?:RES\s*\||TEX\s*(?:\||$))", re.IGNORECASE)
_POSTAL = re.compile(r"\d{5}\b")
_INSURED = re.compile(r"\d[\d\s]{11,}")
_TRIMMED = " \t\r\n\x1a\0\u00a0\ufeff"


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its number in the file from 1, the offset of its first character, its text without the line end."""

    number: int
    start: int
    text: str

    @property
    def where(self) -> str:
        """The line's address (`line 7`)."""
        return f"line {self.number}"

    @property
    def blank(self) -> bool:
        """Whether the line holds nothing."""
        return not self.text.strip(_TRIMMED)

    @property
    def tag(self) -> str | None:
        """`LAB`, `FIN` or `FINFICHIER` when the trimmed line is that tag, in any case."""
        text = self.text.strip(_TRIMMED)
        found = _TAG.fullmatch(text) if text.startswith("****") else None
        return found[1].upper() if found else None

    @property
    def is_record(self) -> bool:
        """Whether the line is a RES or TEX record."""
        return _RECORD.match(self.text) is not None


@dataclass(slots=True)
class RawReport:
    """One report: its header (12 lines, none when the file has no header at all), its text, its coded lines.

    `shift` is -1 or +1 when lines 7 and 10 are found one line higher or lower than they should be: then nobody knows
    which of lines 1 to 5 holds the name. `tagged` says that ****LAB**** was there, `ended` ****FIN****; `cut` is the
    last line of the file when it stops in the middle.
    """

    header: list[Line]
    shift: int = 0
    text: list[Line] = field(default_factory=list)
    records: list[Line] = field(default_factory=list)
    tagged: bool = False
    ended: bool = False
    cut: Line | None = None

    @property
    def first_line(self) -> int:
        """The number of the report's first line."""
        return next((line.number for line in (*self.header, *self.records, *self.text)), 1)


@dataclass(slots=True)
class Layout:
    """A whole file: its reports, and what stands after the end."""

    reports: list[RawReport] = field(default_factory=list)
    trailer: list[Line] = field(default_factory=list)
    file_ended: bool = False


def lines_of(text: str, line_end: str) -> list[Line]:
    """Cut a text into lines."""
    return [Line(n, start, text[start:end]) for n, (start, end) in enumerate(line_spans(text, line_end), 1)]


def lay_out(text: str, line_end: str, notes: Notes) -> Layout:
    """Find the reports of a file. Raises FormatError when not even one header is whole, or looks like one."""
    lines = lines_of(text, line_end)
    terminated = text.endswith(("\r", "\n"))
    return _Walk(lines, terminated, notes).run()


class _Walk:
    def __init__(self, lines: list[Line], terminated: bool, notes: Notes) -> None:
        self.lines = lines
        self.terminated = terminated
        self.notes = notes
        self.at = 0
        self.layout = Layout()
        self.headers = self._certain_headers()

    def run(self) -> Layout:
        while self._skip_blank_and_ends():
            report = self._header()
            if report is None:
                self._trailer()
                break
            self._body(report)
            self.layout.reports.append(report)
        if not self.layout.reports:
            raise FormatError("hprim.file.empty", "line 1", "the file holds no report")
        self._ends()
        return self.layout

    def _skip_blank_and_ends(self) -> bool:
        """Go to the next line that holds something; end tags without a report before them are passed over."""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.tag in {"FIN", "FINFICHIER"}:
                self.layout.file_ended = self.layout.file_ended or line.tag == "FINFICHIER"
                if self.layout.reports:
                    self.layout.reports[-1].ended = True
            elif not line.blank:
                return True
            self.at += 1
        return False

    def _header(self) -> RawReport | None:
        """Take a header at this line, or none when what stands here is no report (after a first one)."""
        line = self.lines[self.at]
        if line.tag == "LAB" or line.is_record:
            self.notes.error(
                "hprim.header.missing", line.where, "coded lines without a header: nobody knows the patient"
            )
            return RawReport(header=[])
        start = self._best_start()
        shift = self._shift(start)
        size = HEADER_LINES + shift
        header = self.lines[start : start + size]
        whole = len(header) == size and not any(one.tag or one.is_record for one in header)
        if self.layout.reports and not (whole and self._plausible(start, shift)):
            return None
        if not whole:
            found = next((n for n, one in enumerate(header) if one.tag or one.is_record), len(header))
            message = f"the header has {found} lines, {HEADER_LINES} are needed to know the patient"
            raise FormatError("hprim.header.truncated", header[0].where, message)
        if not self._plausible(start, shift) and not any(line.tag or line.is_record for line in self.lines):
            message = "no date at lines 7 and 10, no tag, no coded line: this is no HPRIM Médecin"
            raise FormatError("hprim.header.implausible", header[0].where, message)
        if shift:
            where = header[BIRTH_DATE + shift].where
            message = "a header line is missing or added: the dates are not at lines 7 and 10, the name is not known"
            self.notes.error("hprim.header.misaligned", where, message)
        self.at = start + size
        if self.at < len(self.lines) and self.lines[self.at].blank:
            self.at += 1
        return RawReport(header=header, shift=shift)

    def _best_start(self) -> int:
        """Line 1 may be empty (no patient code) or stand after an empty line: the dates tell (hprim 2.2)."""
        first = self.at
        before = first - 1
        if before < 0 or not self.lines[before].blank or self.lines[before].tag:
            return first
        return before if self._dates(before) > self._dates(first) else first

    def _dates(self, start: int) -> int:
        return sum(self._is_day(start + place) for place in (BIRTH_DATE, REPORT_DATE))

    def _shift(self, start: int) -> int:
        if self._is_day(start + BIRTH_DATE) or self._has_day(start + REPORT_DATE):
            return 0
        for shift in (-1, 1):
            if self._is_day(start + BIRTH_DATE + shift) and self._is_day(start + REPORT_DATE + shift):
                return shift
        return 0

    def _plausible(self, start: int, shift: int) -> bool:
        return shift != 0 or self._is_day(start + BIRTH_DATE) or self._has_day(start + REPORT_DATE)

    def _is_day(self, at: int) -> bool:
        return 0 <= at < len(self.lines) and _is_day(self.lines[at])

    def _has_day(self, at: int) -> bool:
        return 0 <= at < len(self.lines) and find_day(self.lines[at].text) is not None

    def _certain_headers(self) -> frozenset[int]:
        """Find the lines where a header certainly begins, to notice a report whose predecessor has no end tag."""
        found = set()
        for at, line in enumerate(self.lines):
            if len(line.text) > 40 or not _is_day(line) or not self._is_day(at + REPORT_DATE - BIRTH_DATE):
                continue
            start = at - BIRTH_DATE
            if start < 0 or start + HEADER_LINES > len(self.lines):
                continue
            header = self.lines[start : start + HEADER_LINES]
            names = [one.text.strip(_TRIMMED) for one in header[1:3]]
            person = all(name and not any(char.isdigit() or char == "|" for char in name) for name in names)
            place = _POSTAL.match(header[5].text.strip()) or _INSURED.match(header[7].text.strip())
            if person and place and not any(one.tag or one.is_record for one in header):
                found.add(start)
        return frozenset(found)

    def _body(self, report: RawReport) -> None:
        """Take text and coded lines up to the end of the report."""
        coded = False
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if self.at in self.headers:
                message = "a new header begins before the end tag of the report above it"
                self.notes.error("hprim.tag.fin_missing", line.where, message)
                report.ended = True
                return
            tag = line.tag
            self.at += 1
            if tag in {"FIN", "FINFICHIER"}:
                report.ended = True
                if tag == "FINFICHIER":
                    self.layout.file_ended = True
                    self.notes.info("hprim.tag.fin_missing", line.where, "****FINFICHIER**** without ****FIN****")
                return
            if tag == "LAB":
                coded = report.tagged = True
            elif coded or line.is_record:
                if not report.tagged and not coded:
                    self.notes.info("hprim.tag.lab_missing", line.where, "coded lines without ****LAB**** before them")
                coded = True
                report.records.append(line)
            else:
                report.text.append(line)

    def _trailer(self) -> None:
        """Keep what stands after the last report (a mail signature) apart; a report without header is no trailer."""
        rest = self.lines[self.at :]
        self.layout.trailer = [line for line in rest if not line.blank and line.tag is None]
        self.layout.file_ended = self.layout.file_ended or any(line.tag == "FINFICHIER" for line in rest)
        if any(line.tag in {"LAB", "FIN"} or line.is_record for line in rest):
            message = "a further report has no whole header: it is not read"
            self.notes.error("hprim.header.truncated", rest[0].where, message)
        else:
            self.notes.info("hprim.trailer", rest[0].where, "text after the end of the last report")

    def _ends(self) -> None:
        last = self.layout.reports[-1]
        if not last.ended:
            line = self.lines[-1]
            if not self.terminated and not line.blank and self.layout.trailer == []:
                last.cut = line
                self.notes.error("hprim.file.cut", line.where, "the file stops in the middle of a line")
            else:
                self.notes.warning("hprim.tag.missing", line.where, "neither ****FIN**** nor ****FINFICHIER****")
        elif not self.layout.file_ended:
            self.notes.info("hprim.tag.finfichier_missing", self.lines[-1].where, "****FINFICHIER**** is missing")


def _is_day(line: Line) -> bool:
    return len(line.text) <= 40 and read_day(line.text) is not None
