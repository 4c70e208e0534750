"""The note that a mail is, or that goes with its documents."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.mail.envelope import Envelope
from schemas.attachment import Attachment
from schemas.identity import PatientIdentity
from schemas.item import NoteItem, Provenance
from schemas.note import LiaisonNote

NAME = "mail"
"""The format, as Items name where they come from."""


def note_item(envelope: Envelope, text: str, files: Sequence[Attachment], patient: PatientIdentity) -> NoteItem:
    """Make the note of a mail."""
    sender = envelope.sender
    content = LiaisonNote(
        note_id=envelope.message_id,
        thread=envelope.thread,
        in_reply_to=envelope.in_reply_to,
        subject=envelope.subject or None,
        text=text or None,
        sent_at=envelope.sent_at,
        sender_address=sender.address if sender is not None else None,
        sender_name=sender.name if sender is not None else None,
        reply_to=envelope.reply_to,
        urgent=envelope.urgent,
        closed=envelope.closed,
        attachments=tuple(files),
    )
    return NoteItem(
        id="",
        occurred_at=envelope.sent_at,
        patient=patient,
        sender=envelope.organization,
        recipients=envelope.recipients,
        source=Provenance(format=NAME, where=""),
        content=content,
    )
