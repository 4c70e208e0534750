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
    note_form           `archive`: a note to a professional goes with an IHE_XDM.ZIP of itself and its PDF (`note_mail`)
    note_document       the type (JDV_J07) of a note in an archive; 11506-3 by default
    note_token          `yes`: the subject of a note ends with a mark by which an answer finds its thread
    sign_key_password   opens `sign_key`

The options of `xdm` (`action_slot`, `issuer`, `source_id`…) go to the archive. Keys: `mappings.mail.smime_keys`.
The Message-ID comes from the identity of the Delivery: a retry repeats it, and an MDN or DSN names it.
"""

from __future__ import annotations

from mappings.contracts import Rendition, WriteContext, WriteRefused
from mappings.mail.addresses import Sending, flag, settle
from mappings.mail.composing import CRLF, Body, address, date, field, multipart, plain_field, text_part
from mappings.mail.document_mail import carried, ins_qualified
from mappings.mail.envelope import envelope_in
from mappings.mail.headers import parse_headers
from mappings.mail.naming import subject_of
from mappings.mail.note_mail import note_mail
from mappings.mail.smime_write import protected
from mappings.mail.thread_marks import message_id
from mappings.notes import Notes
from mappings.safe_names import safe_stem
from schemas.document import Document, DocumentOperation
from schemas.item import DocumentItem, Item, LabReportItem, NoteItem

MEDIA_TYPE = "message/rfc822"
REPLACE_MARK = "[Annule et remplace]"
_ENCLOSED = "Veuillez trouver ci-joint un document."
_REPLACED = "Ce document annule et remplace la version envoyée précédemment."
_WITHDRAWN = "Ce document est retiré par son auteur : il ne doit plus être utilisé."


def write(item: Item, context: WriteContext) -> Rendition:
    """Write one Item as one mail to one address.

    Raises WriteRefused for other kinds and for what may not be sent (`mail.write.…`), FormatError `mail.option` and
    `mail.key` for settings that cannot be used, and what writing the archive raises.
    """
    if isinstance(item, DocumentItem | LabReportItem | NoteItem):
        sending = settle(item, context)
        notes = Notes()
        if isinstance(item, NoteItem):
            head, body = note_mail(item, sending, context, notes)
        else:
            head, body = _document(item, sending, context, notes)
        return _rendition(head, body, sending, context, notes)
    raise WriteRefused("mail.write.kind", "kind", "a mail carries documents, laboratory reports and notes")


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
    head.append(field("X-MSS-INS", "O" if ins_qualified(item.patient, found.patient) else "N"))
    if sending.to_patient and wishes is not None and wishes.patient_may_not_reply:
        head.append(field("X-MSS-MES", "FIN"))
    text = said.mail_body_patient if sending.to_patient else said.mail_body_professionals
    parts = [text_part(text or _usual_text(shown, context)), *found.parts]
    return head, multipart("mixed", [one.whole for one in parts], context.identity)


def _usual_text(document: Document, context: WriteContext) -> str:
    more = {DocumentOperation.REPLACE: _REPLACED, DocumentOperation.DELETE: _WITHDRAWN}.get(document.operation)
    label = context.options.get("from_label", "").strip()
    return "\n\n".join(one for one in ("Bonjour,", _ENCLOSED, more, "Cordialement,", label) if one)
