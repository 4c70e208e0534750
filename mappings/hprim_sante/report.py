"""Orders and results (context ORU) into laboratory reports (hprim 3.8, 6.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mappings.hprim_sante.chapters import Placed, chapters_of, requested_panels, with_seconds
from mappings.hprim_sante.exchange import Exchange
from mappings.hprim_sante.parties import coding, codings, prescriber, professionals
from mappings.hprim_sante.patient import read_patient
from mappings.hprim_sante.syntax import Segment
from mappings.hprim_sante.tree import Order, Patient, Result, Tree
from mappings.hprim_sante.values import is_file, is_withdrawn, read_comment, read_file, read_observation, read_place
from mappings.lab_status import has_provisional, observations_of, overall_status
from schemas.actors import Professional, Recipient
from schemas.attachment import Attachment
from schemas.coding import Coding, Identifier
from schemas.item import LabReportItem, Provenance
from schemas.lab import LabChapter, LabReport, ResultStatus, Specimen, TextValue

NAME = "hprim-sante"
STATUSES = {
    "F": ResultStatus.FINAL,
    "M": ResultStatus.PARTIAL,
    "P": ResultStatus.PRELIMINARY,
    "R": ResultStatus.PRELIMINARY,
    "I": ResultStatus.REGISTERED,
    "O": ResultStatus.REGISTERED,
    "C": ResultStatus.CORRECTED,
    "D": ResultStatus.CANCELLED,
    "X": ResultStatus.CANCELLED,
}
REPORT_TEXT, CONCLUSION, CHAPTER_COMMENT = "TEXTE", "CONCLUSION", "COMMENTAIRE"
"""Codes of TX results that are the report's own text, its conclusion, a chapter's comment: ours when we write, and
laboratories' for the first."""
DOCTOR, COPY, RECEIVER = "doctor", "copy", "receiver"
"""Roles of recipients: P.13, OBR.28, H.9."""


def read_reports(tree: Tree, exchange: Exchange) -> Iterator[tuple[LabReportItem, bool]]:
    """Read the reports of a message, each with whether its patient is there: without a P nobody may have it.

    Item identities are left empty: the caller knows which Item of the file it is.
    """
    for group in _people(tree.patients):
        for orders in _by_report(group):
            yield _Report(group, orders, exchange).item(), group.p is not None


def _people(patients: list[Patient]) -> list[Patient]:
    """Put together the P that are the same patient sent several times: same numbers, name and birth date."""
    groups: dict[tuple[str, ...], Patient] = {}
    for number, patient in enumerate(patients):
        p = patient.p
        key = tuple(p.raw(at) for at in (2, 3, 4, 5, 6, 7, 8, 11)) if p else (str(number),)
        known = groups.get(key)
        if known is None:
            groups[key] = patient
        else:
            known.comments += patient.comments
            known.insurances += patient.insurances
            known.orders += patient.orders
            if p:
                p.used |= set(range(len(p.fields)))
    return list(groups.values())


def _by_report(patient: Patient) -> list[list[Order]]:
    """Put together the OBR of one report, one for each panel: they share OBR.3.2."""
    groups: dict[str, list[Order]] = {}
    for order in patient.orders:
        key = _report_id(order) or f"\0{order.where}"
        groups.setdefault(key, []).append(order)
    return list(groups.values())


def _report_id(order: Order) -> str:
    """Give OBR.3.2, else OBR.3.1, else OBR.2.2 (hprim 3.8)."""
    if order.obr is None:
        return ""
    sample, report = order.obr.components(3, 2)
    return report or sample or order.obr.components(2, 2)[1]


@dataclass(slots=True)
class _Gathered:
    """What the orders of one report add up to."""

    codes: list[Coding] = field(default_factory=list)
    statuses: list[ResultStatus] = field(default_factory=list)
    specimens: list[Specimen] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    copies: list[Professional] = field(default_factory=list)
    clinical: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    conclusions: list[str] = field(default_factory=list)
    collected: list[str] = field(default_factory=list)
    until: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)
    order_ids: list[str] = field(default_factory=list)
    prescribers: list[Professional] = field(default_factory=list)
    validators: list[Professional] = field(default_factory=list)


