"""The document that travels with its metadata: the CDA that an Item carries, or one made of it.

Metadata are those of the CDA's own header, never of an Item that says otherwise; the Item gives what a header has no
place for (wishes, class) and the identity that may be said today.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from mappings.cda import FORMAT as CDA, is_cda
from mappings.contracts import FormatError, ReadContext, WriteContext
from mappings.notes import Notes
from mappings.same_person import OTHER_PATIENT, SamePerson, same_person
from mappings.xds.documents import gaps
from schemas.actors import Recipient
from schemas.attachment import Attachment
from schemas.document import Document, DocumentOperation
from schemas.identity import IdentityStatus, PatientIdentity
from schemas.identity_status import ins_usable
from schemas.item import DocumentItem, LabReportItem

_SAID_BY_METADATA = frozenset(
    ("cda.write.not_carried", f"content.{field}") for field in ("comment", "category", "wishes")
)


@dataclass(frozen=True, slots=True)
class Travelling:
    """The document that travels, as its own header states it, completed by what only the Item knows."""

    content: bytes
    document: Document
    patient: PatientIdentity


def travelling(item: DocumentItem | LabReportItem, context: WriteContext, notes: Notes, name: str) -> Travelling:
    """Give the document of an Item with what is said of it; `name` is the format's, for the codes of Findings.

    A CDA that the Item carries travels byte for byte; anything else is written as CDA first, with the Findings of that.
    Raises FormatError `document.other_patient` when the CDA is about somebody else than the Item, and what reading or
    writing the CDA raises.
    """
    return _read_back(item, _cda_of(item, context, notes), context, notes, name)


def recipients_of(item: DocumentItem | LabReportItem) -> tuple[Recipient, ...]:
    """Give for whom an Item is, each once."""
    own = item.content.recipients if isinstance(item, DocumentItem) else ()
    return tuple(dict.fromkeys((*item.recipients, *own)))


def bytes_of(attachment: Attachment) -> bytes | None:
    """Give the bytes of an attachment; None when it holds none that can be decoded."""
    if attachment.data is None:
        return None
    try:
        return base64.b64decode(attachment.data, validate=True)
    except (binascii.Error, ValueError):
        return None


def _cda_of(item: DocumentItem | LabReportItem, context: WriteContext, notes: Notes) -> bytes:
    if isinstance(item, DocumentItem) and item.content.attachments:
        carried = bytes_of(item.content.attachments[0])
        if carried is not None and is_cda(carried):
            return carried
    rendition = CDA.write(_without_deletion(item), context)
    for finding in rendition.findings:
        if (finding.code, finding.where) not in _SAID_BY_METADATA:
            notes.keep(finding)
    return rendition.content


def _without_deletion(item: DocumentItem | LabReportItem) -> DocumentItem | LabReportItem:
    """Give the document as it was sent: a CDA has no way to say that it is deleted, the metadata have."""
    if not isinstance(item, DocumentItem) or item.content.operation is not DocumentOperation.DELETE:
        return item
    before = DocumentOperation.REPLACE if item.content.replaces_id else DocumentOperation.CREATE
    return item.model_copy(update={"content": item.content.model_copy(update={"operation": before})})


def _read_back(
    item: DocumentItem | LabReportItem, content: bytes, context: WriteContext, notes: Notes, name: str
) -> Travelling:
    """Read the document that travels; the Item says the rest: wishes, class, and what its header left out."""
    reading = CDA.read(content, ReadContext(timezone=context.timezone))
    found = next(one for one in reading.items if isinstance(one, DocumentItem))
    if same_person(item.patient, found.patient) is SamePerson.NO:
        raise FormatError(OTHER_PATIENT, "patient", "the document is about another person than the Item")
    document, patient = found.content, found.patient
    update: dict[str, object] = {}
    if isinstance(item, DocumentItem):
        update = {**gaps(document, item.content), "wishes": item.content.wishes}
    said = item.patient
    if patient.ins is None and said.ins is not None and ins_usable(said.status, said.attributes):
        patient = patient.model_copy(update={"ins": said.ins})
    elif patient.ins is not None and not ins_usable(said.status or IdentityStatus.QUALIFIED, said.attributes):
        # The document says what its author knew; the metadata are ours, and say what may be said now.
        notes.warning(
            f"{name}.ins.withheld", "patient.ins", "the metadata name the patient without the INS of the document"
        )
        patient = patient.model_copy(update={"ins": None})
    if not patient.identifiers:
        patient = patient.model_copy(update={"identifiers": item.patient.identifiers})
    return Travelling(content, document.model_copy(update=update), patient)
