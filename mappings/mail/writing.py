"""Items to mail, for MSSanté: a document or laboratory report as IHE_XDM.ZIP with its PDF copies, a note as text.

Options of a partner:

    from, from_label    the address that writes and the label beside it (ECO.2.2.7); `from` is needed
    nil                 the reference number of the product (X-MSS-NIL); needed in production
    to                  the one address of this destination; without it the Item names exactly one MSSanté address
    audience            `professional` or `patient`: whom this destination writes to, and with which text
    patient_domain      with audience `patient`: the address of a patient who is not named is `<INS>@` this domain
    reply_to            where answers go (ECO.2.2.5), by default where the document says
    mdn                 `yes` or `no`: ask for an MDN; by default for documents, unless their sender does not want it
    replace_mark        what stands in the subject of a correction (`[Annule et remplace]`)
    note_subject        the subject of every note, in place of its own: a title may hold health data
    note_patient        `no`: the text of a note to a professional does not begin with the patient's name
    sign_key_password   opens `sign_key`

The options of `xdm` (`action_slot`, `issuer`, `source_id`…) go to the archive. Keys: `mappings.mail.smime_keys`.
The Message-ID comes from the identity of the Delivery: a retry repeats it, and an MDN or DSN names it.
"""

from __future__ import annotations

import base64
import binascii
import re

from mappings.contracts import Rendition, WriteContext, WriteRefused
from mappings.mail.addresses import Sending, flag, settle
from mappings.mail.composing import CRLF, Body, address, date, field, file_part, multipart, plain_field, text_part
from mappings.mail.document_mail import Carried, carried
from mappings.mail.envelope import envelope_in
from mappings.mail.headers import parse_headers
from mappings.mail.naming import person_line, subject_of
from mappings.mail.smime_write import protected
from mappings.notes import Notes
from mappings.safe_names import safe_stem
from schemas.attachment import Attachment
from schemas.document import Document, DocumentOperation
from schemas.identity import PatientIdentity
from schemas.identity_status import ins_usable
from schemas.item import DocumentItem, Item, LabReportItem, NoteItem
from schemas.mailboxes import domain_of

