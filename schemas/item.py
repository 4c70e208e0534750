"""The Item: one canonical thing that a Message said about one patient."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from schemas.actors import Organization, Professional, Recipient
from schemas.appointment import Appointment
from schemas.base import Frozen, PartialDateTime
from schemas.document import Document
from schemas.finding import Finding
from schemas.identity import PatientIdentity
from schemas.identity_event import IdentityEvent
from schemas.lab import LabReport
from schemas.note import LiaisonNote
from schemas.receipt import Receipt
from schemas.stay import Stay
from schemas.task import Task


class ItemKind(StrEnum):
    """The kinds that exist today; DESIGN lists those to come."""

    LAB_REPORT = "lab_report"
    STAY = "stay"
    IDENTITY = "identity"
    DOCUMENT = "document"
    NOTE = "note"
    APPOINTMENT = "appointment"
    TASK = "task"
    RECEIPT = "receipt"


class Provenance(Frozen):
    """Where an Item came from: format, position in the message, and the journal's message id once it is known."""

    format: str
    where: str
    message_id: str | None = None


class ItemBase(Frozen):
    """What every Item has, whatever its kind.

    `id` is stable: the same bytes read twice give the same id (`mappings.contracts.item_id`). `replaces` is the
    identity of the thing that this one corrects. `occurred_at` is when it happened in the patient's life.
    """

    id: str
    occurred_at: PartialDateTime | None = None
    replaces: str | None = None
    patient: PatientIdentity
    sender: Organization | None = None
    author: Professional | None = None
    recipients: tuple[Recipient, ...] = ()
    source: Provenance


class LabReportItem(ItemBase):
    """A laboratory report about a patient."""

    kind: Literal["lab_report"] = "lab_report"
    content: LabReport


class StayItem(ItemBase):
    """An admission, transfer, leave, discharge or cancellation of a hospital stay."""

    kind: Literal["stay"] = "stay"
    content: Stay


class IdentityItem(ItemBase):
    """A creation, update or merge of an identity."""

    kind: Literal["identity"] = "identity"
    content: IdentityEvent


class DocumentItem(ItemBase):
    """A document about a patient."""

    kind: Literal["document"] = "document"
    content: Document


class NoteItem(ItemBase):
    """Something that somebody writes about a patient, to people around the patient or to the patient."""

    kind: Literal["note"] = "note"
    content: LiaisonNote


class AppointmentItem(ItemBase):
    """An appointment with a patient, or about one; `occurred_at` is when it begins."""

    kind: Literal["appointment"] = "appointment"
    content: Appointment


class TaskItem(ItemBase):
    """A request about a patient, and how far it is."""

    kind: Literal["task"] = "task"
    content: Task


class ReceiptItem(ItemBase):
    """A partner's answer about something that was sent. It names no patient: what it is about does."""

    kind: Literal["receipt"] = "receipt"
    patient: PatientIdentity = PatientIdentity()
    content: Receipt


Item = Annotated[
    LabReportItem | StayItem | IdentityItem | DocumentItem | NoteItem | AppointmentItem | TaskItem | ReceiptItem,
    Field(discriminator="kind"),
]

ITEM: TypeAdapter[
    LabReportItem | StayItem | IdentityItem | DocumentItem | NoteItem | AppointmentItem | TaskItem | ReceiptItem
] = TypeAdapter(Item)
"""Validates and dumps one Item: `ITEM.validate_json(bytes)`, `ITEM.dump_json(item)`."""


_KINDS = (LabReportItem, StayItem, IdentityItem, DocumentItem, NoteItem, AppointmentItem, TaskItem, ReceiptItem)
_BY_KIND = {kind: TypeAdapter(kind) for kind in _KINDS}


def dump_item(item: Item) -> bytes:
    """Dump one Item as JSON: what `ITEM.dump_json` gives, without looking for the kind that the Item knows itself."""
    return _BY_KIND[type(item)].dump_json(item)


class ItemSet(Frozen):
    """What `convert --to canonical` prints: Items and Findings."""

    items: tuple[Item, ...] = ()
    findings: tuple[Finding, ...] = ()
