"""Where what a tool wrote has gone: `GET [type]/[id]/$sent`, the Deliveries of its Item and their states.

For the tool that wrote it, and on behalf of who may read it. A partner's names for it (XDS uniqueId and entryUUID,
Message-ID) are given as the partner knows them.
"""

from __future__ import annotations

from sqlalchemy import select

from router.dossier.accesses import Access as Decided
from router.dossier.api.bundles import instant
from router.dossier.api.calls import Answer, Call
from router.dossier.api.outcomes import Refused, not_found
from router.dossier.api.reading import decided_of, refused_of
from router.dossier.api.service import Service
from router.dossier.store.elements import Json, Resource
from router.dossier.store.searching import Found, Search
from router.journal import tables
from router.journal.receipts import REFERENCE_PLACE
from router.journal.view import View
from schemas.habilitation import Action

MOST = 50
"""Deliveries that are told, the newest."""


async def sent(service: Service, call: Call, kind: str, logical_id: str) -> Answer:
    """Give the Deliveries as Parameters: `delivery` with `destination`, `state`, `at`, `detail` and `identifier`s."""
    call.require("read", kind)

    def find(view: View) -> tuple[Found | None, list[Decided], bool, list[Json]]:
        access = service.access(view, call)
        runner = Search(access)
        found = runner.one(kind, logical_id)
        if found is None:
            return None, refused_of(access, runner, kind, logical_id), False, []
        decided = decided_of(access, [found], Action.READ)
        column = tables.resource.c
        owner = view.connection.execute(select(column.owner).where(column.id == found.id)).scalar()
        mine = owner is not None and owner == call.may.reader.tool
        return found, decided, mine, _deliveries(view, found.id) if mine else []

    found, decided, mine, deliveries = await service.journal.look(find)
    await service.noted(call, f"{kind}/{logical_id}/$sent", decided)
    if found is None:
        raise not_found(kind)
    if not mine:
        raise Refused(403, "Where something has gone is told to the tool that wrote it.")
    resource: Resource = {"resourceType": "Parameters"}
    if deliveries:
        resource["parameter"] = deliveries
    return Answer(resource=resource)


def _deliveries(view: View, resource_id: int) -> list[Json]:
    body, item, delivery = tables.resource_body.c, tables.item.c, tables.delivery.c
    messages = select(body.message_id).where(body.resource_id == resource_id, body.message_id.is_not(None))
    rows = view.connection.execute(
        select(tables.delivery)
        .join(tables.item, item.id == delivery.item_id)
        .where(item.message_id.in_(messages))
        .order_by(delivery.id.desc())
        .limit(MOST)
    ).all()
    found: list[Json] = []
    for row in rows:
        parts: list[Json] = [
            {"name": "destination", "valueString": row.destination},
            {"name": "state", "valueCode": row.state},
            {"name": "at", "valueInstant": instant(row.ended_at or row.created_at)},
        ]
        if row.detail:
            parts.append({"name": "detail", "valueString": row.detail})
        found.append({"name": "delivery", "part": [*parts, *_names(view, row.id)]})
    return found


def _names(view: View, delivery_id: int) -> list[Json]:
    column = tables.delivery_reference.c
    rows = view.connection.execute(
        select(column.kind, column.sealed_value).where(column.delivery_id == delivery_id).order_by(column.kind)
    )
    return [
        {
            "name": "identifier",
            "valueIdentifier": {
                "type": {"text": row.kind},
                "value": view.sealer.open(row.sealed_value, REFERENCE_PLACE).decode(),
            },
        }
        for row in rows
    ]
