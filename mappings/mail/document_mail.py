"""The parts of a mail that carries a document: the IHE_XDM.ZIP, and the PDF copy of each document beside it (§4.3)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import NamedTuple

from mappings.cda.narrative import narrative_of
from mappings.cda.writing.pdf_a import note_conformance
from mappings.cda.writing.pdf_made import pdf_of
from mappings.contracts import FormatError, ReadContext, WriteContext
from mappings.mail.composing import Body, file_part
from mappings.mail.naming import ARCHIVE, label_of, pdf_name, person_line, shown_day
from mappings.mail.narrative_text import text_lines
from mappings.notes import Notes
from mappings.xdm import FORMAT as XDM
from schemas.attachment import Attachment
from schemas.document import Document
from schemas.identity import PatientIdentity
from schemas.identity_status import ins_usable
from schemas.item import DocumentItem, LabReportItem

_PDF = "application/pdf"
LAB_REPORT = "11502-2"
"""LOINC, *CR d'examens biologiques*: a section of it holds its copy as PDF."""
_OF_THE_MAIL = frozenset({"content.reply_to", "content.mail_body_professionals", "content.mail_body_patient"})


class Carried(NamedTuple):
    """What travels: the attachments, and the document and patient as the document's own header states them."""

    parts: tuple[Body, ...]
    document: Document
    patient: PatientIdentity


def carried(item: DocumentItem | LabReportItem, context: WriteContext, notes: Notes) -> Carried:
    """Make the attachments of a document's mail. Raises what writing the archive raises."""
    rendition = XDM.write(item, context)
    for finding in rendition.findings:
        if finding.where not in _OF_THE_MAIL:
            notes.keep(finding)
    reading = XDM.read(rendition.content, ReadContext(timezone=context.timezone))
    read = next(one for one in reading.items if isinstance(one, DocumentItem))
    archive = file_part(rendition.content, "application/zip", ARCHIVE)
    copies = list(_copies(item, read, context, notes))
    names = [pdf_name(read.content, read.patient, context.timezone, rank) for rank in range(1, len(copies) + 1)]
    pdfs = [file_part(content, _PDF, name) for content, name in zip(copies, names, strict=True)]
    return Carried((archive, *pdfs), read.content, read.patient)


def ins_qualified(said: PatientIdentity, patient: PatientIdentity) -> bool:
    """Say whether an archive names the patient by a qualified INS with its five elements (X-MSS-INS).

    `said` is the identity of the Item, `patient` that of the document.
    """
    if patient.ins is None or not ins_usable(said.status, said.attributes):
        return False
    traits = (
        patient.birth_name,
        patient.first_given_name or patient.birth_given_names,
        patient.birth_date,
        patient.sex,
    )
    return bool(patient.ins.oid) and all(traits)


def _copies(
    item: DocumentItem | LabReportItem, read: DocumentItem, context: WriteContext, notes: Notes
) -> Iterator[bytes]:
    """Give the PDF of the document (ECO.2.1.5).

    A level 1 document has it for its body, a laboratory report in its own section; for any other it is the one that the
    source sent beside, else one is made of what the document says. A PDF that a document only encloses is no copy.
    """
    cda, *inside = read.content.attachments
    own = inside if _is_level_1(cda) or _is_report(read.content) else []
    known = {one.data for one in inside}
    beside = [one for one in item.content.attachments if one.data not in known]
    named = [(f"document file {rank}", one) for rank, one in enumerate(own, 1)]
    named = named or [(f"content.attachments[{item.content.attachments.index(one)}]", one) for one in beside]
    found = False
    for where, attachment in named:
        if attachment.media_type.partition(";")[0].strip() != _PDF or not attachment.data:
            continue
        try:
            content = base64.b64decode(attachment.data, validate=True)
        except (binascii.Error, ValueError):
            notes.error("mail.write.base64", where, "a file is not valid base64: it is not in the mail")
            continue
        note_conformance(attachment.data, where, notes)
        found = True
        yield content
    if not found:
        notes.warning("mail.write.pdf_made", "", "there is no PDF of this document: one was made; it is not PDF/A")
        yield _made(read, context)


def _is_level_1(cda: Attachment) -> bool:
    return b"nonXMLBody" in base64.b64decode(cda.data or "")


def _is_report(document: Document) -> bool:
    return document.type is not None and document.type.code == LAB_REPORT


def _made(read: DocumentItem, context: WriteContext) -> bytes:
    """Make a PDF: the header, then what the document's own sections say."""
    document = read.content
    author = document.author
    lines = [document.title or label_of(document), ""]
    lines += [f"Patient : {person_line(read.patient)}"] if person_line(read.patient) else []
    for words, value in (
        ("Type", label_of(document)),
        ("Date", shown_day(document.period_start or document.created_at, context.timezone)),
        ("Auteur", " ".join(one for one in (author.given_name, author.family_name) if one) if author else ""),
        ("Structure", document.author_organization.name if document.author_organization else ""),
    ):
        lines += [f"{words} : {value}"] if value else []
    lines.append("")
    lines += list(_text_lines(document))
    made_at = context.now.astimezone(context.timezone).isoformat(timespec="seconds")
    return pdf_of(document.title or label_of(document), lines, made_at)


def _text_lines(document: Document) -> Iterator[str]:
    """Give what the document says to a person, as text."""
    try:
        yield from text_lines(narrative_of(base64.b64decode(document.attachments[0].data or "")))
    except FormatError:
        return  # the header is all that can be shown of it