MEDIA_TYPE = "message/rfc822"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}/[A-Za-z0-9!#$&^_.+-]{1,80}")
_UNKNOWN = "application/octet-stream"
REPLACE_MARK = "[Annule et remplace]"
_ENCLOSED = "Veuillez trouver ci-joint un document."
_REPLACED = "Ce document annule et remplace la version envoyée précédemment."
_WITHDRAWN = "Ce document est retiré par son auteur : il ne doit plus être utilisé."
_IDENTITY = re.compile(r"[^<>()\[\]\\,;:\s\x00-\x20\x7f-\U0010ffff]{1,400}")


def write(item: Item, context: WriteContext) -> Rendition:
    """Write one Item as one mail to one address.

    Raises WriteRefused for other kinds and for what may not be sent (`mail.write.…`), FormatError `mail.option` and
    `mail.key` for settings that cannot be used, and what writing the archive raises.
    """
    if isinstance(item, DocumentItem | LabReportItem | NoteItem):
        sending = settle(item, context)
        notes = Notes()
        if isinstance(item, NoteItem):
            head, body = _note(item, sending, context, notes)
        else:
            head, body = _document(item, sending, context, notes)
        return _rendition(head, body, sending, context, notes)
    raise WriteRefused("mail.write.kind", "kind", "a mail carries documents, laboratory reports and notes")


def message_id(identity: str, sender: str) -> str:
    """Make the Message-ID of a Delivery, without angle brackets: the same for the same identity and sender."""
    return f"{safe_stem(identity)}@{domain_of(sender)}"


def _rendition(head: list[bytes], body: Body, sending: Sending, context: WriteContext, notes: Notes) -> Rendition:
    password = context.options.get("sign_key_password", "")
    body = protected(body, context.keys, password, context.identity, context.now)
    now = context.now.astimezone(context.timezone)
    fields = [
        plain_field("From", address(sending.sender, sending.label)),
        plain_field("To", address(sending.recipient, sending.recipient_name)),
        *head,
        plain_field("Date", date(now.replace(microsecond=0))),
        plain_field("Message-ID", f"<{message_id(context.identity, sending.sender)}>"),
    ]
    if sending.reply_to:
        fields.append(plain_field("Reply-To", sending.reply_to))
    nil = context.options.get("nil", "")
    if nil:
        fields.append(field("X-MSS-NIL", nil))
    fields.append(b"MIME-Version: 1.0")
    content = CRLF.join([*fields, body.fields]) + CRLF + CRLF + body.content
    written = envelope_in(parse_headers(content, 0, len(content))[0]).correspondence
    filename = f"{safe_stem(context.identity)}.eml"
    return Rendition(content, MEDIA_TYPE, filename, notes.findings, correspondence=written)


# --- documents


def _document(
    item: DocumentItem | LabReportItem, sending: Sending, context: WriteContext, notes: Notes
) -> tuple[list[bytes], Body]:
    found = carried(item, context, notes)
    said = item.content if isinstance(item, DocumentItem) else found.document
    operation = said.operation if isinstance(item, DocumentItem) else found.document.operation
    shown = found.document.model_copy(update={"operation": operation})
    mark = context.options.get("replace_mark", REPLACE_MARK)
    head = [field("Subject", subject_of(shown, found.patient, mark))]
    thread = said.set_id or found.document.set_id
    if thread:
        # The versions of a document are one thread: they name a root that is theirs alone.
        root = message_id(f"versions-{safe_stem(thread)}", sending.sender)
        head.append(plain_field("References", f"<{root}>"))
    wishes = said.wishes
    if flag(context.options, "mdn", default=wishes is None or wishes.reading_receipt is not False):
        head.append(plain_field("Disposition-Notification-To", sending.sender))
    if found.document.type is not None:
        head.append(field("X-MSS-CODECDA", found.document.type.code))
    head.append(field("X-MSS-INS", "O" if _ins_qualified(item, found) else "N"))
    if sending.to_patient and wishes is not None and wishes.patient_may_not_reply:
        head.append(field("X-MSS-MES", "FIN"))
    text = said.mail_body_patient if sending.to_patient else said.mail_body_professionals
    parts = [text_part(text or _usual_text(shown, context)), *found.parts]
    return head, multipart("mixed", [one.whole for one in parts], context.identity)


def _usual_text(document: Document, context: WriteContext) -> str:
    more = {DocumentOperation.REPLACE: _REPLACED, DocumentOperation.DELETE: _WITHDRAWN}.get(document.operation)
    label = context.options.get("from_label", "").strip()
    return "\n\n".join(one for one in ("Bonjour,", _ENCLOSED, more, "Cordialement,", label) if one)


def _ins_qualified(item: DocumentItem | LabReportItem, found: Carried) -> bool:
    """Say whether the archive names the patient by a qualified INS with its five elements."""
    patient, said = found.patient, item.patient
    if patient.ins is None or not ins_usable(said.status, said.attributes):
        return False
    traits = (
        patient.birth_name,
        patient.first_given_name or patient.birth_given_names,
        patient.birth_date,
        patient.sex,
    )
    return bool(patient.ins.oid) and all(traits)


# --- notes


def _note(item: NoteItem, sending: Sending, context: WriteContext, notes: Notes) -> tuple[list[bytes], Body]:
    note = item.content
    if note.withdrawn:
        message = "a note that its author takes back cannot be taken back from a mailbox"
        raise WriteRefused("mail.write.withdrawn", "content.withdrawn", message)
    head = [field("Subject", context.options.get("note_subject", "").strip() or note.subject or "Message")]
    answered = [one for one in dict.fromkeys((note.thread, note.in_reply_to)) if one and _is_message_id(one)]
    if note.in_reply_to and _is_message_id(note.in_reply_to):
        head.append(plain_field("In-Reply-To", f"<{note.in_reply_to}>"))
    if answered and note.thread != note.note_id:
        head.append(plain_field("References", " ".join(f"<{one}>" for one in answered)))
    if flag(context.options, "mdn", default=False):
        head.append(plain_field("Disposition-Notification-To", sending.sender))
    if note.urgent:
        head.append(field("Importance", "high"))
    if sending.to_patient and note.closed:
        head.append(field("X-MSS-MES", "FIN"))
    _tell_what_stays(item, sending, notes)
    parts = [text_part(_text(item.patient, note.text or "", sending, context))]
    parts += [part for rank, one in enumerate(note.attachments) if (part := _file(one, rank, notes)) is not None]
    if len(parts) == 1:
        return head, parts[0]
    return head, multipart("mixed", [one.whole for one in parts], context.identity)


def _is_message_id(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return bool(local and domain) and _IDENTITY.fullmatch(local) is not None and _IDENTITY.fullmatch(domain) is not None


def _text(patient: PatientIdentity, text: str, sending: Sending, context: WriteContext) -> str:
    """Give the text; who reads it in a mailbox must see whom it is about, where nothing else says so."""
    who = person_line(patient)
    if sending.to_patient or not who or not flag(context.options, "note_patient", default=True):
        return text
    return f"Concerne : {who}\n\n{text}"


def _tell_what_stays(item: NoteItem, sending: Sending, notes: Notes) -> None:
    note = item.content
    for name in ("type", "visibility"):
        if getattr(note, name):
            notes.warning("mail.write.not_carried", f"content.{name}", "a mail has no place for this of a note")
    if note.closed and not sending.to_patient:
        notes.info("mail.write.not_carried", "content.closed", "only a patient can be told not to answer")
    if item.author is not None or note.sender_name:
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
        attachment.media_type if _MEDIA_TYPE.fullmatch(attachment.media_type) else _UNKNOWN,
        name,
        attachment.title or "",
    )
