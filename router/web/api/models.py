"""What the API answers, as pydantic models: times are ISO 8601 in UTC. Lists hold no health data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from router.journal.queries_lines import ItemLine, MessageLine
from router.journal.queries_message import DeliveryLine, MessageDetail
from schemas.finding import Finding, Unread


class ItemOut(BaseModel):
    """An Item: what it is and where its routing ended. `canonical` only with the message itself."""

    id: int
    kind: str
    state: str
    reason: str | None = None
    patient_id: int | None = None
    routes: dict[str, bool | str] | None = None
    canonical: dict[str, Any] | None = None


class AttemptOut(BaseModel):
    """One sending."""

    number: int
    started_at: datetime
    ended_at: datetime
    outcome: str
    detail: str


class ReceiptOut(BaseModel):
    """What the partner said later: how far it came (`accepted`, `published`, `delivered`, `read`), or a refusal."""

    at: datetime
    stage: str
    positive: bool
    detail: str


class DeliveryOut(BaseModel):
    """A Delivery; `identity` is repeated by every retry."""

    id: int
    message_id: int
    item_id: int
    destination: str
    route: str
    state: str
    identity: str
    format: str
    media_type: str
    size: int
    created_at: datetime
    ended_at: datetime | None
    next_attempt_at: datetime | None
    tries: int
    detail: str
    replay_of: int | None
    attempts: list[AttemptOut] = []
    receipts: list[ReceiptOut] = []


class MessageOut(BaseModel):
    """A message; `deliveries` counts its Deliveries by state, `mappings` is the version that it was read with."""

    id: int
    received_at: datetime
    source: str
    state: str
    control_id: str
    message_type: str
    format: str
    size: int
    processed_at: datetime | None
    duplicates: int
    replays: int
    mappings: int | None
    worst: int
    unread: int
    items: list[ItemOut]
    deliveries: dict[str, int]


class MessageDetailOut(MessageOut):
    """A message with its findings, what was left unread, its Items' content and its Deliveries."""

    findings: list[Finding]
    unread_parts: list[Unread]
    delivery_list: list[DeliveryOut]


class MessagesOut(BaseModel):
    """A page, newest first. `next` goes on from here as `before`; null at the end."""

    messages: list[MessageOut]
    next: int | None


class DeliveriesOut(BaseModel):
    """A page, newest first. `next` goes on from here as `before`; null at the end."""

    deliveries: list[DeliveryOut]
    next: int | None


class DoneOut(BaseModel):
    """How many rows were changed."""

    changed: int


class SearchIn(BaseModel):
    """A search: its text travels in the body, never in an address."""

    text: str


class PatientsOut(BaseModel):
    """What came of a registration. `conflicts` are identities whose numbers belong to several known patients."""

    ids: list[int]
    created: int
    updated: int
    conflicts: int


class FlowOut(BaseModel):
    """A source or destination right now; `per_minute` is the mean of the last five minutes."""

    name: str
    side: str
    connector: str
    state: str
    detail: str
    address: str
    paused: bool
    last_at: datetime | None
    per_minute: float
    last_hour: int
    waiting: int
    waiting_capped: bool
    failures: int
    figures: dict[str, int | float | str]


def moment(micros: int | None) -> datetime | None:
    """Give a time of the journal as a date-time in UTC."""
    return None if micros is None else at(micros)


def at(micros: int) -> datetime:
    """Give a time of the journal that is always there."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


def item_out(line: ItemLine) -> ItemOut:
    """Give an Item without its content."""
    return ItemOut(id=line.id, kind=line.kind, state=line.state.value, reason=line.reason, patient_id=line.patient_id)


def message_values(line: MessageLine) -> dict[str, Any]:
    """Give the fields of a MessageOut."""
    return {
        "id": line.id,
        "received_at": at(line.received_at),
        "source": line.source,
        "state": line.state.value,
        "control_id": line.control_id,
        "message_type": line.message_type,
        "format": line.format,
        "size": line.size,
        "processed_at": moment(line.processed_at),
        "duplicates": line.duplicates,
        "replays": line.replays,
        "mappings": line.mappings,
        "worst": line.worst,
        "unread": line.unread,
        "items": [item_out(item) for item in line.items],
        "deliveries": {state.value: count for state, count in line.deliveries.items()},
    }


def detail_out(detail: MessageDetail, bodies: dict[int, dict[str, Any]]) -> MessageDetailOut:
    """Give a whole message; `bodies` are the canonical contents by Item."""
    values = message_values(detail.line)
    values["items"] = [
        item_out(item.line).model_copy(
            update={
                "canonical": bodies.get(item.line.id),
                "routes": {
                    route.name: route.detail if route.matched is None else route.matched for route in item.routes
                },
            }
        )
        for item in detail.items
    ]
    return MessageDetailOut(
        **values,
        findings=list(detail.findings),
        unread_parts=list(detail.unread),
        delivery_list=[delivery_out(delivery) for delivery in detail.deliveries],
    )


def delivery_out(line: DeliveryLine) -> DeliveryOut:
    """Give a Delivery with the attempts that were loaded."""
    return DeliveryOut(
        id=line.id,
        message_id=line.message_id,
        item_id=line.item_id,
        destination=line.destination,
        route=line.route,
        state=line.state.value,
        identity=line.identity,
        format=line.format,
        media_type=line.media_type,
        size=line.size,
        created_at=at(line.created_at),
        ended_at=moment(line.ended_at),
        next_attempt_at=moment(line.next_attempt_at),
        tries=line.tries,
        detail=line.detail,
        replay_of=line.replay_of,
        attempts=[
            AttemptOut(
                number=one.number,
                started_at=at(one.started_at),
                ended_at=at(one.ended_at),
                outcome=one.outcome,
                detail=one.detail,
            )
            for one in line.attempts
        ],
        receipts=[
            ReceiptOut(at=at(one.at), stage=one.stage, positive=one.positive, detail=one.detail)
            for one in line.receipts
        ],
    )
