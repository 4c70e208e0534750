"""An IHE_XDM.ZIP to Items: each document read by its own format, completed and checked by its XDS metadata."""

from __future__ import annotations

import base64
import dataclasses
from dataclasses import dataclass
from hashlib import sha1

from mappings.archive import Archive, Entry, is_archive
from mappings.cda import FORMAT as CDA, is_cda
from mappings.contracts import FormatError, ReadContext, Reading, item_id
from mappings.notes import Notes
from mappings.same_person import OTHER_PATIENT, SamePerson, other_patient, same_person
from mappings.xdm.deletion import withdrawn
from mappings.xdm.layout import METADATA, Subset, base, resolve, stem, subsets
from mappings.xdm.metadata import Lot, read_lot
from mappings.xds.documents import completed, document_of, patient_of
from mappings.xds.identities import unique_id_of
from mappings.xds.model import DocumentEntry
from schemas.attachment import Attachment
from schemas.document import DocumentOperation
from schemas.identity import PatientIdentity
from schemas.item import DocumentItem, Item, LabReportItem, Provenance

HASH_MISMATCH = "xdm.hash.mismatch"
"""Code of the Finding for which the router holds a whole message: a file is not what its metadata say."""

_PDF = b"%PDF-"
_BY_EXTENSION = {"PDF": "application/pdf", "TXT": "text/plain", "RTF": "text/rtf", "JPG": "image/jpeg"}


@dataclass(slots=True)
class _Part:
    """One file of a submission set, with its metadata if it is listed, and the other forms of the same document."""

    entry: Entry
    content: bytes
    metadata: DocumentEntry | None
    twins: list[_Part] = dataclasses.field(default_factory=list)

    @property
    def is_document(self) -> bool:
        return is_cda(self.content)


def read(content: bytes, context: ReadContext) -> Reading:
    """Read an archive.

    Raises FormatError `archive.…` when it cannot be opened within bounds, `xdm.no_document` when it holds nothing that
    is a document, and what the reader of its only document raises.
    """
    return _Reader(content, context).read()


