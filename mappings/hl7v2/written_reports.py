"""A laboratory report as ORU^R01 (HL7 2.5, French conventions).

One OBR a chapter, all with the report's numbers, so that they are read as one report again. What ORU has no field for
and people should still see (conclusion, the readable text, earlier results) is said in NTE (`remarks`); what cannot be
said at all is a Finding.
"""

from __future__ import annotations

from mappings.contracts import WriteContext
from mappings.hl7v2.lab_reports import CHAPTER_PATH, REPORT_TYPE
from mappings.hl7v2.pen import Pen
from mappings.hl7v2.remarks import CONCLUSION, REPORT_COMMENT, REPORT_TEXT
from mappings.hl7v2.statuses import TO_ORDER
from mappings.hl7v2.times import stamp
from mappings.hl7v2.written_files import encapsulated
from mappings.hl7v2.written_patient import write_msh, write_pid
from mappings.hl7v2.written_types import ce, cnn, coding, cx, ei, xcn, xon
from mappings.hl7v2.written_values import write_note, write_observation
from schemas.attachment import Attachment
from schemas.coding import LOINC, Coding, Identifier
from schemas.finding import Severity
from schemas.item import LabReportItem
from schemas.lab import LabChapter, LabReport, ParentResult, ResultStatus, Specimen

REPORT_NAME = "CR d'examens biologiques"
_NAMELESS = Coding(system=LOINC, code=REPORT_TYPE, display=REPORT_NAME)


def write_report(pen: Pen, item: LabReportItem, context: WriteContext) -> None:
    """Write the message of one report."""
    report = item.content
    visit = report.visit
    write_msh(pen, item, context, "ORU^R01^ORU_R01", "2.5")
    write_pid(pen, item.patient, visit if visit is not None and visit.type == "AN" else None)
    if visit is not None and visit.type != "AN":
        pen.begin("PV1")
        pen.segment("PV1", {1: "1", 2: "U", 19: cx(pen, visit, "VN")})
    _Orders(pen, item).write()
    _note_losses(pen, item)


