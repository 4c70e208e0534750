"""Messages: lists by filters, search, one message with what it says, its bytes, and its replay."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from fastapi.responses import Response

from router.engine.searchable import sender_token
from router.journal.actions import replay_messages
from router.journal.mapping_versions import mapping_version
from router.journal.queries import MessageFilters, MessagePage, find_messages
from router.journal.queries_message import item_body, load_message, message_content
from router.journal.tables import MessageState
from router.journal.view import View
from router.web.access import Called, Office, Operator, Watcher
from router.web.answers import download
from router.web.api.models import (
    DoneOut,
    MessageDetailOut,
    MessageOut,
    MessagesOut,
    SearchIn,
    detail_out,
    message_values,
)
from router.web.api.models_mappings import ReplayIn
from router.web.api.problems import Refused
from router.web.desk import micros
from router.web.faults import NotThere
from router.web.filters import search_of
from schemas.item import ItemKind

router = APIRouter(tags=["messages"])

Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/messages")
async def list_messages(
    desk: Office,
    _caller: Watcher,
    state: MessageState | None = None,
    source: str | None = None,
    format: str | None = None,  # noqa: A002 - the address says so
    type: str | None = None,  # noqa: A002 - the address says so
    kind: ItemKind | None = None,
    worst: Annotated[int | None, Query(ge=1, le=3)] = None,
    control: Annotated[str | None, Query(max_length=256)] = None,
    sender: Annotated[str | None, Query(max_length=200)] = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: Limit = 50,
) -> MessagesOut:
    """List messages, newest first; `before` is the `next` of the page above. Nothing of a patient is in a list.

    `control` is a control id, or its beginning and `*`; `sender` the name or number of who wrote.
    """
    sealer = desk.context.store.sealer.clone() if sender else None
    filters = MessageFilters(
        state=state,
        source=source,
        format=format,
        message_type=type,
        kind=kind.value if kind is not None else None,
        worst=worst,
        since=micros(since) if since is not None else None,
        until=micros(until) if until is not None else None,
        control=control,
        sender=sender_token(sealer, sender) if sealer is not None and sender else None,
    )
    return _page(await desk.look(lambda view: find_messages(view, filters, before=before, limit=limit)))


@router.post("/messages/search")
async def search_messages(
    wanted: SearchIn, desk: Office, caller: Called, before: int | None = None, limit: Limit = 50
) -> MessagesOut:
    """Find messages by a control id, a report's or stay's number, a patient's name, INS or other identifier."""
    await desk.audit(caller.name, "search", "messages")

    def find(view: View) -> MessagePage:
        filters = MessageFilters(search=search_of(view.sealer, wanted.text[:200]))
        return find_messages(view, filters, before=before, limit=limit)

    return _page(await desk.look(find))


@router.get("/messages/{number}")
async def one_message(number: int, desk: Office, caller: Called) -> MessageDetailOut:
    """Give a message with its Items' canonical content, its findings and its Deliveries; noted in the audit."""

    def find(view: View) -> MessageDetailOut | None:
        detail = load_message(view, number)
        if detail is None:
            return None
        bodies: dict[int, dict[str, Any]] = {}
        for item in detail.items:
            body = item_body(view, item.line.id)
            if body is not None:
                bodies[item.line.id] = orjson.loads(body)
        return detail_out(detail, bodies)

    found = await desk.look(find)
    if found is None:
        raise NotThere
    await desk.audit(caller.name, "read message", f"message {number}", "api")
    return found


@router.get("/messages/{number}/content", response_class=Response)
async def original(number: int, desk: Office, caller: Called) -> Response:
    """Give a message byte for byte; noted in the audit."""
    found = await desk.look(lambda view: message_content(view, number))
    if found is None:
        raise NotThere
    await desk.audit(caller.name, "download", f"message {number}", "api")
    return download(found.content, found.filename or f"message-{number}.bin")


@router.post("/messages/{number}/replay", status_code=202)
async def replay(number: int, desk: Office, caller: Operator, wanted: ReplayIn | None = None) -> DoneOut:
    """Read a message again with today's routes, and with today's mappings or those of a version."""
    detail = await desk.look(lambda view: load_message(view, number))
    if detail is None:
        raise NotThere
    mappings = wanted.mappings if wanted is not None else None
    if mappings is not None and await desk.look(lambda view: mapping_version(view.connection, mappings)) is None:
        raise Refused(422, "There is no such version of the mappings.")
    changed = await desk.submit(replay_messages([number], actor=caller.name, now=desk.now(), mappings=mappings))
    if not changed:
        raise Refused(409, "This message is being read at the moment; ask again in a moment.")
    desk.changed()
    return DoneOut(changed=changed)


def _page(found: MessagePage) -> MessagesOut:
    return MessagesOut(messages=[MessageOut(**message_values(line)) for line in found.rows], next=found.before)