class _Report:
    def __init__(self, patient: Patient, orders: list[Order], exchange: Exchange) -> None:
        self.patient = patient
        self.orders = orders
        self.exchange = exchange
        self.notes = exchange.notes
        self.sum = _Gathered()

    def item(self) -> LabReportItem:
        exchange, gathered = self.exchange, self.sum
        person = read_patient(self.patient, exchange)
        if comment := read_comment(self.patient.comments):
            gathered.comments.append(comment)
        for order in self.orders:
            self._order(order)
        chapters = chapters_of(with_seconds(gathered.placed), requested_panels(gathered.codes))
        status = self._status(chapters)
        report_id = next((key for key in map(_report_id, self.orders) if key), None)
        if report_id is None:
            self.notes.warning(
                "hprim.report.no_identity", self.orders[0].where, "neither OBR.3 nor OBR.2 names the report"
            )
        corrections = {ResultStatus.CORRECTED, ResultStatus.ENTERED_IN_ERROR}
        corrected = status is ResultStatus.CORRECTED or any(
            one.status in corrections for one in observations_of(chapters)
        )
        content = self._content(report_id, status, chapters, person.visit)
        return LabReportItem(
            id="",
            occurred_at=content.collected_at or content.issued_at,
            replaces=report_id if corrected else None,
            patient=person.identity,
            sender=exchange.sender,
            recipients=self._recipients(),
            content=content,
            source=Provenance(format=NAME, where=self.orders[0].where),
        )

    def _content(
        self, report_id: str | None, status: ResultStatus, chapters: tuple[LabChapter, ...], visit: Identifier | None
    ) -> LabReport:
        gathered, exchange = self.sum, self.exchange
        issued = [one.issued_at for one in observations_of(chapters) if one.issued_at]
        return LabReport(
            report_id=report_id,
            order_id=next(iter(gathered.order_ids), None),
            status=status,
            codes=tuple(dict.fromkeys(gathered.codes)),
            collected_at=min(gathered.collected, default=None),
            collected_until=max(gathered.until, default=None),
            received_at=min(gathered.received, default=None),
            issued_at=max(gathered.reported or issued, default=exchange.sent_at),
            laboratory=exchange.sender,
            prescriber=next(iter(gathered.prescribers), None),
            validated_by=next(iter(gathered.validators), None),
            visit=visit,
            clinical_information="\n".join(dict.fromkeys(gathered.clinical)) or None,
            conclusion="\n".join(gathered.conclusions) or None,
            comment="\n".join(gathered.comments) or None,
            text="\n".join(gathered.texts) or None,
            specimens=tuple(gathered.specimens),
            chapters=chapters,
            attachments=tuple(gathered.attachments),
        )

    def _recipients(self) -> tuple[Recipient, ...]:
        found = [Recipient(organization=self.exchange.receiver, role=RECEIVER)] if self.exchange.receiver else []
        if self.patient.p is not None:
            doctors = professionals(self.patient.p, 13, self.notes)
            found += [Recipient(professional=one, role=DOCTOR) for one in doctors]
        found += [Recipient(professional=one, role=COPY) for one in self.sum.copies]
        return tuple(dict.fromkeys(found))

    def _status(self, chapters: tuple[LabChapter, ...]) -> ResultStatus:
        """Give OBR.25 its word; a final report that holds provisional results is partial (hprim 6.4).

        Without OBR.25 the results tell, but not that the report is final: nobody said that it is complete.
        """
        results = [one.status for one in observations_of(chapters)]
        if not self.sum.statuses:
            derived = overall_status(results)
            return ResultStatus.UNKNOWN if derived is ResultStatus.FINAL else derived
        told = overall_status(self.sum.statuses)
        if told is ResultStatus.FINAL and has_provisional(results):
            message = "the report is said to be final and holds provisional results: it is partial"
            self.notes.info("hprim.report.partial", self.orders[0].where, message)
            return ResultStatus.PARTIAL
        return told

    def _order(self, order: Order) -> None:
        obr, gathered = order.obr, self.sum
        specimen = self._obr(obr) if obr else None
        if comment := read_comment(order.comments):
            gathered.comments.append(comment)
        section = (obr.text_of(24) or None) if obr else None
        for result in order.results:
            self._result(result, section, specimen)

    def _obr(self, obr: Segment) -> str | None:
        """Read an OBR into the sum; give the id of its specimen."""
        gathered, exchange = self.sum, self.exchange
        for repetition in obr.repetitions(4):
            gathered.codes += codings(obr, repetition)
        self._obr_status(obr)
        if order_id := obr.components(2, 2)[1]:
            gathered.order_ids.append(order_id)
        collected = self._collection(obr)
        received, reported = exchange.stamp(obr, 14), exchange.stamp(obr, 22)
        gathered.received += [received] if received else []
        gathered.reported += [reported] if reported else []
        reasons = [" ".join(part for part in obr.parts(one, 2) if part) for one in obr.repetitions(31)]
        gathered.clinical += [text for text in (obr.text_of(13), *reasons) if text]
        who = prescriber(obr, self.notes)
        gathered.prescribers += [who] if who else []
        gathered.validators += professionals(obr, 32, self.notes)
        gathered.copies += professionals(obr, 28, self.notes)
        return self._specimen(obr, collected, received)

    def _obr_status(self, obr: Segment) -> None:
        letter = obr.text_of(25).upper()
        if not letter:
            return
        known = STATUSES.get(letter)
        if known is None:
            self.notes.warning("hprim.status.unknown", obr.where(25), "the status is none of the recommendation")
            self.notes.leave(obr.where(25), letter)
        self.sum.statuses.append(known or ResultStatus.UNKNOWN)

    def _collection(self, obr: Segment) -> str | None:
        """Read OBR.7, whose second repetition is the end of collection, else OBR.8."""
        times = [self.exchange.stamp(obr, 7, obr.delimiters.plain(one)) for one in obr.repetitions(7)[:2]]
        start = times[0] if times else None
        end = times[1] if len(times) > 1 else self.exchange.stamp(obr, 8)
        if len(times) > 1:
            self.notes.leave(obr.where(8), obr.text_of(8))
        self.sum.collected += [start] if start else []
        self.sum.until += [end] if end else []
        return start

    def _specimen(self, obr: Segment, collected: str | None, received: str | None) -> str | None:
        """Read OBR.15 (code & label & system ~ text ~ text) and the sample numbers of OBR.2 and OBR.3."""
        whole = next(iter(obr.repetitions(15)), "")
        delimiters = obr.delimiters
        first = next(iter(delimiters.split(whole, delimiters.component)), "")
        code, label, system = (
            [delimiters.plain(one).strip() for one in delimiters.split(first, delimiters.sub)] + ["", "", ""]
        )[:3]
        text = " ".join(part for part in obr.parts(whole, 3)[1:] if part)
        if not code and label:
            text = " ".join(part for part in (label, text) if part)
        samples = (
            ("PLAC", obr.components(2, 2)[0], self.exchange.requester),
            ("FILL", self._lab_sample(obr), self.exchange.laboratory),
        )
        identifiers = tuple(self.exchange.assigned(value, kind, by) for kind, value, by in samples if value)
        if not (code or text or identifiers):
            return None
        specimen = Specimen(
            id="",
            identifiers=identifiers,
            type=coding(code, label, system) if code else None,
            text=text or None,
            collected_at=collected,
            received_at=received,
        )
        for known in self.sum.specimens:
            if known.model_copy(update={"id": ""}) == specimen:
                return known.id
        number = str(len(self.sum.specimens) + 1)
        self.sum.specimens.append(specimen.model_copy(update={"id": number}))
        return number

    def _lab_sample(self, obr: Segment) -> str:
        """Give OBR.3.1, unless it has to stand for the report's own number."""
        sample, report = obr.components(3, 2)
        return sample if report else ""

    def _result(self, result: Result, section: str | None, specimen: str | None) -> None:
        if is_file(result.obx):
            if not is_withdrawn(result.obx, self.exchange):
                self.sum.attachments.append(read_file(result.obx, self.exchange))
            if (comment := read_comment(result.comments)) is not None:
                self.sum.comments.append(comment)
            return
        place = read_place(result.obx)
        observation = read_observation(result, self.exchange, specimen)
        code = observation.codes[0].code if observation.codes else ""
        if isinstance(observation.value, TextValue) and observation.unit is None and result.obx.text_of(2) == "TX":
            text = observation.value.text
            if code == REPORT_TEXT:
                self.sum.texts.append(text)
                return
            if code == CONCLUSION:
                self.sum.conclusions.append(text)
                return
            if code == CHAPTER_COMMENT:
                self.sum.placed.append(Placed(place, section, comment=text))
                return
        self.sum.placed.append(Placed(place, section, observation))
