"""METADATA.XML of one submission set: what it says of the whole, and how its documents are related."""

from __future__ import annotations

from dataclasses import dataclass, field

from mappings.notes import Notes
from mappings.xds import vocabulary
from mappings.xds.datatypes import read_recipient
from mappings.xds.documents import institution_of
from mappings.xds.ebrim_reading import read_submission
from mappings.xds.identities import unique_id_of
from mappings.xds.model import DocumentEntry, Slots, Submission, action_of
from mappings.xml_source import parse_xml
from schemas.actors import Organization, Recipient
from schemas.document import Document, DocumentOperation

LIMIT = 16 * 1024 * 1024
"""Bytes of one METADATA.XML at most: a document has about eight thousand."""

_ACTIONS = {"D": DocumentOperation.DELETE, "C": DocumentOperation.REPLACE}


@dataclass(frozen=True, slots=True)
class Lot:
    """One submission set as its metadata describe it; an empty one has no metadata."""

    submission: Submission = field(default_factory=Submission)
    recipients: tuple[Recipient, ...] = ()
    sender: Organization | None = None

    @property
    def unique_id(self) -> str | None:
        """The identity of the submission at its sender."""
        lot = self.submission.submission_set
        return lot.unique_id if lot is not None else None

    def related(self, document: Document, entry: DocumentEntry, notes: Notes) -> Document:
        """Give a document what is said of it beside its own entry: what it replaces, or that it is to be deleted.

        The extra metadata `action` stands on the document, the submission set or the request. A replaced document is
        named by its own id in the CDA; the entry UUID of an RPLC association means something to a registry only.
        """
        action = entry.action or self._action
        operation = _ACTIONS.get(action or "", document.operation)
        if action and action not in _ACTIONS:
            notes.warning("xdm.action.unknown", entry.entry_uuid, "the action is neither C (replace) nor D (delete)")
        replaces = document.replaces_id
        for link in self.submission.associations:
            if link.type != vocabulary.REPLACES or link.source != entry.entry_uuid:
                continue
            if operation is DocumentOperation.CREATE:
                operation = DocumentOperation.REPLACE
            if replaces is None:
                replaces = unique_id_of(link.target) if not link.target.startswith("urn:uuid:") else None
        if operation is DocumentOperation.REPLACE and replaces is None:
            notes.warning(
                "xdm.replace.no_target", entry.entry_uuid, "nothing names the document that this one replaces"
            )
        if (operation, replaces) == (document.operation, document.replaces_id):
            return document
        return document.model_copy(update={"operation": operation, "replaces_id": replaces})

    def is_transformed(self, entry: DocumentEntry | None, original: DocumentEntry | None) -> bool:
        """Say whether an entry is related to another as its transformation (XFRM)."""
        if entry is None or original is None:
            return False
        return any(
            link.type == vocabulary.TRANSFORMS and (link.source, link.target) == (entry.entry_uuid, original.entry_uuid)
            for link in self.submission.associations
        )

    @property
    def _action(self) -> str | None:
        lot = self.submission.submission_set
        return (action_of(lot.extra) if lot is not None else None) or action_of(self.submission.extra)


def read_lot(content: bytes, name: str, notes: Notes) -> Lot:
    """Read METADATA.XML. Raises FormatError `xdm.metadata.…` when it is not XML that may be read."""
    root = parse_xml(content.lstrip(), code="xdm.metadata", where=name, limit=LIMIT)
    submission = read_submission(root, notes, name)
    lot = submission.submission_set
    if lot is None:
        notes.warning("xdm.metadata.no_submission_set", name, "the metadata have no submission set")
    if not submission.entries:
        notes.error("xdm.metadata.empty", name, "the metadata list no document")
    _leave(submission, name, notes)
    recipients = (read_recipient(text) for text in lot.intended_recipients) if lot is not None else ()
    authors = lot.authors if lot is not None else ()
    senders = (institution_of(author) for author in authors)
    return Lot(
        submission=submission,
        recipients=tuple(one for one in recipients if one is not None),
        sender=next((one for one in senders if one is not None), None),
    )


def _leave(submission: Submission, name: str, notes: Notes) -> None:
    """Say which metadata an Item has no place for."""
    _leave_slots(submission.extra, f"{name} RequestSlotList", notes)
    lot = submission.submission_set
    if lot is not None:
        where = f"{name} SubmissionSet"
        code = lot.content_type_code
        notes.leave(f"{where} contentTypeCode", " ".join(filter(None, (code.code, code.label))) if code else "")
        notes.leave(f"{where} comments", lot.comments or "")
        _leave_slots(lot.extra, where, notes)
    for entry in submission.entries:
        where = f"{name} {entry.entry_uuid}"
        notes.leave(f"{where} referenceIdList", " ".join(entry.reference_ids))
        _leave_slots(entry.extra, where, notes)
    known = {vocabulary.HAS_MEMBER, vocabulary.REPLACES, vocabulary.TRANSFORMS}
    for link in submission.associations:
        if link.type not in known:
            notes.leave(f"{name} {link.id}", f"{link.type} {link.source} {link.target}")


def _leave_slots(slots: Slots, where: str, notes: Notes) -> None:
    for name, values in slots:
        if not name.lower().endswith("action"):
            notes.leave(f"{where} {name}", " ".join(values))