class _Reader:
    def __init__(self, content: bytes, context: ReadContext) -> None:
        self.content = content
        self.context = context
        self.notes = Notes()
        self.items: list[Item] = []
        self.patients: list[PatientIdentity] = []
        self.charset: str | None = None
        self.refused: FormatError | None = None

    def read(self) -> Reading:
        archive = self._open()
        control_ids: list[str] = []
        for subset in subsets(archive, self.notes):
            lot = self._lot(archive, subset)
            if lot.unique_id is not None:
                control_ids.append(lot.unique_id)
            for part in self._parts(archive, subset, lot):
                self._document(part, lot)
        if not self.items:
            raise self.refused or FormatError("xdm.no_document", "", "the archive holds no document that can be read")
        self._check_one_patient()
        return Reading(
            items=tuple(self.items),
            findings=self.notes.findings,
            unread=self.notes.unread,
            control_id=next(iter(control_ids), None),
            message_type="XDM",
            charset=self.charset,
        )

    def _open(self) -> Archive:
        """Open the archive, or the one that is the only file of it."""
        archive = Archive(self.content)
        files = [one for one in archive.entries if not one.is_folder]
        if len(files) == 1 and not files[0].outside and files[0].name.lower().endswith(".zip"):
            self.notes.info("xdm.layout.nested", files[0].name, "the archive stands inside another archive")
            return archive.open_inside(files[0])
        return archive

    def _lot(self, archive: Archive, subset: Subset) -> Lot:
        """Read the metadata of a submission set; without any, its documents are read alone, and that is told."""
        if subset.metadata is None:
            where = f"{subset.folder}{METADATA}"
            self.notes.error("xdm.metadata.missing", where, "there are no metadata: nothing vouches for the documents")
            return Lot()
        try:
            return read_lot(archive.read(subset.metadata), subset.metadata.name, self.notes)
        except FormatError as problem:
            if problem.code.startswith("archive."):
                raise
            self.notes.error(problem.code, subset.metadata.name, problem.message)
            return Lot()

    # --- files

    def _parts(self, archive: Archive, subset: Subset, lot: Lot) -> list[_Part]:
        """Give the documents of a submission set, each once, with its twins."""
        listed: dict[int, tuple[Entry, DocumentEntry]] = {}
        for metadata in lot.submission.entries:
            entry = self._file_of(metadata, archive, subset, lot)
            if entry is None:
                self.notes.error(
                    "xdm.document.missing", f"{subset.folder} {metadata.entry_uuid}", "a listed document is not there"
                )
            elif id(entry) in listed:
                self.notes.error("xdm.document.twice", entry.name, "two documents are listed under one file")
            else:
                listed[id(entry)] = (entry, metadata)
        parts = [_Part(entry, archive.read(entry), metadata) for entry, metadata in listed.values()]
        for part in parts:
            self._check_integrity(part)
        parts += [_Part(one, archive.read(one), None) for one in subset.files if id(one) not in listed]
        return self._paired(parts, lot)

    def _file_of(self, metadata: DocumentEntry, archive: Archive, subset: Subset, lot: Lot) -> Entry | None:
        if metadata.uri:
            return resolve(metadata.uri, subset, archive, self.notes)
        self.notes.warning("xdm.uri.missing", f"{subset.folder} {metadata.entry_uuid}", "a document has no URI")
        alone = len(lot.submission.entries) == 1 and len(subset.files) == 1
        return subset.files[0] if alone else None

    def _check_integrity(self, part: _Part) -> None:
        metadata, name = part.metadata, part.entry.name
        if metadata is None:
            return
        if metadata.hash is None:
            self.notes.error(HASH_MISMATCH, name, "the metadata give no hash: nothing proves that the file is whole")
        elif metadata.hash != sha1(part.content, usedforsecurity=False).hexdigest():
            self.notes.error(HASH_MISMATCH, name, "the hash of the file is not the one of its metadata")
        elif metadata.size is None:
            self.notes.warning("xdm.size.missing", name, "the metadata give no size")
        if metadata.size is not None and metadata.size != len(part.content):
            self.notes.error(HASH_MISMATCH, name, "the size of the file is not the one of its metadata")

    def _paired(self, parts: list[_Part], lot: Lot) -> list[_Part]:
        """Put each file that is another form of a CDA with it; what is neither listed nor a document is left."""
        documents = [one for one in parts if one.is_document]
        kept: list[_Part] = []
        for part in parts:
            original = None if part.is_document else _original(part, documents, lot)
            if original is not None:
                original.twins.append(part)
            elif part.metadata is not None and _is_signature(part.metadata):
                self.notes.info("xdm.signature", part.entry.name, "the signature of the submission is not verified")
                self.notes.leave(part.entry.name, f"{len(part.content)} bytes")
            elif part.metadata is not None or part.is_document:
                kept.append(part)
            else:
                if part.content.startswith(_PDF) or is_archive(part.content):
                    self.notes.warning("xdm.document.unlisted", part.entry.name, "a file that no metadata list")
                self.notes.leave(part.entry.name, f"{len(part.content)} bytes")
        return kept

    # --- documents

    def _document(self, part: _Part, lot: Lot) -> None:
        if part.metadata is None and lot.submission.entries:
            self.notes.warning("xdm.document.unlisted", part.entry.name, "a document that no metadata list")
        if part.is_document:
            try:
                self._cda(part, lot)
                return
            except FormatError as problem:
                self.notes.error(problem.code, f"{part.entry.name} {problem.where}".strip(), problem.message)
                self.refused = self.refused or problem
        if part.metadata is not None:
            self._metadata_only(part, part.metadata, lot)
        else:
            self.notes.leave(part.entry.name, f"{len(part.content)} bytes")

    def _cda(self, part: _Part, lot: Lot) -> None:
        name = part.entry.name
        context = dataclasses.replace(self.context, filename=base(name))
        reading = CDA.read(part.content, context)
        self.charset = self.charset or reading.charset
        for finding in reading.findings:
            self.notes.keep(finding.model_copy(update={"where": f"{name} {finding.where}".strip()}))
        for left in reading.unread:
            self.notes.leave(f"{name} {left.where}".strip(), left.text)
        items = [self._completed(one, part, lot) if isinstance(one, DocumentItem) else one for one in reading.items]
        operations = {one.content.operation for one in items if isinstance(one, DocumentItem)}
        for item in items:
            if isinstance(item, LabReportItem) and DocumentOperation.DELETE in operations:
                self._add(withdrawn(item), name)
            else:
                self._add(item, name)

    def _completed(self, item: DocumentItem, part: _Part, lot: Lot) -> DocumentItem:
        """Complete a document's Item by its metadata, and check that both speak of one document and one patient."""
        name, metadata = part.entry.name, part.metadata
        document = item.content
        if metadata is not None:
            self._check_patient(item.patient, metadata, lot, name)
            own, said = unique_id_of(document.document_id), unique_id_of(metadata.unique_id)
            if own and said and own != said:
                self.notes.warning("xdm.unique_id.differs", name, "the uniqueId is not the identity of the document")
            document = lot.related(completed(document, metadata, self.notes, name), metadata, self.notes)
        twins = tuple(_attachment(twin) for twin in part.twins)
        known = {one.data for one in document.attachments}
        extra = tuple(one for one in twins if one.data not in known)
        document = document.model_copy(update={"attachments": (*document.attachments, *extra)})
        update: dict[str, object] = {"content": document, "replaces": document.replaces_id or item.replaces}
        update["recipients"] = item.recipients or lot.recipients
        update["sender"] = item.sender or lot.sender
        return item.model_copy(update=update)

    def _metadata_only(self, part: _Part, metadata: DocumentEntry, lot: Lot) -> None:
        """Read a document that says nothing of itself (a PDF, an image) from its metadata alone."""
        name = part.entry.name
        patient = patient_of(metadata, self.context, self.notes, name)
        files = (_attachment(part), *(_attachment(twin) for twin in part.twins))
        document = lot.related(document_of(metadata), metadata, self.notes).model_copy(update={"attachments": files})
        item = DocumentItem(
            id="",
            occurred_at=document.period_start or document.created_at,
            replaces=document.replaces_id,
            patient=patient,
            sender=lot.sender or document.author_organization,
            author=document.author,
            recipients=lot.recipients,
            source=Provenance(format="xdm", where=name),
            content=document,
        )
        self._add(item, name)

    def _add(self, item: Item, name: str) -> None:
        self.patients.append(item.patient)
        source = Provenance(format="xdm", where=name)
        update = {"id": item_id(self.content, len(self.items)), "source": source}
        self.items.append(item.model_copy(update=update))

    # --- whose they are

    def _check_patient(self, patient: PatientIdentity, metadata: DocumentEntry, lot: Lot, name: str) -> None:
        quiet = Notes()
        said = [patient_of(metadata, self.context, quiet, name)]
        if lot.submission.submission_set is not None:
            said.append(patient_of(lot.submission.submission_set, self.context, quiet, name))
        for left in quiet.unread:
            self.notes.leave(left.where, left.text)
        if any(same_person(patient, one) is SamePerson.NO for one in said):
            self.notes.keep(other_patient(name))

    def _check_one_patient(self) -> None:
        """Hold an archive to one patient (MSSanté, ECO.2.1.1)."""
        first = self.patients[0]
        if any(same_person(first, one) is SamePerson.NO for one in self.patients[1:]):
            self.notes.error(OTHER_PATIENT, "", "the archive holds documents about several people")


