"""Items to what goes to an XDS repository: the document, with METADATA.XML beside it (fact sheet dmp §4).

The bytes of the document are the content, untouched; the metadata are one `lcm:SubmitObjectsRequest`, the same bytes
for the same Item and identity. Of a deletion, or of a change of visibility, there is no document: the metadata are the
content. Two things of the request are for the destination alone, and it takes them out: the guards, and what is wanted
(`OPERATION`). The entry UUID of a document that is replaced or deleted is known to a registry only: `urn:oid:` and its
uniqueId stand for it.
"""

from __future__ import annotations

from enum import StrEnum

from mappings.contracts import FormatError, Rendition, WriteContext, WriteRefused
from mappings.notes import Notes
from mappings.safe_names import safe_stem
from mappings.xds import vocabulary
from mappings.xds.datatypes import write_time
from mappings.xds.ebrim_writing import metadata_xml
from mappings.xds.entries import Carried, confidentiality_codes, document_entry, submission, submission_set
from mappings.xds.guards import guard_slots, guards_of
from mappings.xds.identities import oid_of, source_id_of, unique_id_of
from mappings.xds.model import Association, DocumentEntry, Slots, Submission, SubmissionSet
from mappings.xds.people import document_authors, patient_id, write_person
from mappings.xds.signature import signed
from mappings.xds.travelling import recipients_of, travelling
from schemas.document import Document, DocumentOperation, Wishes
from schemas.finding import Finding
from schemas.item import DocumentItem, Item, LabReportItem

METADATA = "METADATA.XML"
"""The name under which metadata travel beside a document."""

OPERATION = "urn:x-passerelle:xds:operation"
"""Slot of the request that says what is wanted; it never leaves the router."""

UPDATE_STATUS = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
DELETED = "urn:asip:ci-sis:2010:StatusType:Deleted"
NAMED = "urn:oid:"

_IN_METADATA = frozenset({"masked_to_professionals", "hidden_from_patient", "hidden_from_representatives"})
_FOR_THE_ROUTE = frozenset({"dmp", "update_visibility", "secret_connection"})


class Operation(StrEnum):
    """What is asked of the registry."""

    SUBMIT = "submit"
    REPLACE = "replace"
    DELETE = "delete"
    VISIBILITY = "visibility"


def write(item: Item, context: WriteContext) -> Rendition:
    """Write one document, laboratory report, deletion or change of visibility.

    Raises WriteRefused for other kinds, FormatError `xds.write.no_identity` for a deletion that names nothing, and what
    making the document raises.
    """
    if not isinstance(item, DocumentItem | LabReportItem):
        raise WriteRefused("xds.write.kind", item.kind, "an XDS repository takes documents and laboratory reports")
    notes = Notes()
    if isinstance(item, DocumentItem):
        if item.content.operation is DocumentOperation.DELETE:
            return _change(item, Operation.DELETE, context, notes)
        if item.content.wishes is not None and item.content.wishes.update_visibility:
            return _change(item, Operation.VISIBILITY, context, notes)
    return _document(item, context, notes)


def _document(item: DocumentItem | LabReportItem, context: WriteContext, notes: Notes) -> Rendition:
    read = travelling(item, context, notes, "xds")
    carried = Carried(read.document, read.patient, read.content)
    entry = document_entry(carried, context.timezone, notes)
    lot = submission_set([entry], carried, context, notes, recipients=recipients_of(item))
    former = unique_id_of(read.document.replaces_id) or _former(item, notes)
    whole = submission(lot, [entry], {entry.entry_uuid: f"{NAMED}{former}"} if former else None)
    guards = guards_of(item, read, entry, context)
    wanted = Operation.REPLACE if former else Operation.SUBMIT
    whole = signed(Submission(whole.submission_set, whole.entries, whole.associations, _own(wanted, guards)))
    if isinstance(item, DocumentItem):
        _tell_what_stays(item.content, notes)
    return Rendition(
        content=read.content,
        media_type="text/xml",
        filename=safe_stem(context.identity) + ".xml",
        findings=(*notes.findings, *guards),
        attachments={METADATA: metadata_xml(whole)},
    )


def _former(item: DocumentItem | LabReportItem, notes: Notes) -> str | None:
    """Give what the Item alone says that it replaces; the document should say it as well (CSM §3.5.5.10)."""
    former = unique_id_of(item.content.replaces_id) if isinstance(item, DocumentItem) else None
    if former:
        notes.warning("xds.write.replaces", "content.replaces_id", "the document does not name the one it replaces")
    return former


def _change(item: DocumentItem, operation: Operation, context: WriteContext, notes: Notes) -> Rendition:
    """Write what changes a document that is there already: its metadata alone."""
    document, patient = item.content, item.patient
    named = unique_id_of(document.document_id)
    if named is None:
        raise FormatError("xds.write.no_identity", "content.document_id", "nothing names the document to change")
    lot = SubmissionSet(
        entry_uuid="SubmissionSet01",
        unique_id=oid_of("submission", context.identity),
        source_id=context.options.get("source_id")
        or source_id_of(document.custodian or document.author_organization)[0],
        patient_id=patient_id(patient),
        submission_time=write_time(context.now.isoformat(timespec="seconds"), context.timezone),
        content_type_code=vocabulary.content_type(context.options["content_type"])
        if "content_type" in context.options
        else vocabulary.content_type_of_encounter(None),
        title=document.title,
        authors=document_authors(document)[:1],
    )
    entries: tuple[DocumentEntry, ...] = ()
    if operation is Operation.DELETE:
        slots: Slots = (("NewStatus", (DELETED,)),)
        links = (Association("as01", UPDATE_STATUS, lot.entry_uuid, f"{NAMED}{named}", slots),)
    else:
        entries = (
            DocumentEntry(
                entry_uuid="Document01",
                unique_id=named,
                patient_id=lot.patient_id,
                confidentiality_codes=confidentiality_codes(document),
                legal_authenticator=write_person(document.legal_authenticator),
            ),
        )
        links = (Association("as01", vocabulary.HAS_MEMBER, lot.entry_uuid, "Document01"),)
    guards = guards_of(item, None, None, context)
    content = metadata_xml(Submission(lot, entries, links, _own(operation, guards)))
    return Rendition(
        content=content,
        media_type="application/xml",
        filename=safe_stem(context.identity) + ".xml",
        findings=(*notes.findings, *guards),
    )


def _own(operation: Operation, guards: list[Finding]) -> Slots:
    return ((OPERATION, (operation.value,)), *guard_slots(guards))


def _tell_what_stays(document: Document, notes: Notes) -> None:
    """Say what of the Item is neither in the document nor in its metadata."""
    said = document.wishes or Wishes()
    elsewhere = _IN_METADATA | _FOR_THE_ROUTE
    if any(getattr(said, field) is not None for field in Wishes.model_fields if field not in elsewhere):
        notes.info("xds.write.not_carried", "content.wishes", "wishes about delivery are for who routes")
