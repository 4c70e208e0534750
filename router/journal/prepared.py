"""What workers prepared for the journal: messages, their Items, their Deliveries; bytes are sealed already.

Values only: `router.journal.operations` keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from router.journal.correspondence import PreparedMail
from router.journal.following import Follow, Tell
from router.journal.mapping_versions import MappingsInForce
from router.journal.receipts import PreparedReceipt
from router.journal.tables import DeliveryState, ItemState, MessageState
from router.journal.unmapped import UnmappedCode
from schemas.finding import Finding


@dataclass(frozen=True, slots=True)
class PreparedDelivery:
    """A Delivery ready to be kept: its bytes are sealed already, in the worker."""

    destination: str
    route: str
    identity: str
    format: str
    media_type: str
    filename: str
    size: int
    sealed_content: bytes | None
    blob: str | None
    sealed_detail: bytes | None
    worst: int
    state: DeliveryState = DeliveryState.PENDING
    detail: str | None = None
    has_attachments: bool = False
    """Whether files travel beside: they are in `sealed_detail`."""
    ins_token: int | None = None
    """The INS under which it was prepared (`router.identity.standing`)."""
    recipient: str = field(default="", repr=False)
    """For whom it is, where a destination writes to each recipient apart; it is in `sealed_detail` as well."""
    mail: PreparedMail | None = None
    """The head of the mail that it is, None for any other format."""


@dataclass(frozen=True, slots=True)
class PreparedItem:
    """An Item ready to be kept, with its Deliveries. `item_id` is set when the Item exists and is released."""

    ordinal: int
    key: str
    kind: str
    state: ItemState
    reason: str | None
    patient_id: int | None
    lane: int
    routes: str | None
    sealed_summary: bytes
    sealed_body: bytes
    tokens: tuple[int, ...] = ()
    deliveries: tuple[PreparedDelivery, ...] = ()
    item_id: int | None = None
    blobs: str | None = None
    decision_id: int | None = None
    """The decision of a person by which it is released; None when the rules release it."""
    decision: str | None = None
    candidates: str | None = None
    patient_seen: int | None = None
    """When the patient had last changed as this was prepared: if it changed since, this is stale."""
    follow: Follow | None = None
    receipt: PreparedReceipt | None = None
    tell: Tell | None = None
    untold: bool = False
    """What it is for a dossier was not worked out, as nobody had one: as soon as somebody has, this is stale."""


@dataclass(frozen=True, slots=True)
class PreparedMessage:
    """What the worker made of one message."""

    message_id: int
    state: MessageState
    format: str | None
    worst: int
    unread: int
    sealed_report: bytes | None
    items: tuple[PreparedItem, ...] = ()
    rejection: Finding | None = None
    """The error for which it is rejected."""

    unmapped: tuple[UnmappedCode, ...] = ()
    mail: PreparedMail | None = None
    """The head of the mail that it is, None for reports about mails and for any other format."""
    received_at: int = 0
    """When that mail came, in microseconds."""
    mappings: MappingsInForce | None = None
    """What it was read with."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A Delivery that was committed and may be sent."""

    delivery_id: int
    destination: str
    lane: int
    prepared: PreparedDelivery
