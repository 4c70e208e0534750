"""HPRIM Médecin into Items: reports with results become `lab_report`, those of text alone `document` (hprim 2, 6)."""

from __future__ import annotations

import base64
from collections.abc import Callable

from mappings.charset_findings import note_charset
from mappings.charsets import decode
from mappings.contracts import FormatError, ReadContext, Reading, item_id
from mappings.hprim_medecin.chapters import Coded, Counter, read_coded
from mappings.hprim_medecin.header import read_header
from mappings.hprim_medecin.layout import RawReport, lay_out
from mappings.hprim_medecin.record import Profile
from mappings.lab_status import observations_of, overall_status
from mappings.notes import Notes
from mappings.pieces_limit import check_lines
from mappings.plain_text import has_entities, squeezed, without_controls, without_entities
from schemas.attachment import Attachment
from schemas.document import Document
from schemas.item import DocumentItem, Item, LabReportItem, Provenance
from schemas.lab import LabReport, ResultStatus

NAME = "hprim-medecin"
TEXT = "text/plain; charset=utf-8"


def read(content: bytes, context: ReadContext) -> Reading:
    """Read a file into one Item for each report.

    Options: `empty_status` (a canonical status) is what this sender means when it leaves RES-10 empty; `pivot` is the
    last two-digit year of the 2000s. Raises FormatError when no report has a whole header.
    """
    try:
        decoded = decode(content, context.charset)
    except LookupError:
        raise FormatError("hprim.charset.unknown", "", f"there is no charset named {context.charset!r}") from None
    notes = Notes()
    note_charset(decoded, context.charset, notes)
    check_lines(decoded.text.count("\n") + decoded.text.count("\r"), "hprim")
    layout = lay_out(decoded.text, decoded.line_end, notes)
    if has_entities(decoded.text):
        notes.info("hprim.text.entities", "content", "HTML entities in header, text or labels were replaced")
    profile = Profile(context.timezone, _empty_status(context))
    ranks = Counter()
    items: list[Item] = []
    for raw in layout.reports:
        item = _Report(raw, context, profile, ranks, notes).item(item_id(content, len(items)))
        if item is not None:
            items.append(item)
    for line in layout.trailer:
        notes.leave(line.where, without_controls(line.text))
    coded = any(isinstance(item, LabReportItem) for item in items)
    return Reading(
        items=tuple(items),
        findings=notes.findings,
        unread=notes.unread,
        message_type="HPRIM2" if coded else "HPRIM1",
        charset=decoded.charset,
    )


def _empty_status(context: ReadContext) -> ResultStatus:
    wanted = context.options.get("empty_status", ResultStatus.UNKNOWN)
    try:
        return ResultStatus(wanted)
    except ValueError:
        raise FormatError("hprim.option", "empty_status", "this option must be a canonical result status") from None


class _Report:
    def __init__(self, raw: RawReport, context: ReadContext, profile: Profile, ranks: Counter, notes: Notes) -> None:
        self.raw = raw
        self.notes = notes
        self.where = f"line {raw.first_line}"
        self.header = read_header(raw, context, notes)
        self.text = _readable(raw)
        self.coded = read_coded(raw, profile, ranks, notes, _is_in(self.text))

    def item(self, identity: str) -> Item | None:
        """Make the Item, or note why there is none."""
        if self.coded.results:
            return self._lab_report(identity)
        text = "\n".join(part for part in (self.text, self.coded.text) if part)
        if text:
            return self._document(identity, text)
        self.notes.error("hprim.report.empty", self.where, "the report has neither text nor results")
        for line in self.raw.header:
            self.notes.leave(line.where, without_controls(line.text))
        return None

    def _lab_report(self, identity: str) -> LabReportItem:
        header, coded = self.header, self.coded
        status = overall_status(one.status for one in observations_of(coded.chapters))
        return LabReportItem(
            id=identity,
            occurred_at=header.date,
            replaces=header.report_id if status is ResultStatus.CORRECTED else None,
            patient=header.patient,
            sender=header.sender,
            recipients=(header.recipient,) if header.recipient else (),
            content=self._content(status, coded),
            source=Provenance(format=NAME, where=self.where),
        )

    def _content(self, status: ResultStatus, coded: Coded) -> LabReport:
        header = self.header
        return LabReport(
            report_id=header.report_id,
            status=status,
            collected_at=header.date,
            issued_at=header.date,
            laboratory=header.sender,
            clinical_information=coded.clinical_information,
            conclusion=coded.conclusion,
            comment=coded.comment,
            text=self.text or coded.text or None,
            chapters=coded.chapters,
        )

    def _document(self, identity: str, text: str) -> DocumentItem:
        header, data = self.header, text.encode()
        attachment = Attachment(media_type=TEXT, size=len(data), data=base64.b64encode(data).decode())
        return DocumentItem(
            id=identity,
            occurred_at=header.date,
            patient=header.patient,
            sender=header.sender,
            recipients=(header.recipient,) if header.recipient else (),
            content=Document(
                document_id=header.report_id,
                report_id=header.report_id,
                created_at=header.date,
                author_organization=header.sender,
                recipients=(header.recipient,) if header.recipient else (),
                attachments=(attachment,),
            ),
            source=Provenance(format=NAME, where=self.where),
        )


def _readable(raw: RawReport) -> str:
    """Join the text lines: blanks at their end go, those at their start are a layout that is kept."""
    lines = [without_entities(without_controls(line.text)).rstrip() for line in raw.text]
    return "\n".join(lines).strip("\n")


def _is_in(text: str) -> Callable[[str], bool]:
    """Tell whether a line is in a text, whatever the blanks; a text that does not exist holds every line."""
    lines = frozenset(squeezed(line) for line in text.split("\n"))
    return lambda line: not text or squeezed(line) in lines
