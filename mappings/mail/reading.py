"""A mail to Items: reports to receipts, documents each by its own format, and what people write to a note.

The order of decisions is that of the fact sheet (§6): what kind of mail it is comes before anything in it is opened.
"""

from __future__ import annotations

from mappings.contracts import ReadContext, Reading, item_id
from mappings.mail.bodies import decoded, text_of
from mappings.mail.classify import MailKind, is_automatic, kind_of
from mappings.mail.envelope import HNET_CERTIFICATE, Envelope, envelope_of
from mappings.mail.files import file_of
from mappings.mail.gathering import Gathered, gather
from mappings.mail.letter import Letter
from mappings.mail.liaison import NAME, note_item
from mappings.mail.mime import Part, parse
from mappings.mail.reports import read_report
from mappings.mail.smime import open_layers
from mappings.notes import Notes
from schemas.item import Item, Provenance, ReceiptItem
from schemas.mailboxes import is_patient_address

_ADDRESSED = ("To", "Cc", "Reply-To")
_UNUSED = ("X-MSS-NIL", "Comments", "Keywords", "Organization", "Sensitivity")


def read(content: bytes, context: ReadContext) -> Reading:
    """Read a mail.

    Raises FormatError `mail.no_header` and `mail.too_large` when it is none, `mail.key` for a key that cannot be used.
    """
    return _Reader(content, context).read()


class _Reader:
    def __init__(self, content: bytes, context: ReadContext) -> None:
        self.content = content
        self.context = context
        self.notes = Notes()
        self.items: list[Item] = []
        words = context.options.get("bounce_subjects", "").lower().split(";")
        self.bounce_subjects = tuple(word.strip() for word in words if word.strip())

    def read(self) -> Reading:
        mail = parse(self.content, self.notes)
        envelope = envelope_of(mail)
        for name in _UNUSED:
            self.notes.leave(name, mail.headers.text(name))
        for name in _ADDRESSED:
            for one in mail.headers.mailboxes(name):
                if is_patient_address(one.address):
                    self.notes.leave(name, one.address)
        if envelope.message_id is None:
            self.notes.warning("mail.message_id.missing", "Message-ID", "the mail has no identity of its own")
        kind = self.read_mail(mail, "", 0)
        return Reading(
            items=tuple(self.items),
            findings=self.notes.findings,
            unread=self.notes.unread,
            control_id=envelope.message_id,
            message_type=kind.value,
            correspondence=envelope.correspondence if kind is MailKind.MESSAGE else None,
        )

    def read_mail(self, mail: Part, where: str, level: int) -> MailKind:
        """Read a mail, or one that was forwarded in it at `where`."""
        kind = kind_of(mail, self.bounce_subjects)
        envelope = envelope_of(mail)
        if kind is not MailKind.MESSAGE:
            self._report(mail, kind, where)
            return kind
        if HNET_CERTIFICATE.match(envelope.subject):
            message = "a certificate was sent (HNET.1/CER): a person decides whether it is to be trusted"
            self.notes.warning("mail.hnet.certificate", where or "Subject", message)
            self._note(envelope, gather(mail), where)
            return kind
        opened = open_layers(mail, mail, self.context, self.notes)
        if opened.entity is None:
            self._note(envelope, Gathered(files=[mail]), where)
            return kind
        if opened.layers:
            kind = kind_of(opened.entity, self.bounce_subjects)
            if kind is not MailKind.MESSAGE:
                self._report(opened.entity, kind, where)
                return kind
        if is_automatic(mail):
            self.notes.info("mail.automatic", where, "a program sent this mail by itself")
        Letter(self, mail, envelope, opened.entity, where, level).read()
        return kind

    def _report(self, mail: Part, kind: MailKind, where: str) -> None:
        """Read a report; one that is only forwarded inside a mail is about somebody else's sending."""
        if where:
            self.notes.info("mail.report.inside", where, "a report was forwarded: it is not opened")
            self.notes.leave(where, mail.headers.text("Subject"))
            return
        for receipt in read_report(mail, kind, self.notes).receipts:
            source = Provenance(format=NAME, where=kind.value)
            number = item_id(self.content, len(self.items))
            self.items.append(ReceiptItem(id=number, occurred_at=receipt.at, source=source, content=receipt))

    def add(self, item: Item, where: str) -> Item:
        """Give an Item its number and place, and keep it."""
        source = Provenance(format=NAME, where=where or "mail")
        numbered = item.model_copy(update={"id": item_id(self.content, len(self.items)), "source": source})
        self.items.append(numbered)
        return numbered

    def _note(self, envelope: Envelope, parts: Gathered, where: str) -> None:
        """Keep a mail that is not opened as a note, with its parts as they came."""
        text = "\n\n".join(text_of(one, self.notes) for one in parts.texts)
        kept = [*parts.files, *parts.pictures, *parts.wrapped, *parts.mails]
        files = [file_of(one, content).attachment() for one in kept if (content := decoded(one, self.notes))]
        self.add(note_item(envelope, text, files, envelope.patient), where)
