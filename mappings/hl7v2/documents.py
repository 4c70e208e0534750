"""Documents inside ORU and MDM (ANS profile of CDA in HL7v2, fact sheet §6): the file, its wishes, its recipients.

What the sender asks is said three times (ORC-1, OBX-11, the event of an MDM); a contradiction is an error Finding.
Recipients come from PRT only, never from the CDA. A CDA completes the metadata by its own header (`carried_cda`).
"""

from __future__ import annotations

from typing import NamedTuple

from mappings.hl7v2.carried_cda import Carried, check_patient, completed
from mappings.hl7v2.datatypes import coding, coding_system, entity, interpreter
from mappings.hl7v2.document_files import read_files, take_mail, typed_text, with_name
from mappings.hl7v2.document_operation import ORDER_CONTROLS, is_french, read_operation
from mappings.hl7v2.document_people import people, read_participants
from mappings.hl7v2.document_wishes import is_meta, read_wishes
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.groups import Order, PatientGroup, Result
from mappings.hl7v2.lab_reports import visit_of
from mappings.hl7v2.notebook import Notebook
from mappings.hl7v2.syntax import NULL
from schemas.actors import Professional, Recipient
from schemas.coding import Coding
from schemas.document import Document
from schemas.identity import PatientIdentity
from schemas.item import LabReportItem

__all__ = ["DocumentReading", "is_document", "is_meta", "read_document"]

FINAL = frozenset({"AU", "LA"})
PATIENT_CLASS = "http://terminology.hl7.org/CodeSystem/v2-0004"
CLASSES = {"IMP": "I", "ACUTE": "I", "NONAC": "I", "EMER": "E", "AMB": "O"}
"""PV1-2 of the kinds of encounter that a CDA names (v3 ActCode)."""
_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
LEVELS = {letter: Coding(system=_CONFIDENTIALITY, code=code) for letter, code in (("U", "N"), ("R", "R"), ("V", "V"))}
"""TXA-18 (table 0272): usual control, restricted, very restricted."""

_ORDER_STATUSES = {"F": "final", "C": "final", "P": "preliminary", "R": "preliminary", "S": "preliminary"}
_NO_CLASS = frozenset({"", "N", "U"})
"""PV1-2 that says of no encounter what it is."""
_CAN_ONLY_BE_IN = {
    "author": ("TXA", (5, 9)),
    "created_at": ("TXA", (4, 6)),
    "legal_authenticator": ("TXA", (10, 22)),
    "encounter_type": ("PV1", (2,)),
    "period_start": ("OBR", (7,)),
    "period_end": ("OBR", (8,)),
}
"""Where the message says what a CDA knows better."""


class DocumentReading(NamedTuple):
    """A document, who sends it, and what its CDA is besides: a laboratory report, an identity."""

    document: Document
    author: Professional | None
    recipients: tuple[Recipient, ...]
    carried: Carried | None = None

    @property
    def report(self) -> LabReportItem | None:
        """The laboratory report that the CDA is."""
        return self.carried.report if self.carried is not None else None


def is_document(notes: Notebook, order: Order) -> bool:
    """Say whether an order of an ORU carries a document to be sent on, rather than results with a file."""
    profile = notes.message.header.raw(21)
    files = 0
    for result in order.results:
        if is_meta(notes, result):
            return True
        if result.obx.fields[2:3] == ["ED"]:
            files += 1
            parts = notes.syntax.components(result.obx.raw(5)[:64])
            if "CISIS_CDA" in profile or (len(parts) > 2 and parts[2].strip().upper() == "XML"):
                return True
    # Results are announced with RE; what is sent, replaced or cancelled as files alone is a document.
    alone = files > 0 and files == len(order.results)
    return alone and order.orc is not None and order.orc.code(1) in ORDER_CONTROLS


