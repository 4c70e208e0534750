"""A note as a mail: its text and files, and with the option `note_form = "archive"` also as a document (S13).

The document is a CDA of level 1 around a PDF of what the note says, in an IHE_XDM.ZIP with its PDF beside: what a
practice's own software files by itself. Its subject names nobody; without `note_subject` it is that of any document.
"""

from __future__ import annotations

import base64
import binascii
import re
from uuid import UUID

from mappings.cda.writing.pdf_made import pdf_of
from mappings.contracts import WriteContext, WriteRefused
from mappings.mail.addresses import Sending, flag
from mappings.mail.composing import Body, field, file_part, multipart, plain_field, text_part
from mappings.mail.document_mail import carried, ins_qualified
from mappings.mail.naming import MARKER, person_line, shown_moment, subject_of
from mappings.mail.thread_marks import marked
from mappings.notes import Notes
from mappings.xds.vocabulary import class_of_type, coding_of, known_type
from schemas.attachment import Attachment
from schemas.document import Document
from schemas.identity import PatientIdentity
from schemas.item import DocumentItem, NoteItem

ARCHIVE_FORM = "archive"
USUAL_TYPE = "11506-3"
"""LOINC, *CR ou fiche de suivi de soins par auxiliaire médical* (JDV_J07): what a liaison booklet holds."""

