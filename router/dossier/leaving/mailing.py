"""Notices by MSSanté: each is a Delivery of the Item that it is about, so that it is journaled, retried and receipted.

What a mail can carry (a document, a laboratory report, a note) is sent itself, as an IHE_XDM.ZIP, to who may be sent
it; of anything else, and to who may only be told, a short text. The identity is that of the notice: told twice, it is
recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from router.desk.leaving import attached_by_person
from router.dossier.context import Context
from router.dossier.leaving.channels import pass_on
from router.dossier.leaving.wording import SUBJECT, text_of
from router.dossier.loading import reader_of
from router.dossier.may import may
from router.dossier.queue import Due, due_within, settle_within
from router.engine.attachments import with_data
from router.engine.clock import moment
from router.engine.parcels import Parcels
from router.engine.plan import Plan
from router.identity.attached import attached
from router.identity.patients import load_patients
from router.journal import tables
from router.journal.decisions import attached_by_persons
from router.journal.operations import BODY_PLACE, NOTICES, Change, Queued, add_delivery
from router.journal.prepared import PreparedDelivery
from router.journal.sealing import Sealer
from router.journal.store import Store
from router.journal.tables import DeliveryState
from router.journal.unit import Unit
from router.recipients.deciding import addressed_to
from schemas.actors import Recipient, Telecom
from schemas.circle import Channel, Member
from schemas.consent import ConsentKind
from schemas.habilitation import Action
from schemas.identity import PatientIdentity
from schemas.item import ITEM, DocumentItem, Item, LabReportItem, NoteItem, Provenance
from schemas.note import LiaisonNote

AT_ONCE = 20

BOOKLET = {"note_form": "archive", "note_token": "yes", "note_subject": SUBJECT}
"""A note of the booklet goes as a document as well, and an answer finds its thread, unless the destination says no."""

TELLING = {"note_form": "text", "note_token": "no"}
"""What only tells that there is something is a text, and nothing to answer."""


@dataclass(frozen=True, slots=True)
class ToMail:
    """A notice to write: whether the member may be sent the thing itself, or is only told of it."""

    due: Due
    whole: bool


@dataclass(frozen=True, slots=True)
class Written:
    """A notice with the mail that carries it, and the row of its Item."""

    due: Due
    message_id: int
    lane: int
    prepared: PreparedDelivery


class ByMail:
    """Writes notices as mails for one destination. `write` runs in a thread of its own."""

    def __init__(self, plan: Plan, store: Store, destination: str) -> None:
        self._store = store
        self._sealer = store.sealer.clone()
        self._parcels = Parcels(plan, store, self._sealer)
        self._zone: ZoneInfo = plan.timezone
        self._destination = destination

    def take(self, now: int) -> Change[list[ToMail]]:
        """Take what is due; who cannot be written to is told otherwise, or the notice fails with the reason."""

        def change(unit: Unit) -> list[ToMail]:
            due, contexts = due_within(unit, (Channel.MSSANTE,), now=now, limit=AT_ONCE)
            found = []
            for one in due:
                there = select(tables.item.c.id).where(tables.item.c.id == one.item_id)
                gone = one.item_id is not None and unit.connection.execute(there).first() is None
                context = contexts[one.dossier_id]
                why = "no_delivery" if gone else refusal(one, context)
                if why:
                    pass_on(unit, one, why, now=now)
                else:
                    found.append(ToMail(one, _may_have(one, context, unit.sealer)))
            return found

        return Change(change, note="notices by MSSanté")

    def write(self, those: Sequence[ToMail], now: datetime) -> list[Written]:
        """Write the mails."""
        with self._store.reading() as connection:
            return [one for each in those if (one := self._written(connection, each, now)) is not None]

    def keep(self, those: Sequence[Written], now: int) -> Change[list[Queued]]:
        """Keep the mails as Deliveries, in one transaction with what became of their notices."""

        def change(unit: Unit) -> list[Queued]:
            queued = []
            for one in those:
                state = select(tables.alert_notice.c.state).where(tables.alert_notice.c.id == one.due.id)
                item = select(tables.item.c.id).where(tables.item.c.id == one.due.item_id)
                waits = unit.connection.execute(state).scalar() == "queued"
                if not waits or one.due.item_id is None or unit.connection.execute(item).first() is None:
                    continue  # annulled meanwhile, or its retention has ended
                if one.prepared.state is not DeliveryState.PENDING:
                    pass_on(unit, one.due, one.prepared.detail or "it cannot be written", now=now)
                    continue
                kept = add_delivery(unit, one.due.item_id, one.message_id, one.lane, one.prepared, now)
                settle_within(unit, one.due.id, "leaving", now=now, delivery_id=kept.delivery_id)
                queued.append(kept)
            return queued

        return Change(change, note="notices by MSSanté")

    def _written(self, connection: Connection, one: ToMail, now: datetime) -> Written | None:
        due = one.due
        row = connection.execute(select(tables.item).where(tables.item.c.id == due.item_id)).one_or_none()
        patient = load_patients(connection, self._sealer, [due.patient_id]).get(due.patient_id)
        if row is None or patient is None:
            return None
        by_person = bool(attached_by_persons(connection, [row.id]))
        complete = attached_by_person if by_person else attached
        item = complete(ITEM.validate_json(self._sealer.open(row.sealed_body, BODY_PLACE)), patient.identity)
        recipient = recipient_of(due.member)
        name = f"notice/{due.id}"
        if one.whole and isinstance(item, DocumentItem | LabReportItem | NoteItem):
            try:
                whole = addressed_to(with_data(item, self._store.blobs), (recipient,))
            except FileNotFoundError:  # its retention has ended: the member is told that there was something
                whole = None
            if whole is not None:
                prepared = self._parcels.apart(whole, self._destination, NOTICES, name, now, usual=BOOKLET)
                if prepared.state is DeliveryState.PENDING:
                    return Written(due, row.message_id, row.lane, prepared)
        note = self._note(due, item, patient.identity, recipient)
        prepared = self._parcels.apart(note, self._destination, NOTICES, name, now, always=TELLING)
        return Written(due, row.message_id, row.lane, prepared)

    def _note(self, due: Due, item: Item, patient: PatientIdentity, recipient: Recipient) -> NoteItem:
        at = moment(due.at)
        text = text_of(due.event, item, at, self._zone)
        content = LiaisonNote(
            subject=SUBJECT, text=text, sent_at=at.isoformat(timespec="seconds"), urgent=due.level == "urgent" or None
        )
        return NoteItem(
            id=f"notice-{due.id}",
            occurred_at=at.isoformat(timespec="seconds"),
            patient=patient,
            recipients=(recipient,),
            source=Provenance(format="dossier", where=f"alert {due.alert_id}"),
            content=content,
        )


def without_mail(now: int) -> Change[int]:
    """Let what waits for MSSanté go by another channel, where no destination is configured; gives how many."""

    def change(unit: Unit) -> int:
        due, _ = due_within(unit, (Channel.MSSANTE,), now=now)
        for one in due:
            pass_on(unit, one, "no_mssante", now=now)
        return len(due)

    return Change(change, note="notices without MSSanté")


def refusal(one: Due, context: Context) -> str:
    """Say why a notice cannot be mailed; empty when it can."""
    if one.item_id is None:
        return "no_delivery"
    if context.agreed(ConsentKind.OPPOSITION_PROFESSIONAL_MAIL):
        return "opposed_mail"
    return "" if one.member.mailbox else "no_mailbox"


def _may_have(one: Due, context: Context, sealer: Sealer) -> bool:
    return may(reader_of(one.member_id, one.member, sealer), Action.PUSH, one.thing, context).allowed


def recipient_of(member: Member) -> Recipient:
    """Give a member as the one recipient of a mail, under the one address that they are known by."""
    telecoms = (Telecom(kind="mssante", value=member.mailbox or ""),)
    if member.professional is not None:
        alone = member.professional.model_copy(update={"telecoms": telecoms, "organization": None})
        return Recipient(professional=alone)
    organization = member.organization.model_copy(update={"telecoms": telecoms}) if member.organization else None
    return Recipient(organization=organization)