def _original(part: _Part, documents: list[_Part], lot: Lot) -> _Part | None:
    """Find the CDA of which a file is another form: so related, or of the same name, patient and type."""
    for document in documents:
        related = lot.is_transformed(part.metadata, document.metadata)
        same_name = stem(part.entry.name) == stem(document.entry.name) and part.content.startswith(_PDF)
        if related or (same_name and _agree(part.metadata, document.metadata)):
            return document
    return None


def _agree(first: DocumentEntry | None, second: DocumentEntry | None) -> bool:
    if first is None or second is None:
        return True
    return (first.patient_id, first.type_code and first.type_code.code) == (
        second.patient_id,
        second.type_code and second.type_code.code,
    )


def _is_signature(metadata: DocumentEntry) -> bool:
    return metadata.type_code is not None and metadata.type_code.code == "E1762"


def _attachment(part: _Part) -> Attachment:
    name = base(part.entry.name)
    guessed = _BY_EXTENSION.get(name.rpartition(".")[2].upper(), "application/octet-stream")
    return Attachment(
        media_type=part.metadata.mime_type if part.metadata is not None else guessed,
        title=part.metadata.title if part.metadata is not None else None,
        filename=name,
        size=len(part.content),
        data=base64.b64encode(part.content).decode("ascii"),
    )