def read_document(
    notes: Notebook, patient: PatientGroup, order: Order, event: str, identity: PatientIdentity | None = None
) -> DocumentReading:
    """Read one document with its wishes and recipients.

    `event` is the trigger (`R01`, `T02`…); `identity` is who the message is about, whom a CDA must be about too.
    """
    obr, txa = order.obr, order.txa
    syntax = notes.syntax
    files, lines, texts = _parted(notes, order)
    mail = take_mail(notes, files)
    found = read_files(notes, files)
    attachments = with_name(found.attachments, txa)
    if texts and not attachments:
        attachments = (typed_text(notes, texts),)
    elif not attachments and event != "T11":
        notes.error("hl7v2.document.no_content", "OBX-5", "the message carries no document")
    french = is_french(notes, lines)
    kind, title = _type(notes, found.named, obr, txa, french=french)
    wishes, bodies = read_wishes(notes, lines)
    who = read_participants(notes, order)
    operation = read_operation(notes, order, files, event, french=french)
    order_id = entity(syntax.components(obr.first(2)), syntax) if obr is not None else None
    report_id = entity(syntax.components(obr.first(3)), syntax) if obr is not None else None
    authors = people(notes, txa, 9, 5) or _observers(notes, files)
    signatories = people(notes, txa, 22, 10) or _interpreters(notes, obr)
    document = Document(
        document_id=_document_id(notes, txa, 12),
        replaces_id=_document_id(notes, txa, 13),
        operation=operation,
        status=_status(notes, obr, txa),
        type=kind,
        title=title or (kind.display if kind else None),
        created_at=_created(notes, obr, txa),
        author=authors[0] if authors else None,
        other_authors=authors[1:],
        author_organization=who.organization,
        legal_authenticator=signatories[0] if signatories else None,
        confidentiality=_confidentiality(txa),
        order_id=order_id.value if order_id else None,
        report_id=report_id.value if report_id else None,
        visit=visit_of(notes, patient),
        encounter_type=_encounter(notes, patient),
        period_start=notes.time(obr, 7) if obr is not None else None,
        period_end=notes.time(obr, 8) if obr is not None else None,
        wishes=wishes,
        reply_to=who.reply_to,
        mail_body_professionals=bodies.get("mail_body_professionals", mail),
        mail_body_patient=bodies.get("mail_body_patient"),
        recipients=who.recipients,
        comment=_comment(notes, order),
        attachments=attachments,
    )
    carried = None
    if found.carried is not None:
        carried, obx = found.carried
        if identity is not None:
            check_patient(notes, carried, identity, obx)
        document, unused = completed(notes, document, carried.document, obx)
        if document.encounter_type is not None and CLASSES.get(document.encounter_type.code) == patient_class(patient):
            unused -= {"encounter_type"}
        _leave_unused(notes, patient, order, unused)
    sender = who.sender
    if who.organization is not None and (sender is not None or carried is not None):
        sender = (sender or Professional()).model_copy(update={"organization": who.organization})
    return DocumentReading(document, sender, who.recipients, carried)


def _parted(notes: Notebook, order: Order) -> tuple[list[Result], list[Result], list[Result]]:
    """Part files, metadata and lines of text, and report what of their segments a document has no place for."""
    files: list[Result] = []
    lines: list[Result] = []
    texts: list[Result] = []
    for result in order.results:
        obx = result.obx
        notes.leave_fields(obx, *(n for n in _RESULTS_ONLY if obx.raw(n)))
        if is_meta(notes, result):
            lines.append(result)
            continue
        for nte in result.notes:
            notes.leave(nte)
        (files if obx.code(2) == "ED" else texts).append(result)
    for result in (*files[1:], *lines, *texts):
        if result.obx.raw(16):
            notes.leave_fields(result.obx, 16)
    if files:
        for result in texts:
            notes.leave(result.obx)
    if order.obr is not None:
        notes.leave_fields(order.obr, *(n for n in _ORDERS_ONLY if order.obr.raw(n)))
    if order.orc is not None:
        notes.leave_fields(order.orc, *(n for n in (2, 3, 12, 21) if order.orc.raw(n)))
    return files, lines, texts


_RESULTS_ONLY = (4, 6, 7, 8, 13, 14, 15, 17, 19, 23, 24)
_ORDERS_ONLY = (13, 14, 15, 16, 20, 24, 26, 28, 29)


