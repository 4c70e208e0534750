"""Answers by mail: a note that answers a mail of ours belongs to the dossier that this mail was about.

Who answers is recognised by the address that the circle has of them, and writes as that member; the Message-ID that is
answered names the Delivery, and so the note, its thread and its patient. Anybody else's answer, one from a mailbox that
no standing member has, and what says by itself whom it is about go the ordinary way, to the identity desk.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from connectors.contracts import ReferenceKind
from router.dossier.circle import MemberLine, lines_of
from router.dossier.context import Thing
from router.dossier.keeping import dossier_of
from router.dossier.loading import as_reader, context_for
from router.dossier.may import may
from router.engine.clock import micros
from router.journal import tables
from router.journal.operations import BODY_PLACE
from router.journal.receipts import reference_token
from router.journal.sealing import Sealer
from schemas.habilitation import Action, DataCategory
from schemas.identity import PatientIdentity
from schemas.item import ITEM, NoteItem
from schemas.visibility import Mark

BY_ANSWER = "answer"
"""What recognised the patient of an answer."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as it belongs into its dossier: the note with its author and what it answers, and the patient."""

    item: NoteItem
    patient_id: int


def answered(connection: Connection, sealer: Sealer, item: NoteItem, now: datetime) -> Answered | None:
    """Find what a note answers; None where it answers nothing of ours, or not by a member who may write notes."""
    note = item.content
    if not note.in_reply_to or not note.sender_address or item.patient != PatientIdentity():
        return None
    found = _about(connection, sealer, note.in_reply_to)
    if found is None:
        return None
    patient_id, parent = found
    member = _writer(connection, sealer, patient_id, note.sender_address, micros(now))
    if member is None:
        return None
    thread = parent.content.thread or parent.content.note_id
    content = note.model_copy(update={"in_reply_to": parent.content.note_id, "thread": thread, "visibility": ()})
    if parent.content.visibility:  # what was hidden from some stays hidden from them in the answer
        content = content.model_copy(update={"visibility": parent.content.visibility})
    author = member.seat.member.professional
    return Answered(item.model_copy(update={"content": content, "author": author or item.author}), patient_id)


def _about(connection: Connection, sealer: Sealer, message_id: str) -> tuple[int, NoteItem] | None:
    """Give the patient and the note of the mail that bore this Message-ID."""
    reference, delivery, one = tables.delivery_reference.c, tables.delivery.c, tables.item.c
    statement = (
        select(one.patient_id, one.sealed_body)
        .join(tables.delivery, delivery.item_id == one.id)
        .join(tables.delivery_reference, reference.delivery_id == delivery.id)
        .where(
            reference.token == reference_token(sealer, message_id),
            reference.kind == ReferenceKind.MESSAGE_ID.value,
            one.patient_id.is_not(None),
            one.kind == "note",
        )
        .limit(1)
    )
    row = connection.execute(statement).first()
    if row is None:
        return None
    parent = ITEM.validate_json(sealer.open(row.sealed_body, BODY_PLACE))
    return (row.patient_id, parent) if isinstance(parent, NoteItem) else None


def _writer(connection: Connection, sealer: Sealer, patient_id: int, address: str, now: int) -> MemberLine | None:
    """Give the standing member whose mailbox this is, and who may write notes now."""
    line = dossier_of(connection, sealer, patient_id)
    if line is None:
        return None
    for member in lines_of(connection, sealer, line, now=now):
        if member.standing and address.casefold() in _mailboxes(member):
            context = context_for(connection, sealer, line, now=now)
            thing = Thing(DataCategory.NOTES, Mark.NONE, now)
            return member if may(as_reader(member, sealer), Action.WRITE, thing, context).allowed else None
    return None


def _mailboxes(member: MemberLine) -> set[str]:
    person, structure = member.seat.member.professional, member.seat.member.organization
    telecoms = [one for who in (person, structure) if who is not None for one in who.telecoms]
    return {one.value.casefold() for one in telecoms if one.kind == "mssante"}
