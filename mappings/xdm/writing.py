"""Items to IHE_XDM.ZIP: the CDA as it is (or made of the Item), its XDS metadata, and a PDF twin on request."""

from __future__ import annotations

from collections.abc import Mapping

from mappings.contracts import Rendition, WriteContext, WriteRefused
from mappings.notes import Notes
from mappings.safe_names import safe_stem
from mappings.xdm.leaflets import Issuer
from mappings.xdm.packing import PackedFile, document_name, pack
from mappings.xds import vocabulary
from mappings.xds.entries import ORIGINAL, Carried, document_entry, submission, submission_set
from mappings.xds.identities import oid_of
from mappings.xds.model import Association, DocumentEntry, Slots, Submission
from mappings.xds.travelling import Travelling, bytes_of, recipients_of, travelling
from schemas.document import Document, DocumentOperation, Wishes
from schemas.item import DocumentItem, Item, LabReportItem

_ACTIONS = {DocumentOperation.DELETE: "D", DocumentOperation.REPLACE: "C"}
_IN_METADATA = frozenset({"masked_to_professionals", "hidden_from_patient", "hidden_from_representatives"})
_OF_THE_MAIL = ("reply_to", "mail_body_professionals", "mail_body_patient")
_YES = frozenset({"1", "true", "yes", "oui"})
_PDF = "application/pdf"


def write(item: Item, context: WriteContext) -> Rendition:
    """Write one document or laboratory report as an archive.

    A CDA that the Item carries travels byte for byte; anything else is written as CDA first, with the Findings of that.
    The metadata are those of the CDA's own header, never of an Item that says otherwise. Raises WriteRefused for other
    kinds, FormatError `document.other_patient` when the CDA is about somebody else than the Item, and what reading or
    writing the CDA raises.
    """
    if not isinstance(item, DocumentItem | LabReportItem):
        raise WriteRefused("xdm.write.kind", item.kind, "an XDM archive carries documents and laboratory reports")
    notes = Notes()
    read = travelling(item, context, notes, "xdm")
    recipients = recipients_of(item)
    action = _action(item, read.document, context)
    main = Carried(read.document, read.patient, read.content, uri=document_name(1), extra=action)
    entries = [document_entry(main, context.timezone, notes)]
    files = [PackedFile(document_name(1), read.document.title or "Document", read.content)]
    twin = _twin(item, read, context, notes)
    associations: tuple[Association, ...] = ()
    if twin is not None:
        files.append(PackedFile(document_name(1, "PDF"), files[0].title + " (PDF)", twin))
        entries.append(_twin_entry(entries[0], read, twin, context))
        link = (entries[1].entry_uuid, entries[0].entry_uuid)
        associations = (Association("xfrm01", vocabulary.TRANSFORMS, *link, ORIGINAL),)
    lot = submission_set(entries, main, context, notes, recipients=recipients)
    whole = submission(lot, entries)
    whole = Submission(whole.submission_set, whole.entries, (*whole.associations, *associations))
    if isinstance(item, DocumentItem):
        _tell_what_stays(item, read, twin, notes)
    deflate = context.options.get("compression", "deflate") != "store"
    return Rendition(
        content=pack(whole, files, _issuer(read.document, context.options), deflate=deflate),
        media_type="application/zip",
        filename=safe_stem(context.identity) + ".zip",
        findings=notes.findings,
    )


def _action(item: DocumentItem | LabReportItem, document: Document, context: WriteContext) -> Slots:
    """Say by the extra metadata `action` that a document replaces or deletes (MSSanté)."""
    operation = item.content.operation if isinstance(item, DocumentItem) else document.operation
    action = _ACTIONS.get(operation) or _ACTIONS.get(document.operation)
    return ((context.options.get("action_slot", "action"), (action,)),) if action else ()


# --- the twin


def _twin(item: DocumentItem | LabReportItem, read: Travelling, context: WriteContext, notes: Notes) -> bytes | None:
    """Give the PDF that the option `pdf` asks for: that of the document, else of the Item."""
    if context.options.get("pdf", "").lower() not in _YES:
        return None
    for attachment in (*read.document.attachments, *item.content.attachments):
        content = bytes_of(attachment) if attachment.media_type == _PDF else None
        if content is not None:
            return content
    notes.info("xdm.write.no_pdf", "", "there is no PDF of this document to put beside it")
    return None


def _twin_entry(original: DocumentEntry, read: Travelling, twin: bytes, context: WriteContext) -> DocumentEntry:
    carried = Carried(
        read.document,
        read.patient,
        twin,
        media_type=_PDF,
        uri=document_name(1, "PDF"),
        entry_uuid="Document01Pdf",
        unique_id=oid_of("pdf", original.unique_id or ""),
    )
    # Whatever its metadata lack, those of the CDA lack too, and it has been said of them.
    return document_entry(carried, context.timezone, Notes())


# --- what is not carried


def _tell_what_stays(item: DocumentItem, read: Travelling, twin: bytes | None, notes: Notes) -> None:
    """Say what of the Item is neither in the document nor in its metadata."""
    document = item.content
    said = document.wishes or Wishes()
    if any(getattr(said, field) is not None for field in Wishes.model_fields if field not in _IN_METADATA):
        notes.info("xdm.write.not_carried", "content.wishes", "wishes about delivery are for who routes")
    for field in _OF_THE_MAIL:
        if getattr(document, field):
            notes.info("xdm.write.not_carried", f"content.{field}", "what concerns the mail is not in the archive")
    if document.replaces_id and not read.document.replaces_id:
        notes.warning(
            "xdm.write.not_carried", "content.replaces_id", "the document does not name the one that it replaces"
        )
    inside = {bytes_of(one) for one in read.document.attachments} | {twin}
    for rank, attachment in enumerate(document.attachments):
        content = bytes_of(attachment)
        if content is None or content not in inside:
            notes.warning(
                "xdm.write.not_carried", f"content.attachments[{rank}]", "this file is not inside the document"
            )


def _issuer(document: Document, options: Mapping[str, str]) -> Issuer:
    custodian = document.custodian.name if document.custodian is not None else None
    return Issuer(
        name=options.get("issuer") or custodian or "Passerelle",
        address=options.get("issuer_address"),
        phone=options.get("issuer_phone"),
        application=options.get("application", "Passerelle"),
        version=options.get("application_version"),
        editor=options.get("application_editor"),
    )
