"""A laboratory report into HPRIM Santé, context ORU (hprim 6.5)."""

from __future__ import annotations

import base64
import binascii
import re
from zoneinfo import ZoneInfo

from mappings.authority import authority_of
from mappings.carried import note_lost
from mappings.contracts import Environment, FormatError, Rendition, WriteContext, WriteRefused
from mappings.french_time import write_stamp
from mappings.hprim_sante.identity import patient_fields
from mappings.hprim_sante.pen import Pen
from mappings.hprim_sante.report import CONCLUSION, COPY, DOCTOR, REPORT_TEXT
from mappings.hprim_sante.results import Results
from mappings.hprim_sante.sections import Printed, Run, laid_flat, runs_of
from mappings.hprim_sante.strokes import written_code, written_person, written_place
from mappings.notes import Notes
from mappings.safe_names import extension_of, short_digest
from schemas.actors import Address, Organization, Recipient
from schemas.attachment import Attachment
from schemas.item import Item, LabReportItem
from schemas.lab import LabReport, ResultStatus, Specimen

MEDIA_TYPE = "application/x-hprim-sante"
NAME = "HPRIM Santé"
STATUSES = {
    ResultStatus.FINAL: "F",
    ResultStatus.PARTIAL: "M",
    ResultStatus.PRELIMINARY: "P",
    ResultStatus.REGISTERED: "I",
    ResultStatus.CORRECTED: "C",
    ResultStatus.AMENDED: "C",
    ResultStatus.CANCELLED: "X",
    ResultStatus.ENTERED_IN_ERROR: "X",
}
LOST = {
    "author": "an author",
    "report.title": "a title",
    "chapter.status": "the status of a chapter",
    "chapter.parent": "the result that a chapter details",
    "observation.effective_at": "the time at which each result was true: OBX.14 is when it was obtained",
    "observation.method": "methods",
    "observation.previous": "earlier results",
    "observation.performer": "who made each result",
}

_EIGHT_THREE = re.compile(r"[A-Z0-9]{1,8}\.[A-Z0-9]{1,3}")
_VERSION = re.compile(r"H?2\.([0-5])")


def write(item: Item, context: WriteContext) -> Rendition:
    """Write a report as one ORU message.

    Options: `version` (2.0 to 2.5; 2.2 by default), `link` (C, L or R, the second part of H.12), and those of `Pen`.
    Raises WriteRefused for another kind of Item, FormatError for an option that does not exist.
    """
    if not isinstance(item, LabReportItem):
        raise WriteRefused("hprim.kind", "kind", f"{NAME} carries laboratory reports here, not {item.kind}")
    return _Message(item, context).rendition()


