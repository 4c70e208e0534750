"""A document with its XDS metadata beside it, or metadata alone (an answer of a registry), to Items.

Signatures of submissions are not documents: they are told and left. A document that is hidden from somebody keeps that
wish with it, so that who shows it further may respect it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from hashlib import sha1

from lxml import etree

from mappings.cda import FORMAT as CDA, is_cda
from mappings.contracts import FormatError, ReadContext, Reading, item_id
from mappings.notes import Notes
from mappings.same_person import SamePerson, other_patient, same_person
from mappings.xds import vocabulary
from mappings.xds.documents import completed, document_of, institution_of, patient_of
from mappings.xds.ebrim_reading import read_submission
from mappings.xds.identities import unique_id_of
from mappings.xds.model import DocumentEntry, Submission
from mappings.xds.signature import is_signature
from mappings.xds.writing import DELETED, METADATA, UPDATE_STATUS
from mappings.xml_source import parse_xml
from schemas.actors import Organization
from schemas.attachment import Attachment
from schemas.document import Document, DocumentOperation
from schemas.item import DocumentItem, Item, Provenance

LIMIT = 64 * 1024 * 1024
"""Bytes of metadata at most: an answer lists thousands of documents, of eight thousand bytes each."""


def read(content: bytes, context: ReadContext) -> Reading:
    """Read a document whose METADATA.XML is among the context's siblings, or metadata alone.

    Raises FormatError `xds.no_document` when nothing is listed, `xds.metadata.…` when metadata are not XML, and what
    reading a CDA without metadata raises.
    """
    reader = _Reader(content, context)
    beside = context.siblings.get(METADATA)
    if beside is not None or is_cda(content):
        return reader.document(beside)
    return reader.metadata()


class _Reader:
    def __init__(self, content: bytes, context: ReadContext) -> None:
        self.content = content
        self.context = context
        self.notes = Notes()
        self.items: list[Item] = []
        self.sender: Organization | None = None

    def document(self, beside: bytes | None) -> Reading:
        """Read the document itself; metadata complete what its header leaves out."""
        if beside is None:
            self.notes.info("xds.metadata.missing", METADATA, "the document came without its metadata")
            reading = CDA.read(self.content, self.context)
            return replace(reading, findings=(*reading.findings, *self.notes.findings))
        submission = self._submission(beside)
        entries = [one for one in submission.entries if not is_signature(one)]
        if len(entries) != 1:
            raise FormatError("xds.metadata.count", METADATA, "the metadata beside a document are of one document")
        self._item(entries[0], self.content, submission)
        return self._reading(submission)

    def metadata(self) -> Reading:
        """Read every document that is listed; those inside the request come with their bytes."""
        root = parse_xml(self.content.lstrip(), code="xds.metadata", limit=LIMIT)
        submission = read_submission(root, self.notes)
        self._introduce(submission)
        inside = _documents(root)
        for entry in submission.entries:
            if is_signature(entry):
                self.notes.info("xds.signature", entry.entry_uuid, "the signature of the submission is not a document")
                continue
            self._item(entry, inside.get(entry.entry_uuid), submission)
        for link in submission.associations:
            if link.type == UPDATE_STATUS and (DELETED,) in [values for _, values in link.slots]:
                self._deletion(link.target, submission)
        if not self.items:
            raise FormatError("xds.no_document", "", "no document is listed here")
        return self._reading(submission)

    def _submission(self, content: bytes) -> Submission:
        root = parse_xml(content.lstrip(), code="xds.metadata", where=METADATA, limit=LIMIT)
        submission = read_submission(root, self.notes, METADATA)
        self._introduce(submission)
        return submission

    def _introduce(self, submission: Submission) -> None:
        lot = submission.submission_set
        senders = (institution_of(author) for author in lot.authors) if lot is not None else iter(())
        self.sender = next((one for one in senders if one is not None), None)

    def _reading(self, submission: Submission) -> Reading:
        lot = submission.submission_set
        return Reading(
            items=tuple(self.items),
            findings=self.notes.findings,
            unread=self.notes.unread,
            control_id=lot.unique_id if lot is not None else None,
            message_type="XDS",
        )

    # --- one document

    def _item(self, entry: DocumentEntry, content: bytes | None, submission: Submission) -> None:
        if content is not None:
            self._check(entry, content)
        if content is not None and is_cda(content):
            try:
                self._cda(entry, content, submission)
                return
            except FormatError as problem:
                # What its metadata say is known all the same; the bytes are kept with it.
                self.notes.error(problem.code, f"{entry.entry_uuid} {problem.where}".strip(), problem.message)
        document = _related(document_of(entry), entry, submission)
        if content is not None:
            document = document.model_copy(update={"attachments": (_attachment(entry, content),)})
        self._add(
            DocumentItem(
                id="",
                occurred_at=document.period_start or document.created_at,
                replaces=document.replaces_id,
                patient=patient_of(entry, self.context, self.notes, entry.entry_uuid),
                sender=self.sender or document.author_organization,
                author=document.author,
                source=Provenance(format="xds", where=entry.entry_uuid),
                content=document,
            ),
            entry.entry_uuid,
        )

    def _cda(self, entry: DocumentEntry, content: bytes, submission: Submission) -> None:
        reading = CDA.read(content, self.context)
        for finding in reading.findings:
            self.notes.keep(finding)
        for left in reading.unread:
            self.notes.leave(left.where, left.text)
        said = patient_of(entry, self.context, Notes(), entry.entry_uuid)
        for item in reading.items:
            if same_person(item.patient, said) is SamePerson.NO:
                self.notes.keep(other_patient(entry.entry_uuid))
            if isinstance(item, DocumentItem):
                document = completed(item.content, entry, self.notes, entry.entry_uuid)
                document = _related(document, entry, submission)
                own, stated = unique_id_of(document.document_id), unique_id_of(entry.unique_id)
                if own and stated and own != stated:
                    self.notes.warning(
                        "xds.unique_id.differs", entry.entry_uuid, "the uniqueId is not the identity of the document"
                    )
                update = {"content": document, "replaces": document.replaces_id or item.replaces}
                item = item.model_copy(update=update)
            self._add(item, entry.entry_uuid)

    def _deletion(self, target: str, submission: Submission) -> None:
        named = unique_id_of(target) if not target.startswith("urn:uuid:") else None
        lot = submission.submission_set
        if named is None or lot is None:
            self.notes.warning("xds.delete.no_target", "Association", "only a registry knows what is deleted")
            return
        patient = patient_of(lot, self.context, self.notes, "SubmissionSet")
        document = Document(document_id=named, title=lot.title, operation=DocumentOperation.DELETE)
        source = Provenance(format="xds", where="SubmissionSet")
        self._add(DocumentItem(id="", patient=patient, sender=self.sender, source=source, content=document), "")

    def _add(self, item: Item, where: str) -> None:
        source = Provenance(format="xds", where=where or item.source.where)
        self.items.append(item.model_copy(update={"id": item_id(self.content, len(self.items)), "source": source}))

    def _check(self, entry: DocumentEntry, content: bytes) -> None:
        """Hold hash and size, where they are given, against the bytes."""
        wrong = entry.hash is not None and entry.hash != sha1(content, usedforsecurity=False).hexdigest()
        if wrong or (entry.size is not None and entry.size != len(content)):
            self.notes.error("xds.integrity", entry.entry_uuid, "hash or size are not those of the document")


def _related(document: Document, entry: DocumentEntry, submission: Submission) -> Document:
    """Give a document what associations say that it replaces; a registry's own names mean nothing elsewhere."""
    for link in submission.associations:
        if link.type == vocabulary.REPLACES and link.source == entry.entry_uuid:
            named = None if link.target.startswith("urn:uuid:") else unique_id_of(link.target)
            update = {"operation": DocumentOperation.REPLACE, "replaces_id": document.replaces_id or named}
            return document.model_copy(update=update)
    return document


def _documents(root: etree._Element) -> dict[str, bytes]:
    """Give the documents that stand inside an ITI-41 request, by their entry's id."""
    found: dict[str, bytes] = {}
    for element in root.iter(f"{{{vocabulary.XDS_B}}}Document"):
        if len(element) == 0 and element.get("id"):
            try:
                found[element.get("id") or ""] = base64.b64decode("".join((element.text or "").split()), validate=True)
            except (binascii.Error, ValueError):
                raise FormatError("xds.document.base64", "Document", "a document is not in base64") from None
    return found


def _attachment(entry: DocumentEntry, content: bytes) -> Attachment:
    return Attachment(
        media_type=entry.mime_type,
        title=entry.title,
        size=len(content),
        data=base64.b64encode(content).decode("ascii"),
    )
