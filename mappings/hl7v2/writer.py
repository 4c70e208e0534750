"""Write Items as HL7v2 messages."""

from __future__ import annotations

import re

from mappings.contracts import Rendition, WriteContext, WriteRefused
from mappings.hl7v2.pen import Pen
from mappings.hl7v2.written_adt import write_identity, write_stay
from mappings.hl7v2.written_documents import write_document
from mappings.hl7v2.written_receipts import write_receipt
from mappings.hl7v2.written_reports import write_report
from schemas.item import (
    AppointmentItem,
    DocumentItem,
    IdentityItem,
    Item,
    LabReportItem,
    NoteItem,
    ReceiptItem,
    StayItem,
    TaskItem,
)

MEDIA_TYPE = "application/hl7-v2"
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


def write(item: Item, context: WriteContext) -> Rendition:
    """Write one Item as one message.

    Raises FormatError for an option that has no such value, WriteRefused for a note, an appointment and a task.
    """
    pen = Pen(context)
    match item:
        case LabReportItem():
            write_report(pen, item, context)
        case StayItem():
            write_stay(pen, item, context)
        case IdentityItem():
            write_identity(pen, item, context)
        case ReceiptItem():
            write_receipt(pen, item, context)
        case DocumentItem():
            write_document(pen, item, context)
        case NoteItem() | AppointmentItem() | TaskItem():
            message = f"no message of the French profiles carries this kind of item ({item.kind})"
            raise WriteRefused("hl7v2.write.kind", "kind", message)
    name = _UNSAFE.sub("-", context.identity)[:100].strip(".-") or "message"
    return Rendition(
        content=pen.content(),
        media_type=MEDIA_TYPE,
        filename=f"{name}.hl7",
        findings=tuple(dict.fromkeys(pen.findings)),
    )