class _Message:
    def __init__(self, item: LabReportItem, context: WriteContext) -> None:
        self.item = item
        self.report: LabReport = item.content
        self.context = context
        self.zone: ZoneInfo = context.timezone
        self.notes = Notes()
        self.pen = Pen(context, self.notes)
        self.minor = _minor(context)
        self.sender = item.sender or self.report.laboratory
        self.addressee = _addressee(item.recipients)
        name = context.identity.upper()
        self.filename = name if _EIGHT_THREE.fullmatch(name) else f"{short_digest(context.identity)}.HPR"

    def rendition(self) -> Rendition:
        note_lost(self.item, LOST, NAME, self.notes)
        self._header()
        fields = patient_fields(self.item, self.pen, self.minor, self.zone, authority_of(self.sender))
        self.pen.segment("P", {1: "1", 13: self._people(DOCTOR), **fields})
        flat = laid_flat(self.report.chapters)
        runs = self._runs(flat)
        requested = self._requested(flat)
        results = Results(self.pen, self.zone)
        for number, run in enumerate(runs, 1):
            self._order(number, run, requested)
            if number == 1:
                self._comments(self.report.comment)
            results.begin()
            for one in run.printed:
                results.add(one)
        results.add_text(CONCLUSION, "Conclusion", self.report.conclusion)
        results.add_text(REPORT_TEXT, "Compte rendu", self.report.text)
        files = self._files(results)
        self.pen.segment("L", {1: "1", 3: "1", 4: str(len(self.pen.segments))})
        return Rendition(self.pen.content(), MEDIA_TYPE, self.filename, self.notes.findings, files)

    def _header(self) -> None:
        test = self.context.environment is Environment.TEST
        link = self.context.options.get("link", "C")
        if link not in {"C", "L", "R", ""}:
            raise FormatError("hprim.option", "link", "this option is one of C, L, R")
        receiver = self._receiver()
        for number, written in ((4, self.sender), (9, receiver)):
            if not written:
                message = "sender or receiver is not known: partners need it"
                self.notes.warning("hprim.write.missing", f"H.{number}", message)
        pen = self.pen
        pen.segment(
            "H",
            {
                1: pen.delimiters.all[1:],
                2: self.filename,
                4: self._organization(self.sender),
                5: self._address(self.sender.address if self.sender else None),
                6: "ORU",
                7: pen.repeated(pen.text(one.value, "H.7") for one in (self.sender.telecoms if self.sender else ())),
                9: receiver,
                11: "T" if test else "P",
                12: pen.components((f"H2.{self.minor}", link), "H.12"),
                13: self.context.now.astimezone(self.zone).strftime("%Y%m%d%H%M%S"),
            },
        )

    def _organization(self, who: Organization | None) -> str:
        if who is None:
            return ""
        code = next((one.value for one in who.identifiers), None)
        return self.pen.components((code, who.name), "H.4")

    def _address(self, place: Address | None) -> str:
        return written_place(self.pen, place, "H.5") if place else ""

    def _receiver(self) -> str:
        if self.addressee is None:
            return ""
        if self.addressee.organization is not None:
            return self._organization(self.addressee.organization)
        who = self.addressee.professional
        names = written_person(self.pen, who, "H.9", flat=True) if who else ""
        return self.pen.delimiters.component.join(names.split(self.pen.delimiters.component)[:2])

    def _people(self, role: str) -> str:
        """Write P.13 (recipients read there) or OBR.28 (all other people but the one of H.9)."""
        others = [one for one in self.item.recipients if one is not self.addressee]
        if role == COPY and any(one.professional is None for one in others):
            message = f"{NAME} names one organisation as receiver, and people for copies"
            self.notes.warning("hprim.write.not_carried", "recipients", message)
        people = [one.professional for one in others if one.professional and (one.role == DOCTOR) == (role == DOCTOR)]
        where = "P.13" if role == DOCTOR else "OBR.28"
        return self.pen.repeated(written_person(self.pen, one, where) for one in people)

    def _runs(self, flat: list[Printed]) -> list[Run]:
        """Give the OBR to write: the runs of results, and one for each specimen that no result names."""
        runs = runs_of(flat)
        named = {run.specimen for run in runs}
        unnamed = [Run(one.id, None, []) for one in self.report.specimens if one.id not in named]
        return [*runs, *unnamed] or [Run(None, None, [])]

    def _requested(self, flat: list[Printed]) -> str:
        """Write OBR.4: the codes of the report, panels, and results when there is nothing else (it is required)."""
        codes = [*self.report.codes, *(one.panel for one in flat if one.panel)]
        if not codes:
            codes = [one.observation.codes[0] for one in flat if one.observation and one.observation.codes]
        unique = {(one.system, one.code, one.display): one for one in codes}
        return self.pen.repeated(self.pen.components(written_code(one), "OBR.4") for one in unique.values())

    def _order(self, number: int, run: Run, requested: str) -> None:
        report, pen = self.report, self.pen
        specimen = next((one for one in report.specimens if one.id == run.specimen), None)
        samples = {one.type: one.value for one in (specimen.identifiers if specimen else ())}
        report_id = report.report_id
        if report_id is None:
            self.notes.warning("hprim.write.missing", "OBR.3", "the report has no number: partners need it")
        pen.segment(
            "OBR",
            {
                1: str(number),
                2: pen.components((samples.get("PLAC"), report.order_id), "OBR.2"),
                3: pen.components((samples.get("FILL"), report_id), "OBR.3"),
                4: requested,
                7: self._collection(specimen),
                13: pen.text(report.clinical_information, "OBR.13"),
                14: self._stamp((specimen.received_at if specimen else None) or report.received_at),
                15: self._specimen(specimen),
                16: self._prescriber(),
                17: self._telephones(),
                22: self._stamp(report.issued_at),
                24: pen.text(run.section, "OBR.24"),
                25: self._status(),
                28: self._people(COPY),
                32: written_person(pen, report.validated_by, "OBR.32") if report.validated_by else "",
            },
        )

    def _collection(self, specimen: Specimen | None) -> str:
        start = self._stamp((specimen.collected_at if specimen else None) or self.report.collected_at)
        end = self._stamp(self.report.collected_until)
        return f"{start}{self.pen.delimiters.repeat}{end}" if end else start

    def _stamp(self, moment: str | None) -> str:
        return write_stamp(moment, self.zone) if moment else ""

    def _specimen(self, specimen: Specimen | None) -> str:
        if specimen is None:
            return ""
        if specimen.site or specimen.method or specimen.condition:
            message = f"{NAME} cannot carry site, method and condition"
            self.notes.warning("hprim.write.not_carried", "specimens", message)
        cells = written_code(specimen.type) if specimen.type else ()
        texts = [self.pen.text(text, "OBR.15") for text in cells]
        kind = self.pen.delimiters.sub.join(texts).rstrip(self.pen.delimiters.sub)
        text = self.pen.text(specimen.text, "OBR.15")
        return f"{kind}{self.pen.delimiters.component}{text}" if text else kind

    def _prescriber(self) -> str:
        who = self.report.prescriber
        if who is None:
            return ""
        person = written_person(self.pen, who, "OBR.16", flat=True)
        ward = who.organization
        if ward is None:
            return person
        code = next((one.value for one in ward.identifiers), None)
        place = self.pen.components((code, ward.name), "OBR.16")
        separator = self.pen.delimiters.component
        return person + separator * (3 - person.count(separator)) + place

    def _telephones(self) -> str:
        who = self.report.prescriber
        return self.pen.repeated(self.pen.text(one.value, "OBR.17") for one in (who.telecoms if who else ()))

    def _status(self) -> str:
        if self.report.status in {ResultStatus.ENTERED_IN_ERROR, ResultStatus.AMENDED}:
            self.notes.info("hprim.write.status", "OBR.25", f"status {self.report.status} is written as its nearest")
        return STATUSES.get(self.report.status, "")

    def _comments(self, text: str | None) -> None:
        if text:
            self.pen.segment("C", {1: "1", 2: "L", 3: self.pen.lines(text, "C.3")})

    def _files(self, results: Results) -> dict[str, bytes]:
        """Write an OBX FIC for each attachment whose bytes are there; they travel beside under names of their own."""
        files: dict[str, bytes] = {}
        emitter = next((one.value for one in self.sender.identifiers), None) if self.sender else None
        for number, attachment in enumerate(self.report.attachments, 1):
            content = _content(attachment)
            if content is None:
                where = f"attachments[{number}]"
                self.notes.error("hprim.write.attachment_missing", where, "the bytes of the attachment are not at hand")
                continue
            extension = extension_of(attachment.media_type, attachment.filename).upper()
            name = f"{self.filename.partition('.')[0][:6]}{number:02d}.{extension}"
            files[name] = content
            results.add_file(attachment.title, (emitter, name, extension))
        return files


def _addressee(recipients: tuple[Recipient, ...]) -> Recipient | None:
    """Choose whom H.9 names: the first organisation, else the first person who is neither doctor nor copy."""
    organisations = (one for one in recipients if one.organization)
    people = (one for one in recipients if one.professional and one.role not in {DOCTOR, COPY})
    return next(organisations, None) or next(people, None)


def _content(attachment: Attachment) -> bytes | None:
    if attachment.data is None:
        return None
    try:
        return base64.b64decode(attachment.data, validate=True)
    except binascii.Error:
        return None


def _minor(context: WriteContext) -> int:
    wanted = _VERSION.fullmatch(context.options.get("version", "2.2"))
    if wanted is None:
        raise FormatError("hprim.option", "version", "this option is from 2.0 to 2.5")
    return int(wanted[1])