UNKNOWN = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}/[A-Za-z0-9!#$&^_.+-]{1,80}")
_IDENTITY = re.compile(r"[^<>()\[\]\\,;:\s\x00-\x20\x7f-\U0010ffff]{1,400}")


def note_mail(item: NoteItem, sending: Sending, context: WriteContext, notes: Notes) -> tuple[list[bytes], Body]:
    """Make the fields and the body of a note's mail. Raises WriteRefused, and what writing an archive raises."""
    note = item.content
    if note.withdrawn:
        message = "a note that its author takes back cannot be taken back from a mailbox"
        raise WriteRefused("mail.write.withdrawn", "content.withdrawn", message)
    enclosed = context.options.get("note_form", "") == ARCHIVE_FORM and not sending.to_patient
    head, parts = _enclosed(item, context, notes) if enclosed else ([_subject(item, context)], [])
    head += _conversation(item)
    if flag(context.options, "mdn", default=enclosed):
        head.append(plain_field("Disposition-Notification-To", sending.sender))
    if note.urgent:
        head.append(field("Importance", "high"))
    if sending.to_patient and note.closed:
        head.append(field("X-MSS-MES", "FIN"))
    _tell_what_stays(item, sending, notes, enclosed=enclosed)
    parts = [text_part(_text(item.patient, note.text or "", sending, context)), *parts]
    parts += [part for rank, one in enumerate(note.attachments) if (part := _file(one, rank, notes)) is not None]
    if len(parts) == 1:
        return head, parts[0]
    return head, multipart("mixed", [one.whole for one in parts], context.identity)


def _subject(item: NoteItem, context: WriteContext) -> bytes:
    return field("Subject", _marked(_own_subject(context) or item.content.subject or "Message", context))


def _own_subject(context: WriteContext) -> str:
    return context.options.get("note_subject", "").strip()


def _marked(subject: str, context: WriteContext) -> str:
    """End a subject with the mark of its thread, where that is asked for."""
    if not flag(context.options, "note_token", default=False):
        return subject
    try:
        return marked(subject, UUID(context.identity))
    except ValueError:
        return subject  # an identity of another make is found by its Message-ID alone


def _conversation(item: NoteItem) -> list[bytes]:
    note, fields = item.content, []
    answered = [one for one in dict.fromkeys((note.thread, note.in_reply_to)) if one and _is_message_id(one)]
    if note.in_reply_to and _is_message_id(note.in_reply_to):
        fields.append(plain_field("In-Reply-To", f"<{note.in_reply_to}>"))
    if answered and note.thread != note.note_id:
        fields.append(plain_field("References", " ".join(f"<{one}>" for one in answered)))
    return fields


def _is_message_id(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return bool(local and domain) and _IDENTITY.fullmatch(local) is not None and _IDENTITY.fullmatch(domain) is not None


# --- as a document


def _enclosed(item: NoteItem, context: WriteContext, notes: Notes) -> tuple[list[bytes], list[Body]]:
    """Give the fields that a document's mail has, and its archive with the PDF."""
    document = _document(item, context)
    found = carried(document, context, notes)
    own = _own_subject(context)
    subject = f"{MARKER}{own}" if own else subject_of(found.document, found.patient, "")
    head = [field("Subject", _marked(subject, context))]
    if found.document.type is not None:
        head.append(field("X-MSS-CODECDA", found.document.type.code))
    head.append(field("X-MSS-INS", "O" if ins_qualified(item.patient, found.patient) else "N"))
    return head, list(found.parts)


def _document(item: NoteItem, context: WriteContext) -> DocumentItem:
    note = item.content
    kind = known_type(context.options.get("note_document", "").strip() or USUAL_TYPE)
    if kind is None:
        raise WriteRefused("mail.option", "note_document", "the type of a note's document is a code of JDV_J07")
    title = note.subject or "Note du cahier de liaison"
    at = note.sent_at or item.occurred_at
    moment = at if at and "T" in at else context.now.astimezone(context.timezone).isoformat(timespec="seconds")
    pdf = pdf_of(title, _lines(item, title, context), moment)
    category = class_of_type(kind.code)
    content = Document(
        type=coding_of(kind),
        category=coding_of(category) if category is not None else None,
        title=title,
        language="fr-FR",
        created_at=moment,
        author=item.author,
        author_organization=item.author.organization if item.author is not None else None,
        confidentiality=note.visibility,
        period_start=moment,
        attachments=(
            Attachment(
                media_type="application/pdf", title=title, size=len(pdf), data=base64.b64encode(pdf).decode("ascii")
            ),
        ),
    )
    return DocumentItem(
        id=item.id,
        occurred_at=item.occurred_at,
        patient=item.patient,
        sender=item.sender,
        author=item.author,
        recipients=item.recipients,
        source=item.source,
        content=content,
    )


def _lines(item: NoteItem, title: str, context: WriteContext) -> list[str]:
    """Give what the PDF says: whom it is about, who wrote it and when, and the text."""
    note, author = item.content, item.author
    name = " ".join(one for one in (author.given_name, author.family_name) if one) if author is not None else ""
    structure = author.organization.name if author is not None and author.organization is not None else None
    lines = ["Note du cahier de liaison", ""]
    for words, value in (
        ("Patient", person_line(item.patient)),
        ("Objet", title),
        ("Nature", note.type.display or note.type.code if note.type is not None else ""),
        ("Auteur", name),
        ("Structure", structure or ""),
        ("Date", shown_moment(note.sent_at or item.occurred_at, context.timezone)),
        ("Urgence", "urgent" if note.urgent else ""),
    ):
        lines += [f"{words} : {value}"] if value else []
    lines += ["", *(note.text or "").splitlines()]
    files = [one.title or one.filename or one.media_type for one in note.attachments]
    return [*lines, "", *(f"Pièce jointe au message : {one}" for one in files)] if files else lines


# --- what is beside


def _text(patient: PatientIdentity, text: str, sending: Sending, context: WriteContext) -> str:
    """Give the text; who reads it in a mailbox must see whom it is about, where nothing else says so."""
    who = person_line(patient)
    if sending.to_patient or not who or not flag(context.options, "note_patient", default=True):
        return text
    return f"Concerne : {who}\n\n{text}"


def _tell_what_stays(item: NoteItem, sending: Sending, notes: Notes, *, enclosed: bool) -> None:
    note = item.content
    for name in ("type", "visibility"):
        if getattr(note, name) and not enclosed:
            notes.warning("mail.write.not_carried", f"content.{name}", "a mail has no place for this of a note")
    if note.closed and not sending.to_patient:
        notes.info("mail.write.not_carried", "content.closed", "only a patient can be told not to answer")
    if (item.author is not None or note.sender_name) and not enclosed:
        notes.info(
            "mail.write.not_carried", "author", "the mail is from the address of the destination, not its author"
        )


def _file(attachment: Attachment, rank: int, notes: Notes) -> Body | None:
    try:
        content = base64.b64decode(attachment.data, validate=True) if attachment.data is not None else None
    except (binascii.Error, ValueError):
        content = None
    if content is None:
        where = f"content.attachments[{rank}]"
        notes.error("mail.write.no_bytes", where, "the bytes of a file are not at hand: it is not in the mail")
        return None
    name = attachment.filename or attachment.title or f"piece-{rank + 1}"
    return file_part(
        content,
        attachment.media_type if _MEDIA_TYPE.fullmatch(attachment.media_type) else UNKNOWN,
        name,
        attachment.title or "",
    )
