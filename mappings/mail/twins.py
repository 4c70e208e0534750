"""One document that comes in several forms is one: its PDF beside the CDA, the HPRIM file of the same results."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

from mappings.mail.files import FileKind, MailFile
from mappings.notes import Notes
from mappings.same_person import SamePerson, same_person
from schemas.identity import PatientIdentity
from schemas.item import DocumentItem, Item, LabReportItem

_DATED = re.compile(r"^(\d{8})_([^_]+)_")


@dataclass(slots=True, eq=False)
class Found:
    """What one file of a mail gave: its Items, `certain` when they say themselves whose they are."""

    file: MailFile
    items: list[Item]
    certain: bool

    @property
    def patients(self) -> list[PatientIdentity]:
        """Whom its Items are about."""
        return [one.patient for one in self.items]

    def where_of(self, item: Item) -> str:
        """Say where an Item of it comes from."""
        return f"{self.file.where} {item.source.where}".strip() if self.certain else self.file.where

    @property
    def document(self) -> DocumentItem | None:
        """The only document in it, None when there are none or several."""
        found = [one for one in self.items if isinstance(one, DocumentItem)]
        return found[0] if len(found) == 1 else None


def paired(found: list[Found], notes: Notes) -> list[Found]:
    """Put each other form of a document with it; what is no other form of anything stays a document of its own."""
    kept: list[Found] = []
    whole = [one for one in found if one.certain and one.file.kind is not FileKind.HPRIM]
    pdfs = [one for one in found if not one.certain and one.file.is_pdf]
    inside = _inside(found)
    seen: set[bytes] = set()
    doubles: set[bytes] = set()
    for one in found:
        if one.file.kind is FileKind.HPRIM and one.certain and _same_results(one, whole, notes):
            continue
        if _is_double(one, whole, doubles) or (not one.certain and _is_known(one, inside, seen)):
            notes.info("mail.twin", one.file.where, "this file is in another attachment too: it is one document")
            continue
        if one in pdfs and _joined(one, pdfs, whole, notes):
            continue
        kept.append(one)
    return kept


def _inside(found: list[Found]) -> frozenset[str]:
    """Give the base64 of every file that an Item carries which a file of the mail gave."""
    return frozenset(
        attachment.data
        for one in found
        if one.certain
        for item in one.items
        if isinstance(item, DocumentItem | LabReportItem)
        for attachment in item.content.attachments
        if attachment.data is not None
    )


def _is_double(one: Found, whole: list[Found], seen: set[bytes]) -> bool:
    """Say whether a document came before in the same mail: the same file, or a CDA that is in an archive as well."""
    if not one.certain:
        return False
    digest = hashlib.sha256(one.file.content).digest()
    if digest in seen:
        return True
    seen.add(digest)
    if one.file.kind is not FileKind.CDA:
        return False
    archives = [other for other in whole if other.file.kind is FileKind.XDM]
    return bool(archives) and base64.b64encode(one.file.content).decode("ascii") in _inside(archives)


def _is_known(one: Found, inside: frozenset[str], seen: set[bytes]) -> bool:
    """Say whether the very bytes of a file are in what another one gave, or are those of an earlier file."""
    digest = hashlib.sha256(one.file.content).digest()
    if digest in seen:
        return True
    seen.add(digest)
    return bool(inside) and base64.b64encode(one.file.content).decode("ascii") in inside


def _replace(owner: Found, item: Item, other: Item) -> None:
    owner.items = [other if one is item else one for one in owner.items]


def _joined(pdf: Found, pdfs: list[Found], whole: list[Found], notes: Notes) -> bool:
    """Find the document whose PDF copy this is: the only one, or the one of the date and type that its name has."""
    documents = [(one, item) for one in whole for item in one.items if isinstance(item, DocumentItem)]
    if len(documents) == 1 and len(pdfs) == 1:
        target = documents[0]
    else:
        named = [entry for entry in documents if _is_named_after(pdf.file.part.filename, entry[1])]
        if len(named) != 1:
            return False
        target = named[0]
    owner, item = target
    attachment = pdf.file.attachment(item.content.title)
    content = item.content.model_copy(update={"attachments": (*item.content.attachments, attachment)})
    _replace(owner, item, item.model_copy(update={"content": content}))
    notes.info("mail.twin", pdf.file.where, "this PDF is the copy of a document of the mail: it is one document")
    return True


def _is_named_after(filename: str | None, item: DocumentItem) -> bool:
    """Say whether a PDF has the name of ECO.2.1.6 for a document: `AAAAMMJJ_type_NOM_prénom.pdf`."""
    found = _DATED.match(filename or "")
    kind, start = item.content.type, item.content.period_start or item.content.created_at
    if found is None or start is None or start.replace("-", "")[:8] != found[1]:
        return False
    label = (kind.display if kind is not None else None) or item.content.title or ""
    return _letters(found[2]) == _letters(label[:40])


def _letters(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


def _same_results(hprim: Found, whole: list[Found], notes: Notes) -> bool:
    """Put an HPRIM file beside the CDA of the same results: the CDA says more, the file is kept as it came."""
    ours = [one for one in hprim.items if isinstance(one, LabReportItem)]
    if len(ours) != 1 or len(hprim.items) != 1:
        return False
    for other in whole:
        reports = [one for one in other.items if isinstance(one, LabReportItem)]
        document = other.document
        same = [one for one in reports if one.content.report_id and one.content.report_id == ours[0].content.report_id]
        if document is None or not same or same_person(same[0].patient, ours[0].patient) is SamePerson.NO:
            continue
        attachment = hprim.file.attachment()
        files = (*document.content.attachments, attachment)
        content = document.content.model_copy(update={"attachments": files})
        _replace(other, document, document.model_copy(update={"content": content}))
        message = "the results of this HPRIM file are those of a CDA of the mail: they are read from the CDA"
        notes.info("mail.twin", hprim.file.where, message)
        return True
    return False
