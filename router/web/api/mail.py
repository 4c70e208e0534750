"""Mails by conversation, with how far each that left has come. No subject, no address of a patient."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from router.journal.queries_mail import (
    Conversation,
    MailFilters,
    MailLine,
    MailWish,
    find_conversations,
    load_conversation,
    mail_troubles,
)
from router.web.access import Called, Office, Watcher
from router.web.api.models import ReceiptOut, at
from router.web.boards import DAY, late_at
from router.web.faults import NotThere
from router.web.recipients import shown_address

router = APIRouter(tags=["mail"])


class MailOut(BaseModel):
    """One mail: `delivery_id` is null for one that came; `late` is without news for longer than is configured.

    `way` is `received`, `sending`, `held`, `taken`, `arrived`, `read`, `refused` or `cancelled`.
    """

    id: int
    at: datetime
    flow: str
    way: str
    late: bool
    message_id: int
    delivery_id: int | None
    sender: str
    recipients: list[str]
    name: str
    detail: str
    receipts: list[ReceiptOut]
    items: list[int]


class ConversationOut(BaseModel):
    """A conversation: its newest mails, the oldest first, and how many there are in all."""

    count: int
    mails: list[MailOut]


class ConversationsOut(BaseModel):
    """A page, newest first. `next` goes on from here as `before`; null at the end."""

    conversations: list[ConversationOut]
    next: int | None


class MailFiguresOut(BaseModel):
    """Mails that wait for a receipt too long, the oldest since when; those refused in 24 hours. `…_capped`: more."""

    waiting: int
    waiting_capped: bool
    waiting_since: datetime | None
    refused: int
    refused_capped: bool


@router.get("/mail")
async def conversations(
    desk: Office,
    _caller: Called,
    state: MailWish | None = None,
    box: str | None = None,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ConversationsOut:
    """List conversations, newest first; `before` is the `next` of the page above, `box` a source or destination."""
    filters = MailFilters(box, state, None, late_at(desk.context, desk.now()))
    found = await desk.look(lambda view: find_conversations(view, filters, before=before, limit=limit))
    return ConversationsOut(conversations=[_conversation(row) for row in found.rows], next=found.before)


@router.get("/mail/figures")
async def figures(desk: Office, _caller: Watcher) -> MailFiguresOut:
    """Count what is wrong with mails that left, as the overview does."""
    now = desk.now()
    found = await desk.look(lambda view: mail_troubles(view, late_at=late_at(desk.context, now), since=now - DAY))
    return MailFiguresOut(
        waiting=found.waiting.count,
        waiting_capped=found.waiting.more,
        waiting_since=at(found.waiting_since) if found.waiting_since is not None else None,
        refused=found.refused.count,
        refused_capped=found.refused.more,
    )


@router.get("/mail/{number}")
async def one_conversation(number: int, desk: Office, _caller: Called) -> ConversationOut:
    """Give the conversation that a mail belongs to."""
    late = late_at(desk.context, desk.now())
    found = await desk.look(lambda view: load_conversation(view, number, late))
    if found is None:
        raise NotThere
    return _conversation(found)


def _conversation(found: Conversation) -> ConversationOut:
    return ConversationOut(count=found.count, mails=[_mail(one) for one in found.mails])


def _mail(one: MailLine) -> MailOut:
    return MailOut(
        id=one.id,
        at=at(one.at),
        flow=one.flow,
        way=one.way.value,
        late=one.late,
        message_id=one.message_id,
        delivery_id=one.delivery_id,
        sender=shown_address(one.head.sender),
        recipients=[shown_address(address) for address in one.head.recipients],
        name=one.head.message_id,
        detail=one.detail,
        receipts=[
            ReceiptOut(at=at(receipt.at), stage=receipt.stage, positive=receipt.positive, detail=receipt.detail)
            for receipt in one.receipts
        ],
        items=[item.id for item in one.items],
    )
