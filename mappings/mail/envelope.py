"""What the header of a mail says: who writes to whom, when, in which thread, and the fields of MSSanté (§4.1, §8)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mappings.contracts import Correspondence
from mappings.mail.headers import Headers, Mailbox
from mappings.mail.mime import Part
from mappings.mail.reports import mailbox
from mappings.mail.thread_marks import answered_by
from schemas.actors import Organization, Professional, Recipient
from schemas.coding import Identifier
from schemas.identity import PatientIdentity
from schemas.mailboxes import is_patient_address, matricule_of

XDM_SUBJECT = re.compile(r"XDM/1\.0/DDM(?:\+(.*))?", re.IGNORECASE)
HNET_MESSAGE = re.compile(r"^\s*HNET\.1/MSG/", re.IGNORECASE)
HNET_CERTIFICATE = re.compile(r"^\s*HNET\.1/CER/", re.IGNORECASE)
CLOSING_SUBJECT = "[FIN]"
"""The subject, to the letter, by which a patient's exchange is closed."""

_ANSWER = re.compile(r"^\s*(?:re|réf|ref|rép|rep|aw|antw|sv)\s*(?:\[\d+\])?\s*:", re.IGNORECASE)
_MOST_RECIPIENTS = 200


@dataclass(frozen=True, slots=True)
class Envelope:
    """The header of one mail. Message identities have no angle brackets; the name of a sender is never verified."""

    message_id: str | None
    subject: str
    sender: Mailbox | None
    reply_to: str | None
    to: tuple[Mailbox, ...]
    sent_at: str | None
    in_reply_to: str | None
    references: tuple[str, ...]
    closed: bool
    urgent: bool | None
    document_codes: tuple[str, ...]
    says_ins: str

    @property
    def is_answer(self) -> bool:
        """Whether the subject says that this answers something."""
        return _ANSWER.match(self.subject) is not None

    @property
    def thread(self) -> str | None:
        """The Message-ID of the first mail of the thread; None for an answer that does not say to what."""
        if self.references:
            return self.references[0]
        return self.in_reply_to or (None if self.is_answer else self.message_id)

    @property
    def correspondence(self) -> Correspondence:
        """The head of the mail as the router keeps it."""
        return Correspondence(
            self.message_id,
            self.thread,
            self.in_reply_to,
            self.sender.address if self.sender is not None else "",
            (self.sender.name or "") if self.sender is not None else "",
            tuple(one.address for one in self.to),
            self.subject,
        )

    @property
    def announced(self) -> str | None:
        """What the subject of a document mail says after `XDM/1.0/DDM+`: a label, a name, a birth date."""
        found = XDM_SUBJECT.search(self.subject)
        return (found[1] or "").strip() if found is not None else None

    @property
    def is_from_patient(self) -> bool:
        """Whether it comes from a mailbox of Mon espace santé."""
        return self.sender is not None and is_patient_address(self.sender.address)

    @property
    def patient(self) -> PatientIdentity:
        """Whom a patient's own address names: a number without authority or traits, which certifies nothing."""
        matricule = matricule_of(self.sender.address) if self.sender is not None else None
        if matricule is None:
            return PatientIdentity()
        return PatientIdentity(identifiers=(Identifier(value=matricule, type="INS"),))

    @property
    def organization(self) -> Organization | None:
        """The sender as an organisation, unless it is a patient."""
        if self.sender is None or self.is_from_patient:
            return None
        return Organization(name=self.sender.name or self.sender.address, telecoms=(mailbox(self.sender.address),))

    @property
    def recipients(self) -> tuple[Recipient, ...]:
        """Whom the mail is for, by address. A patient's address is an INS, and goes on with nothing of the mail."""
        others = (one for one in self.to if not is_patient_address(one.address))
        people = (Professional(name=one.name, telecoms=(mailbox(one.address),)) for one in others)
        return tuple(Recipient(professional=one) for one in people)


def envelope_of(mail: Part) -> Envelope:
    """Read the header of a mail."""
    return envelope_in(mail.headers)


def envelope_in(headers: Headers) -> Envelope:
    """Read the fields of a header."""
    senders = headers.mailboxes("From") or headers.mailboxes("Sender")
    replies = headers.mailboxes("Reply-To")
    ids, answered = headers.message_ids("Message-ID"), headers.message_ids("In-Reply-To")
    subject = headers.text("Subject")
    to = tuple(dict.fromkeys((*headers.mailboxes("To"), *headers.mailboxes("Cc"))))[:_MOST_RECIPIENTS]
    codes = (one.strip() for one in headers.text("X-MSS-CODECDA").split(","))
    return Envelope(
        message_id=ids[0] if ids else None,
        subject=subject,
        sender=senders[0] if senders else None,
        reply_to=next((one.address for one in replies if not is_patient_address(one.address)), None),
        to=to,
        sent_at=headers.moment(),
        in_reply_to=answered[0] if answered else _marked(subject, to),
        references=headers.message_ids("References"),
        closed=headers.text("X-MSS-MES").upper() == "FIN" or headers.raw("Subject") == CLOSING_SUBJECT,
        urgent=_urgent(headers.text("Importance"), headers.text("X-Priority"), headers.text("Priority")),
        document_codes=tuple(one for one in codes if one),
        says_ins=headers.text("X-MSS-INS").upper(),
    )


def _marked(subject: str, to: Sequence[Mailbox]) -> str | None:
    """Give the Message-ID that the mark in the subject of an answer names."""
    return answered_by(subject, to[0].address) if to and _ANSWER.match(subject) else None


def _urgent(importance: str, x_priority: str, priority: str) -> bool | None:
    if importance.lower() == "high" or x_priority[:1] in {"1", "2"} or priority.lower() == "urgent":
        return True
    return None