def _type(
    notes: Notebook,
    named: tuple[Coding | None, str | None],
    obr: Segment | None,
    txa: Segment | None,
    *,
    french: bool,
) -> tuple[Coding | None, str | None]:
    """Read type and title: OBX-3 and OBR-4 have the same code, of which OBR-4 has the label when OBX-3 has a title."""
    kind, title = named
    ordered = coding(obr.raw(4), notes.syntax) if obr is not None else None
    told = txa.code(2) if txa is not None else ""
    said = {code for code in (kind and kind.code, ordered and ordered.code, told) if code}
    if french and len(said) > 1:
        notes.warn("hl7v2.document.type", "OBX-3, OBR-4, TXA-2", "the type of the document is said differently")
    if kind is None or (ordered is not None and ordered.code == kind.code and ordered.system == kind.system):
        kind = ordered or kind
    if kind is None and told:
        kind = Coding(code=told)
    return kind, title


def _observers(notes: Notebook, files: list[Result]) -> tuple[Professional, ...]:
    """Read the authors of a document that has no TXA: the responsible observers of its OBX."""
    if not files:
        return ()
    notes.use(files[0].obx, 16)
    return people(notes, files[0].obx, 16)


def _interpreters(notes: Notebook, obr: Segment | None) -> tuple[Professional, ...]:
    found = interpreter(obr.first(32), notes.syntax) if obr is not None and obr.raw(32) else None
    return (found,) if found is not None else ()


def _created(notes: Notebook, obr: Segment | None, txa: Segment | None) -> str | None:
    at = (notes.time(txa, 4) or notes.time(txa, 6)) if txa is not None else None
    return at or (notes.time(obr, 22) if obr is not None else None)


def patient_class(patient: PatientGroup) -> str:
    """Give PV1-2."""
    return patient.pv1.code(2) if patient.pv1 is not None else ""


def _encounter(notes: Notebook, patient: PatientGroup) -> Coding | None:
    code = patient_class(patient)
    if patient.pv1 is not None:
        notes.use(patient.pv1, 2)
    return Coding(system=PATIENT_CLASS, code=code) if code not in _NO_CLASS else None


def _leave_unused(notes: Notebook, patient: PatientGroup, order: Order, unused: frozenset[str]) -> None:
    """Report what the message says otherwise than the CDA, which decides."""
    segments = {"TXA": order.txa, "OBR": order.obr, "PV1": patient.pv1}
    for name in unused & _CAN_ONLY_BE_IN.keys():
        where, fields = _CAN_ONLY_BE_IN[name]
        segment = segments[where]
        if segment is not None:
            notes.leave_fields(segment, *(n for n in fields if segment.raw(n)))


def _document_id(notes: Notebook, txa: Segment | None, n: int) -> str | None:
    """Read TXA-12 or 13: an OID, or extension and root; a second component that is no OID does not count."""
    if txa is None or not txa.raw(n) or txa.raw(n) == NULL:
        return None
    parts = [notes.syntax.code(part) for part in notes.syntax.components(txa.first(n))]
    root = parts[2] if len(parts) > 2 else ""
    return f"{root}^{parts[0]}" if root and parts[0] else parts[0] or None


def _status(notes: Notebook, obr: Segment | None, txa: Segment | None) -> str | None:
    """Read TXA-17, or OBR-25 where there is no TXA, as a FHIR docStatus."""
    if txa is not None:
        code = txa.code(17)
        return ("final" if code in FINAL else "preliminary") if code else None
    code = obr.code(25) if obr is not None else ""
    known = _ORDER_STATUSES.get(code)
    if obr is not None and code and known is None:
        notes.leave_fields(obr, 25)
    return known


def _confidentiality(txa: Segment | None) -> tuple[Coding, ...]:
    code = txa.code(18) if txa is not None else ""
    return (LEVELS.get(code) or Coding(system=coding_system("HL70272"), code=code),) if code else ()


def _comment(notes: Notebook, order: Order) -> str | None:
    texts = [notes.syntax.text(nte.raw(3)) for nte in order.notes if nte.raw(3) not in ("", NULL)]
    return "\n".join(texts) or None