class _Orders:
    """Writes the OBR of a report, counting them."""

    def __init__(self, pen: Pen, item: LabReportItem) -> None:
        self.pen = pen
        self.item = item
        self.report: LabReport = item.content
        self.count = 0
        self.specimens = {specimen.id: specimen for specimen in self.report.specimens}
        self.linked: set[str] = set()

    def write(self) -> None:
        for rank, chapter in enumerate(self.report.chapters, start=1):
            self._chapter(chapter, str(rank), nested=False)
        if not self.count:
            self._chapter(LabChapter(), "1", nested=False)
        rest = [specimen for key, specimen in self.specimens.items() if key not in self.linked]
        if rest:
            # An order of its own, without results: an SPM among results would claim to be theirs.
            self._order(LabChapter(), "")
            for rank, specimen in enumerate(rest, start=1):
                self._specimen(rank, specimen)

    def _chapter(self, chapter: LabChapter, path: str, *, nested: bool) -> None:
        said = nested or bool(chapter.chapters)
        first = not self.count
        self._order(chapter, CHAPTER_PATH + path if said else "")
        pen, report = self.pen, self.report
        write_note(pen, chapter.comment)
        if first:
            write_note(pen, report.comment, REPORT_COMMENT)
            write_note(pen, report.conclusion, CONCLUSION)
            write_note(pen, report.text, REPORT_TEXT)
        number = 1
        for observation in chapter.observations:
            number = write_observation(pen, number, observation, report.laboratory)
        if first:
            for attachment in report.attachments:
                number = self._attachment(number, attachment)
        self._specimen_of(chapter)
        for rank, inner in enumerate(chapter.chapters, start=1):
            self._chapter(inner, f"{path}.{rank}", nested=True)

    def _order(self, chapter: LabChapter, path: str) -> None:
        pen, report = self.pen, self.report
        self.count += 1
        placer = ei(pen, report.order_id, report.order_authority)
        filler = ei(pen, report.report_id, report.report_authority)
        pen.begin("ORC")
        prescriber = report.prescriber
        pen.segment(
            "ORC",
            {1: "RE", 2: placer, 3: filler, 21: xon(pen, prescriber.organization) if prescriber is not None else ""},
        )
        pen.begin("OBR")
        copies = (
            [xcn(pen, one.professional) for one in self.item.recipients if one.professional] if self.count == 1 else []
        )
        pen.segment(
            "OBR",
            {
                1: str(self.count),
                2: placer,
                3: filler,
                4: self._name(chapter),
                7: stamp(report.collected_at) if report.collected_at else "",
                8: stamp(report.collected_until) if report.collected_until else "",
                13: pen.text(report.clinical_information),
                14: stamp(report.received_at) if report.received_at else "",
                16: xcn(pen, prescriber, with_place=True),
                20: path,
                22: stamp(report.issued_at) if report.issued_at else "",
                24: pen.text(chapter.section),
                25: self._status(chapter),
                26: self._parent(chapter.parent),
                28: "~".join(copies),
                32: cnn(pen, report.validated_by),
            },
        )

    def _name(self, chapter: LabChapter) -> str:
        pen = self.pen
        if not (chapter.codes or chapter.title):
            title = self.report.title or REPORT_NAME
            return ce(pen, (_NAMELESS.model_copy(update={"display": title}),))
        if len(chapter.codes) > 2:
            pen.lost("a third code of a chapter")
        if chapter.codes and chapter.title and chapter.title != chapter.codes[0].display:
            first = chapter.codes[0].model_copy(update={"display": chapter.title})
            return ce(pen, (first, *chapter.codes[1:]))
        return ce(pen, chapter.codes, chapter.title)

    def _status(self, chapter: LabChapter) -> str:
        status = chapter.status or self.report.status
        if status in (ResultStatus.AMENDED, ResultStatus.ENTERED_IN_ERROR):
            self.pen.note(Severity.WARNING, "hl7v2.write.status", "OBR-25 has no such status; a near one was written")
        return TO_ORDER[status]

    def _parent(self, parent: ParentResult | None) -> str:
        if parent is None:
            return ""
        pen = self.pen
        code = coding(pen, parent.code).replace("^", "&")
        return pen.components((code, pen.text(parent.sub_id), pen.text(parent.text)))

    def _specimen_of(self, chapter: LabChapter) -> None:
        """Write the specimen of a chapter after its results, when it is that of all of them."""
        named = {observation.specimen for observation in chapter.observations}
        if named in (set(), {None}):
            return
        (one, *others) = named
        specimen = self.specimens.get(one or "")
        if others or specimen is None:
            self.pen.lost("which result was measured in which specimen")
            return
        self.linked.add(specimen.id)
        self._specimen(1, specimen)

    def _specimen(self, number: int, specimen: Specimen) -> None:
        pen = self.pen
        pen.begin("SPM")
        pen.segment(
            "SPM",
            {
                1: str(number),
                2: self._specimen_id(specimen.identifiers),
                4: coding(pen, specimen.type),
                7: coding(pen, specimen.method),
                8: coding(pen, specimen.site),
                14: pen.text(specimen.text),
                17: stamp(specimen.collected_at) if specimen.collected_at else "",
                18: stamp(specimen.received_at) if specimen.received_at else "",
                24: pen.components(("", pen.text(specimen.condition))),
            },
        )

    def _specimen_id(self, identifiers: tuple[Identifier, ...]) -> str:
        pen = self.pen
        parts = ["", ""]
        for identifier in identifiers:
            at = 0 if identifier.type == "PLAC" else 1
            if parts[at]:
                pen.lost("a further number of a specimen")
            else:
                parts[at] = ei(pen, identifier.value, identifier.system, identifier.assigner).replace("^", "&")
        return pen.components(parts)

    def _attachment(self, number: int, attachment: Attachment) -> int:
        """Write a file as an OBX of type ED; one whose bytes are not at hand is a Finding."""
        pen = self.pen
        pen.begin("OBX")
        file = encapsulated(pen, attachment)
        if file is None:
            return number
        title = attachment.title or attachment.filename or REPORT_NAME
        pen.segment(
            "OBX",
            {
                1: str(number),
                2: "ED",
                3: ce(pen, (_NAMELESS.model_copy(update={"display": title}),)),
                5: file,
                11: "F",
            },
        )
        if attachment.filename and attachment.filename != title:
            pen.lost("the file name of an attachment")
        return number + 1


def _note_losses(pen: Pen, item: LabReportItem) -> None:
    """Say what of the report has no place in ORU."""
    report = item.content
    pen.about("OBR")
    titled = any(not (chapter.title or chapter.codes) for chapter in report.chapters)
    if report.title and report.chapters and not titled:
        pen.lost("the title of the report")
    if any(code.code != REPORT_TYPE for code in report.codes):
        pen.lost("the code of the report")
    if any(recipient.professional is None for recipient in item.recipients):
        pen.lost("a recipient that is an organisation")
    if item.author is not None:
        pen.lost("the author of the item")
    if item.replaces is not None and item.replaces != report.report_id:
        pen.lost("the number of the report that this one replaces")
    if item.patient.birth_date_corrected is not None:
        pen.lost("whether the birth date was corrected")
