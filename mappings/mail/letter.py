"""One mail that people (or their programs) wrote: its documents, each by its own format, and its text as a note."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mappings.contracts import FormatError, ReadContext
from mappings.mail.bodies import decoded, text_of
from mappings.mail.classify import MailKind
from mappings.mail.envelope import HNET_MESSAGE, Envelope
from mappings.mail.files import FileKind, MailFile, file_of, hprim_format, read_file
from mappings.mail.gathering import gather
from mappings.mail.liaison import NAME, note_item
from mappings.mail.mime import LIMITS, PARTLY_READ, Part, parse
from mappings.mail.people import check_one_patient, check_subject, one_patient
from mappings.mail.smime import open_layers
from mappings.mail.smime_decrypt import UNDECIPHERED
from mappings.mail.tnef import attached_names
from mappings.mail.twins import Found, paired
from mappings.mail.wording import says_something
from mappings.notes import Notes
from schemas.document import Document
from schemas.item import DocumentItem, Item, Provenance

_HNET_BODY = 0.25
"""How sure HPRIM must be of a body whose subject says that it is HPRIM."""
_ANY_BODY = 0.5
_MOST_WRAPPED = 20
"""Signed or encrypted parts of one mail that are opened."""


class MailReader(Protocol):
    """Who reads the whole mail, and the mails that travel in it."""

    context: ReadContext
    notes: Notes
    items: list[Item]

    def read_mail(self, mail: Part, where: str, level: int) -> MailKind:
        """Read a mail that was forwarded at `where`."""

    def add(self, item: Item, where: str) -> Item:
        """Give an Item its number and place, and keep it."""


class Letter:
    """One mail that people (or their programs) wrote, and the mails forwarded in it."""

    def __init__(
        self, reader: MailReader, mail: Part, envelope: Envelope, entity: Part, where: str, level: int
    ) -> None:
        self.reader = reader
        self.notes = reader.notes
        self.context = reader.context
        self.mail = mail
        self.envelope = envelope
        self.parts = gather(entity)
        self.where = where
        self.level = level
        self.found: list[Found] = []
        self.closed: list[Part] = []
        """Parts that could not be opened: they go with the note."""

    def read(self) -> None:
        """Give every document of the mail and of those in it to the reader, then the note."""
        before = len(self.reader.items)
        self._unwrap()
        files = [self._file(part) for part in self.parts.files]
        kept = [one for one in files if one is not None]
        names = {one.part.filename: one.content for one in kept if one.part.filename}
        texts = self._texts(names)
        for file in kept:
            self._open(file, names)
        self.found = paired(self.found, self.notes)
        self._check()
        for one in self.found:
            for item in one.items:
                self.reader.add(self._addressed(item), one.where_of(item))
        self._forwarded()
        self._note(texts, something=len(self.reader.items) > before)

    def _unwrap(self) -> None:
        """Open the signed and encrypted parts that stand beside others; one that stays closed goes with the note."""
        for _ in range(_MOST_WRAPPED):
            if not self.parts.wrapped:
                return
            part = self.parts.wrapped.pop(0)
            opened = open_layers(part, self.mail, self.context, self.notes)
            if opened.entity is None:
                self.closed.append(part)
            else:
                self.parts.add(gather(opened.entity))
        if self.parts.wrapped:
            message = "too many parts are signed or encrypted one by one: the rest is not opened"
            self.notes.error(PARTLY_READ, self.parts.wrapped[0].where, message)
            self.closed += self.parts.wrapped

    # --- text

    def _texts(self, names: dict[str, bytes]) -> list[str]:
        """Read the texts; one that is HPRIM, or encrypted in the way of Apicrypt, is read as that."""
        told = HNET_MESSAGE.match(self.envelope.subject) is not None
        texts: list[str] = []
        for part in self.parts.texts:
            content = decoded(part, self.notes)
            if b"$APICRYPT" in content[:4096]:
                self._apicrypt(part)
            elif part.media_type == "text/plain" and hprim_format(content, _HNET_BODY if told else _ANY_BODY):
                self._structured(MailFile(part, content, FileKind.HPRIM), names)
            else:
                texts.append(text_of(part, self.notes))
        return [text for text in texts if text]

    def _apicrypt(self, part: Part) -> None:
        message = "this part is encrypted with Apicrypt, whose own program alone decrypts it"
        self.notes.error(UNDECIPHERED, part.where, message)
        self.closed.append(part)

    # --- files

    def _file(self, part: Part) -> MailFile | None:
        content = decoded(part, self.notes)
        if not content:
            self.notes.warning("mail.attachment.empty", part.where, "an attachment is empty")
            self.notes.leave(part.where, part.filename or part.media_type)
            return None
        return file_of(part, content)

    def _open(self, file: MailFile, names: dict[str, bytes]) -> None:
        match file.kind:
            case FileKind.ASIDE:
                self.notes.leave(file.where, file.part.filename or file.part.media_type)
            case FileKind.TNEF:
                self._tnef(file)
            case FileKind.APICRYPT:
                self._apicrypt(file.part)
            case FileKind.DOCUMENT:
                self._loose(file)
            case FileKind.XDM | FileKind.CDA | FileKind.HPRIM:
                self._structured(
                    file, {name: content for name, content in names.items() if content is not file.content}
                )

    def _structured(self, file: MailFile, siblings: dict[str, bytes]) -> None:
        try:
            reading = read_file(file, self.context, siblings)
        except FormatError as problem:
            if problem.code == "xdm.no_document" and not _is_named_xdm(file):
                self._loose(file)  # an ordinary ZIP
                return
            self.notes.error(problem.code, f"{file.where} {problem.where}".strip(), problem.message)
            self._loose(file)
            return
        if reading is None:
            self._loose(file)
            return
        for finding in reading.findings:
            self.notes.keep(finding.model_copy(update={"where": f"{file.where} {finding.where}".strip()}))
        for left in reading.unread:
            self.notes.leave(f"{file.where} {left.where}".strip(), left.text)
        self._take(file, reading.items)

    def _take(self, file: MailFile, items: Sequence[Item]) -> None:
        if not items:
            self._loose(file)
            return
        self.found.append(Found(file, list(items), certain=True))

    def _loose(self, file: MailFile) -> None:
        """Keep a file as a document as it stands: nothing in the mail says for certain whose it is."""
        description = file.part.headers.text("Content-Description")
        stem = (file.part.filename or "").rpartition(".")[0] or file.part.filename
        title = description or stem or self.envelope.subject or None
        document = Document(
            title=title,
            comment=self.envelope.subject if self.envelope.subject and self.envelope.subject != title else None,
            reply_to=self.envelope.reply_to,
            attachments=(file.attachment(title),),
        )
        item = DocumentItem(
            id="",
            occurred_at=self.envelope.sent_at,
            patient=self.envelope.patient,
            sender=self.envelope.organization,
            recipients=self.envelope.recipients,
            source=Provenance(format=NAME, where=""),
            content=document,
        )
        self.found.append(Found(file, [item], certain=False))

    def _tnef(self, file: MailFile) -> None:
        """Say that Outlook wrapped the attachments in its own way: they are listed, and the message held."""
        message = "the attachments are wrapped in winmail.dat, which is not opened: ask the sender for an ordinary mail"
        self.notes.error(PARTLY_READ, file.where, message)
        for name in attached_names(file.content):
            self.notes.leave(f"{file.where} winmail.dat", name)
        self._loose(file)

    # --- whose they are, and who sent them

    def _check(self) -> None:
        by_file = [[item.patient for item in one.items] for one in self.found if one.certain]
        documents = [
            p for one in self.found if one.certain and one.file.kind is not FileKind.HPRIM for p in one.patients
        ]
        reports = [p for one in self.found if one.certain and one.file.kind is FileKind.HPRIM for p in one.patients]
        # A laboratory sends the results of several people in one HPRIM mail; next to a document they are about one.
        check_one_patient([*documents, *reports] if documents else (), self.notes)
        if documents:
            check_subject(self.envelope, documents, self.notes)
        codes = {item.content.type.code for one in self.found for item in one.items
                 if isinstance(item, DocumentItem) and item.content.type is not None}  # fmt: skip
        if by_file and self.envelope.document_codes and codes and not codes & set(self.envelope.document_codes):
            message = "X-MSS-CODECDA does not name the type of a document of this mail"
            self.notes.warning("mail.code.differs", "X-MSS-CODECDA", message)
        if self.envelope.says_ins == "O" and documents and not any(one.ins or one.identifiers for one in documents):
            self.notes.warning("mail.ins.missing", "X-MSS-INS", "an INS is announced, and the documents have none")

    def _addressed(self, item: Item) -> Item:
        update: dict[str, object] = {
            "sender": item.sender or self.envelope.organization,
            "recipients": item.recipients or self.envelope.recipients,
        }
        if isinstance(item, DocumentItem) and item.content.reply_to is None and self.envelope.reply_to:
            update["content"] = item.content.model_copy(update={"reply_to": self.envelope.reply_to})
        return item.model_copy(update=update)

    # --- mails in it, and the note

    def _forwarded(self) -> None:
        for part in self.parts.mails:
            if part.children:
                self.reader.read_mail(part.children[0], part.where or "mail", self.level + 1)
                continue
            content = decoded(part, self.notes)
            if self.level + 1 >= LIMITS.forwarded or not content:
                message = "a mail inside this one is not read: it is too deep, or empty"
                self.notes.error(PARTLY_READ, part.where, message)
                continue
            try:
                inner = parse(content, self.notes)
            except FormatError as problem:
                self.notes.error(problem.code, part.where, problem.message)
                self.notes.leave(part.where, part.filename or part.media_type)
                continue
            self.reader.read_mail(inner, part.where or "mail", self.level + 1)

    def _note(self, texts: list[str], *, something: bool) -> None:
        """Make the note: of a mail without documents whatever it says, else of a text that says something."""
        text, envelope, beside = "\n\n".join(texts), self.envelope, [*self.parts.pictures, *self.closed]
        name = envelope.sender.name if envelope.sender is not None else None
        spoken = bool(text) and says_something(text, name or "")
        told = envelope.closed or envelope.urgent is not None or envelope.in_reply_to is not None
        if something and not (spoken or told or self.closed):
            self.notes.leave(f"{self.where} text".strip(), text)
            for part in beside:
                self.notes.leave(part.where, part.filename or part.media_type)
            return
        if not (text or envelope.subject or beside or something):
            self.notes.warning("mail.empty", self.where, "the mail has neither text nor subject nor documents")
        files = [file_of(part, content).attachment() for part in beside if (content := decoded(part, self.notes))]
        people = [patient for one in self.found if one.certain for patient in one.patients]
        self.reader.add(note_item(envelope, text, files, one_patient(people) or envelope.patient), self.where)


def _is_named_xdm(file: MailFile) -> bool:
    return "XDM" in (file.part.filename or "").upper() or b"IHE_XDM" in file.content[:65536]
