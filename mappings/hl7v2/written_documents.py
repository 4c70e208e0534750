"""A document as ORU^R01 (HL7 2.5) or MDM^T02, T10, T04 (2.6), after the ANS profile of CDA in HL7v2 (fact sheet §6).

Options of a partner:

    document_message    oru: ORU^R01 (default); mdm: MDM^T02 to send, T10 to replace, T04 to delete
    document_content    as-is: the files as they are (default); cda: a document that is no CDA is made one first
    document_profile    MSH-21; by default the profile of documents to the DMP and MSSanté when the file is a CDA. With
                        1.1^CISIS_CDA_HL7_LPS the message is one that brings a mail's document to a care software

A CDA leaves byte for byte; what it says itself needs no field of the message. What neither says is a Finding.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from mappings.contracts import FormatError, ReadContext, WriteContext
from mappings.hl7v2.carried_cda import identified
from mappings.hl7v2.document_operation import ORDER_CONTROLS, STATUSES
from mappings.hl7v2.documents import CLASSES, FINAL, PATIENT_CLASS
from mappings.hl7v2.pen import Pen
from mappings.hl7v2.times import stamp
from mappings.hl7v2.written_delivery import write_delivery, write_metadata
from mappings.hl7v2.written_files import encapsulated
from mappings.hl7v2.written_losses import note_losses
from mappings.hl7v2.written_patient import write_msh, write_pid
from mappings.hl7v2.written_profile import LPS, PROFILE, VERSION, now_stamp
from mappings.hl7v2.written_txa import status_code, write_txa
from mappings.hl7v2.written_types import ce, cnn, coding, cx, xcn
from mappings.hl7v2.written_values import write_note
from schemas.attachment import Attachment
from schemas.document import Document, DocumentOperation
from schemas.finding import Severity
from schemas.item import DocumentItem

MESSAGES = ("oru", "mdm")
CONTENTS = ("as-is", "cda")
_CONTROL = {asked: code for code, asked in ORDER_CONTROLS.items()}
_STATUS = {asked: code for code, asked in STATUSES.items()}
_EVENT = {"create": "T02", "replace": "T10", "delete": "T04"}


class Payload(NamedTuple):
    """The files to send, and what the CDA among them says itself (an empty Document when there is none)."""

    files: tuple[Attachment, ...]
    own: Document
    is_cda: bool


def write_document(pen: Pen, item: DocumentItem, context: WriteContext) -> None:
    """Write the message of one document.

    Raises FormatError `hl7v2.option` for an option that has no such value, and what the writer of CDA raises.
    """
    mdm = _option(context, "document_message", MESSAGES) == "mdm"
    pen.about("OBX")
    payload = _payload(pen, item, context)
    document = item.content
    asked = document.operation.value
    profile = context.options.get("document_profile", PROFILE if payload.is_cda else "")
    if mdm:
        write_msh(pen, item, context, f"MDM^{_EVENT[asked]}^MDM_T02", VERSION, profile)
        pen.begin("EVN")
        pen.segment("EVN", {2: now_stamp(context), 6: _stamp(item.occurred_at)})
    else:
        write_msh(pen, item, context, "ORU^R01^ORU_R01", "2.5", profile)
    visit = document.visit
    write_pid(pen, item.patient, visit if visit is not None and visit.type == "AN" else None)
    pen.begin("PV1")
    number = cx(pen, visit, "VN") if visit is not None and visit.type != "AN" else ""
    pen.segment("PV1", {1: "1", 2: "N" if LPS in profile else _patient_class(document), 19: number})
    pen.begin("ORC")
    pen.segment("ORC", {1: _CONTROL[asked]})
    _write_order(pen, document, payload, mdm=mdm)
    write_note(pen, document.comment)
    if mdm:
        first = payload.files[0] if payload.files else None
        is_text = payload.is_cda or (first is not None and first.media_type.startswith("text/"))
        write_txa(pen, document, payload.own, first, is_text=is_text)
    rank = _write_files(pen, item, payload, context, mdm=mdm)
    write_metadata(pen, document, payload.own, rank, context, profile=profile, mdm=mdm)
    note_losses(pen, item, payload.own, mdm=mdm)


def _option(context: WriteContext, name: str, known: tuple[str, ...]) -> str:
    value = context.options.get(name, known[0])
    if value not in known:
        raise FormatError("hl7v2.option", name, f"the option {name} is one of {', '.join(known)}")
    return value


def _payload(pen: Pen, item: DocumentItem, context: WriteContext) -> Payload:
    """Give the files to send: each CDA without the files that it holds, the others as they are, or made a CDA."""
    from mappings.cda import FORMAT, is_cda  # imported late: most messages carry none

    files = item.content.attachments
    first = _bytes(files[0]) if files else None
    if _option(context, "document_content", CONTENTS) == "cda" and first is not None and not is_cda(first):
        rendition = FORMAT.write(_to_wrap(item), context)
        pen.findings += rendition.findings
        if files[0].filename:
            pen.lost("the file name of an attachment")
        made = base64.b64encode(rendition.content).decode("ascii")
        size = len(rendition.content)
        files = (Attachment(media_type="text/xml", title=item.content.title, size=size, data=made), *files[1:])
    own: Document | None = None
    inside: set[str | None] = set()
    for file in files:
        content = _bytes(file) if file.media_type == "text/xml" else None
        if content is None or not is_cda(content):
            continue
        try:
            reading = FORMAT.read(content, ReadContext(timezone=context.timezone))
        except FormatError as problem:
            pen.note(
                Severity.WARNING, "hl7v2.document.cda", f"the CDA cannot be read ({problem.code}); it leaves as it is"
            )
            known = identified(content)
            own = own or (known.document if known is not None else Document())
            continue
        found = next(one.content for one in reading.items if isinstance(one, DocumentItem))
        own = own or found
        inside.update(one.data for one in found.attachments[1:])
    sent = tuple(file for rank, file in enumerate(files) if not rank or file.data not in inside)
    return Payload(sent, own or Document(), own is not None)


def _to_wrap(item: DocumentItem) -> DocumentItem:
    """Give the document to make a CDA of: the message asks for a deletion, not the document in it."""
    if item.content.operation is not DocumentOperation.DELETE:
        return item
    plain = item.content.model_copy(update={"operation": DocumentOperation.CREATE})
    return item.model_copy(update={"content": plain, "replaces": None})


def _bytes(file: Attachment) -> bytes | None:
    try:
        return base64.b64decode(file.data, validate=True) if file.data is not None else None
    except (binascii.Error, ValueError):
        return None


def _patient_class(document: Document) -> str:
    """Give PV1-2 from the kind of encounter; U is an encounter of an unknown kind, N none."""
    kind = document.encounter_type
    if kind is not None and kind.system == PATIENT_CLASS:
        return kind.code
    known = CLASSES.get(kind.code) if kind is not None else None
    return known or ("U" if document.visit is not None else "N")


def _write_order(pen: Pen, document: Document, payload: Payload, *, mdm: bool) -> None:
    pen.begin("OBR")
    own = payload.own
    status = status_code(document.status) if document.status and not mdm else None
    if document.type is None:
        pen.note(Severity.WARNING, "hl7v2.write.type", "the profile asks for the type of the document; it has none")
    pen.segment(
        "OBR",
        {
            1: "1",
            2: pen.text(document.order_id),
            3: pen.text(document.report_id),
            4: coding(pen, document.type),
            7: _stamp(document.period_start) if own.period_start is None else "",
            8: _stamp(document.period_end) if own.period_end is None else "",
            22: _stamp(document.created_at) if own.created_at is None and not mdm else "",
            25: ("F" if status in FINAL else "P") if status else "",
            32: cnn(pen, document.legal_authenticator) if own.legal_authenticator is None and not mdm else "",
        },
    )


def _write_files(pen: Pen, item: DocumentItem, payload: Payload, context: WriteContext, *, mdm: bool) -> int:
    """Write the files, with the PRT after the first; gives the rank of the next OBX."""
    document = item.content
    rank = 1
    if not payload.files:
        pen.begin("OBX")
        pen.note(Severity.ERROR, "hl7v2.write.no_content", "the document has no file; the profile asks for one")
    for place, file in enumerate(payload.files):
        pen.begin("OBX")
        if place and mdm and payload.is_cda:
            pen.lost("a second file of a document (MDM carries one CDA)")
            continue
        ed = encapsulated(pen, file, text="text" if mdm else "TEXT")
        if ed is not None:
            silent = place or mdm or payload.own.author is not None
            authors = () if silent else (document.author, *document.other_authors)
            observers = "~".join(xcn(pen, one) for one in authors if one is not None)
            named = _named(pen, document, file, place, payload)
            fields = {1: str(rank), 2: "ED", 3: named, 5: ed, 11: _STATUS[document.operation.value], 16: observers}
            pen.segment("OBX", fields)
            rank += 1
        if file.filename and (place or not mdm):
            pen.lost("the file name of an attachment")
        if not place:
            write_delivery(pen, item)
    if not payload.files:
        write_delivery(pen, item)
    return rank


def _named(pen: Pen, document: Document, file: Attachment, place: int, payload: Payload) -> str:
    """Write OBX-3: the type of the document, and its title where no CDA says it (else the type's own label)."""
    label = document.title
    if place:
        label = file.title or label
    elif payload.own.title and document.type is not None:
        label = document.type.display or label
    elif file.title and file.title != document.title:
        pen.lost("the title of a file")
    kind = document.type
    return ce(pen, (kind.model_copy(update={"display": label}),) if kind is not None else (), label)


def _stamp(at: str | None) -> str:
    return stamp(at) if at else ""
