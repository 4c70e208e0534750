"""Read HL7v2 messages into Items."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from mappings.contracts import Environment, ReadContext, Reading, item_id
from mappings.hl7v2.carried_cda import reported
from mappings.hl7v2.datatypes import organization_of_authority
from mappings.hl7v2.documents import is_document, read_document
from mappings.hl7v2.er7 import Segment, parse, split
from mappings.hl7v2.groups import Order, PatientGroup, group
from mappings.hl7v2.header import VERSIONS
from mappings.hl7v2.identities import people_of, read_events
from mappings.hl7v2.lab_reports import by_report, read_report
from mappings.hl7v2.notebook import Notebook, Remarks
from mappings.hl7v2.patient import patient_of
from mappings.hl7v2.receipts import read_acknowledgement, read_receipts
from mappings.hl7v2.statuses import REVISING
from mappings.hl7v2.stays import read_stay
from mappings.hl7v2.triggers import Trigger, message_types, trigger_of
from mappings.hl7v2.unread import UNREADABLE, UPDATES, USES, unread_of
from schemas.actors import Organization
from schemas.document import DocumentOperation
from schemas.finding import Finding, Severity, Unread
from schemas.identity import PatientIdentity
from schemas.item import DocumentItem, IdentityItem, Item, ItemKind, LabReportItem, Provenance, ReceiptItem, StayItem
from schemas.receipt import Receipt

_TESTS = {"T": True, "D": True, "P": False}
_ANNOUNCED = re.compile(rb"[\r\n]BTS[^\w\s](\d{1,9})")


def read(content: bytes, context: ReadContext) -> Reading:
    """Read one message, or every message of a batch. Raises FormatError when there is no MSH at all."""
    pieces = split(content)
    if len(pieces) == 1:
        return read_message(pieces[0], context)
    readings = [read_message(piece, context) for piece in pieces]
    first = readings[0]
    several = Finding(
        severity=Severity.INFO,
        code="hl7v2.batch",
        where="MSH",
        message=f"the content holds {len(pieces)} messages; positions count from the beginning of each",
    )
    announced = [int(count) for count in _ANNOUNCED.findall(content)]
    miscounted: tuple[Finding, ...] = ()
    if announced and sum(announced) != len(pieces):
        said = f"the batch announces {sum(announced)} messages and holds {len(pieces)}"
        miscounted = (Finding(severity=Severity.WARNING, code="hl7v2.batch.count", where="BTS-1", message=said),)
    return Reading(
        items=tuple(item for reading in readings for item in reading.items),
        findings=(several, *miscounted, *(finding for reading in readings for finding in reading.findings)),
        unread=tuple(unread for reading in readings for unread in reading.unread),
        control_id=first.control_id,
        message_type=first.message_type,
        charset=first.charset,
        test=first.test,
    )


def read_message(content: bytes, context: ReadContext) -> Reading:
    """Read one message."""
    message = parse(content, context.charset)
    notes = Notebook(message, context)
    msh = message.header
    kind, event = _message_type(notes, msh)
    trigger = trigger_of(kind, event)
    maker = _Maker(notes, content)
    uses = UNREADABLE
    if trigger is None and kind == "ACK":
        uses = USES[ItemKind.RECEIPT]
        _make_receipts(maker, read_acknowledgement(notes))
    elif trigger is None:
        where = msh.where(9, 2 if kind in message_types() else 1)
        notes.error("hl7v2.message.unsupported", where, "messages of this type and event are not read here")
    else:
        uses = UPDATES if event == "A08" else USES[trigger.kind]
        _READERS[trigger.kind](notes, maker, trigger)
    _note_header(notes, msh)
    if message.escapes:
        _note_escapes(notes)
    return Reading(
        items=tuple(maker.items),
        findings=tuple(dict.fromkeys(notes.findings)) if notes.findings else (),
        unread=(*unread_of(notes, uses), *maker.unread) if maker.unread else unread_of(notes, uses),
        control_id=maker.control_id or None,
        message_type=f"{kind}^{event}" if event else kind or None,
        charset=message.syntax.codec,
        test=_TESTS.get(msh.code(11)),
    )


class _Maker:
    """Makes the Items of one message: their ids, sender and provenance."""

    __slots__ = ("content", "control_id", "items", "notes", "sender", "unread")

    def __init__(self, notes: Notebook, content: bytes) -> None:
        msh = notes.message.header
        self.notes = notes
        self.content = content
        self.control_id = msh.code(10)
        self.items: list[Item] = []
        self.unread: tuple[Unread, ...] = ()
        self.sender = self._sender(msh)
        if not self.control_id:
            notes.error("hl7v2.header.no_control_id", msh.where(10), "the message has no control id")

    def _sender(self, msh: Segment) -> Organization | None:
        """Read MSH-4, else MSH-3."""
        syntax = self.notes.syntax
        for n in (4, 3):
            found = organization_of_authority(msh.raw(n), syntax.component, syntax)
            if found is not None:
                return found
        return None

    def next_id(self) -> str:
        return item_id(self.content, len(self.items))

    def source(self, place: Segment | None) -> Provenance:
        where = f"MSH-10={self.control_id}"
        return Provenance(format="hl7v2", where=f"{where}, {place.where()}" if place is not None else where)


def _message_type(notes: Notebook, msh: Segment) -> tuple[str, str]:
    parts = [notes.syntax.code(part) for part in notes.syntax.components(msh.first(9))]
    kind, event = parts[0], parts[1] if len(parts) > 1 else ""
    if not event and "_" in kind:
        kind, _, event = kind.partition("_")
    if not event and kind == "ADT":
        evn = notes.message.named("EVN")
        event = evn[0].code(1) if evn else ""
    return kind, event


def _read_orders(notes: Notebook, maker: _Maker, trigger: Trigger) -> None:
    """Read ORU and MDM: one report for each filler number of each patient, one document for each order with one."""
    patients = group(notes)
    for around in patients:
        patient = _patient(notes, around)
        results: list[Order] = []
        documents: list[Order] = []
        for order in around.orders:
            if trigger.kind is ItemKind.DOCUMENT or is_document(notes, order):
                documents.append(order)
            elif not _is_request(notes, order):
                results.append(order)
        reports = by_report(notes, results) if results else []
        several = len(patients) + len(reports) + len(documents) > 2
        for orders in reports:
            _make_report(notes, maker, around, patient, orders, several=several)
        for order in documents:
            _make_document(notes, maker, around, patient, order, trigger.trigger, several=several)
        if not around.orders:
            where = around.pid.where() if around.pid is not None else "MSH"
            notes.error("hl7v2.message.empty", where, "there is no order and no result for this patient")
        if not reports:
            for nte in around.notes:
                notes.leave(nte)


def _is_request(notes: Notebook, order: Order) -> bool:
    """Recognise the ORU of teleradiology, which answers a request and holds no result (§6.4)."""
    obr = order.obr
    if obr is None or "TLR_OBR_PROCEDURE" not in obr.raw(4):
        return False
    notes.error("hl7v2.message.unsupported", obr.where(4), "a teleradiology exchange is not a result; it is not read")
    left = [obr, order.orc, *order.notes, *order.participants]
    results = list(order.results)
    for specimen in order.specimens:
        left += [specimen.spm, *specimen.notes]
        results += specimen.results
    for result in results:
        left += [result.obx, *result.notes, *result.participants]
    for segment in left:
        if segment is not None:
            notes.leave(segment)
    return True


def _make_report(
    notes: Notebook,
    maker: _Maker,
    around: PatientGroup,
    patient: PatientIdentity,
    orders: list[Order],
    *,
    several: bool,
) -> None:
    report, copies = read_report(notes, around, orders)
    revises = report.status in REVISING
    maker.items.append(
        LabReportItem(
            id=maker.next_id(),
            occurred_at=report.collected_at or report.issued_at,
            replaces=report.report_id if revises else None,
            patient=patient,
            sender=maker.sender,
            recipients=copies,
            source=maker.source(orders[0].obr if several else None),
            content=report,
        )
    )


def _make_document(
    notes: Notebook,
    maker: _Maker,
    around: PatientGroup,
    patient: PatientIdentity,
    order: Order,
    event: str,
    *,
    several: bool,
) -> None:
    """Make the Item of a document, after that of the laboratory report that its CDA is."""
    found = read_document(notes, around, order, event, patient if around.pid is not None else None)
    document = found.document
    replaced = {
        DocumentOperation.CREATE: None,
        DocumentOperation.REPLACE: document.replaces_id,
        DocumentOperation.DELETE: document.document_id,
    }
    if around.pid is None and found.carried is not None:
        patient = found.carried.patient
    source = maker.source(order.obr or order.txa if several else None)
    if found.report is not None:
        report = reported(found.report, document)
        known = {"patient": patient, "sender": maker.sender, "recipients": found.recipients, "source": source}
        maker.items.append(report.model_copy(update={**known, "id": maker.next_id()}))
    maker.unread += found.carried.unread if found.carried is not None else ()
    maker.items.append(
        DocumentItem(
            id=maker.next_id(),
            occurred_at=document.created_at,
            replaces=replaced[document.operation],
            patient=patient,
            sender=maker.sender,
            author=found.author,
            recipients=found.recipients,
            source=source,
            content=document,
        )
    )


def _read_adt(notes: Notebook, maker: _Maker, trigger: Trigger) -> None:
    """Read ADT: a stay, or identity events, or both for an A08."""
    segments = notes.message.segments
    people = people_of(notes, segments)
    if not people:
        notes.error("hl7v2.pid.missing", "PID", "the message does not say whom it is about")
        return
    patients = [patient_of(notes, person.pid, person.pd1, person.around) for person in people]
    evn = notes.message.named("EVN")
    occurred = (notes.time(evn[0], 6) or notes.time(evn[0], 2)) if evn else None
    if trigger.kind is ItemKind.STAY:
        stay = read_stay(notes, trigger, segments, maker.sender)
        start = next((movement.start for movement in stay.movements if movement.start), None)
        maker.items.append(
            StayItem(
                id=maker.next_id(),
                occurred_at=start or occurred,
                patient=patients[0],
                sender=maker.sender,
                source=maker.source(None),
                content=stay,
            )
        )
        for person in people[1:]:
            notes.leave(person.pid)
        if trigger.trigger != "A08":
            return
    events = read_events(notes, trigger, people, "patient.updated" if trigger.trigger == "A08" else None)
    for person, event in events:
        maker.items.append(
            IdentityItem(
                id=maker.next_id(),
                occurred_at=occurred,
                patient=patients[people.index(person)],
                sender=maker.sender,
                source=maker.source(person.pid if len(events) > 1 else None),
                content=event,
            )
        )


def _read_receipts(notes: Notebook, maker: _Maker, trigger: Trigger) -> None:
    """Read a ZAM."""
    _make_receipts(maker, read_receipts(notes, trigger.trigger))


def _make_receipts(maker: _Maker, receipts: list[Receipt]) -> None:
    for receipt in receipts:
        maker.items.append(
            ReceiptItem(
                id=maker.next_id(),
                occurred_at=receipt.at,
                sender=maker.sender,
                source=maker.source(None),
                content=receipt,
            )
        )


def _patient(notes: Notebook, around: PatientGroup) -> PatientIdentity:
    if around.pid is None:
        notes.error("hl7v2.pid.missing", "PID", "the message does not say whom it is about")
        return PatientIdentity()
    if around.pd1 is not None or around.around:
        return patient_of(notes, around.pid, around.pd1, around.around)
    # A patient's results come one after the other, each with the same PID: what it says was worked out before.
    key = (notes.syntax, notes.context.environment, str(notes.zone), around.pid.nth, *around.pid.fields)
    known = _PATIENTS.get(key)
    if known is not None:
        patient, remarks = known
        notes.repeat(around.pid, remarks)
        return patient
    patient, noted = notes.remarked(around.pid, partial(patient_of, notes, around.pid))
    if noted is not None:
        if len(_PATIENTS) >= REMEMBERED_PATIENTS:
            _PATIENTS.clear()
        _PATIENTS[key] = patient, noted
    return patient


REMEMBERED_PATIENTS = 2000
"""PID segments whose reading is remembered; a pure function's memory, bounded."""
_PATIENTS: dict[tuple[object, ...], tuple[PatientIdentity, Remarks]] = {}


