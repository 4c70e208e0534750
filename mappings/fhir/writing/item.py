"""One Item to one transaction Bundle."""

from __future__ import annotations

import re

from mappings.contracts import WriteContext, WriteRefused
from mappings.fhir.systems import sender_key
from mappings.fhir.writing.appointment import write_appointment
from mappings.fhir.writing.bundle import BundleBuilder
from mappings.fhir.writing.document import write_document
from mappings.fhir.writing.identity import write_identity
from mappings.fhir.writing.lab import LabWriter
from mappings.fhir.writing.liaison import write_liaison_note
from mappings.fhir.writing.note import write_note
from mappings.fhir.writing.stay import write_stay
from mappings.fhir.writing.task import write_task
from schemas.actors import Organization
from schemas.finding import Finding, Severity
from schemas.item import (
    ITEM,
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

_CONTROL = re.compile(rb"(\\\\)|\\u00(?:0[0-8bcef]|1[0-9a-f])|\\[bf]")
_CONTROLS_LEFT_OUT = Finding(
    severity=Severity.WARNING,
    code="fhir.text.control",
    where="Bundle",
    message="control characters were left out of a text",
)


def write_item(item: Item, context: WriteContext) -> tuple[bytes, tuple[Finding, ...]]:
    """Give the Bundle as JSON, and what it could not carry.

    Control characters, which no FHIR text may hold, are left out, with a Finding. Raises WriteRefused for a receipt.
    """
    content, findings = _write(item, context)
    if b"\\" in content and any(found.group(1) is None for found in _CONTROL.finditer(content)):
        clean = ITEM.validate_json(_CONTROL.sub(rb"\1", ITEM.dump_json(item)))
        content, findings = _write(clean, context)
        findings = (*findings, _CONTROLS_LEFT_OUT)
    return content, findings


def _write(item: Item, context: WriteContext) -> tuple[bytes, tuple[Finding, ...]]:
    builder = BundleBuilder(context, sender_key(_origin(item)))
    match item:
        case LabReportItem():
            LabWriter(builder, item).write()
        case StayItem():
            write_stay(builder, item)
        case IdentityItem():
            write_identity(builder, item)
        case DocumentItem():
            return write_document(builder, item), tuple(builder.findings)
        case NoteItem() if context.options.get("note") == "cdl":
            write_liaison_note(builder, item)
        case NoteItem():
            write_note(builder, item)
        case AppointmentItem():
            write_appointment(builder, item)
        case TaskItem():
            write_task(builder, item)
        case ReceiptItem():
            raise WriteRefused("fhir.write.kind", "", "a receipt is about a delivery: it is not written as FHIR")
    return builder.finish(), tuple(builder.findings)


def _origin(item: Item) -> Organization | None:
    """Give the organisation whose codes and numbers the Item speaks: the sender, else the one the content names."""
    if item.sender is not None:
        return item.sender
    match item:
        case LabReportItem():
            return item.content.laboratory
        case StayItem():
            return item.content.hospital
        case DocumentItem():
            return item.content.custodian or item.content.author_organization
        case IdentityItem() | NoteItem() | AppointmentItem() | TaskItem() | ReceiptItem():
            return None