_READERS: dict[ItemKind, Callable[[Notebook, _Maker, Trigger], None]] = {
    ItemKind.LAB_REPORT: _read_orders,
    ItemKind.DOCUMENT: _read_orders,
    ItemKind.STAY: _read_adt,
    ItemKind.IDENTITY: _read_adt,
    ItemKind.RECEIPT: _read_receipts,
}


def _note_header(notes: Notebook, msh: Segment) -> None:
    """Say what of the header should be looked at: the same things that `check_header` refuses, and continuations."""
    version = msh.code(12)
    if version and version not in VERSIONS:
        notes.warn("hl7v2.header.version", msh.where(12), "this version of HL7 is not known; it was read all the same")
    environment, test = notes.context.environment, _TESTS.get(msh.code(11))
    if environment is not None and test is not None and test is (environment is Environment.PRODUCTION):
        notes.warn("hl7v2.header.processing_id", msh.where(11), "a test message in production, or the reverse")
    last = notes.message.segments[-1]
    if last.name == "DSC" and last.code(1):
        notes.warn("hl7v2.message.continued", last.where(1), "the message goes on in another one, which is read apart")


def _note_escapes(notes: Notebook) -> None:
    """Say where decoding left something that looks like an escape as it stands."""
    syntax = notes.syntax
    for segment in notes.message.segments:
        for n, raw in enumerate(segment.fields):
            if syntax.escape in raw and not (segment.name == "MSH" and n == 2) and syntax.unknown_escapes(raw):
                notes.info("hl7v2.escape.kept", segment.where(n), "what looks like an escape is none; it is kept")
