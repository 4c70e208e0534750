"""Reading receipts ("vu par"): a tool says that the person for whom it asks has read something, and asks who has.

`POST [type]/[id]/$mark-read` and `GET [type]/[id]/$read-by`, for what may be read; both are about the thing, whatever
its version. On the CommunicationRequest of an alert, `$mark-read` is about having been told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import select

from router.dossier.accesses import Access as Decided
from router.dossier.api.bundles import instant
from router.dossier.api.calls import Answer, Call
from router.dossier.api.having import THINGS
from router.dossier.api.outcomes import Refused, not_found
from router.dossier.api.reading import decided_of, refused_of
from router.dossier.api.service import Service, keep_note
from router.dossier.keeping import MEMBER_PLACE
from router.dossier.readings import ReadBy, keep_alert_read, readers_of
from router.dossier.store.elements import Json, Resource
from router.dossier.store.searching import Found, Search
from router.journal import tables
from router.journal.operations import Change
from router.journal.unit import Unit
from router.journal.view import View
from schemas.circle import Member
from schemas.habilitation import Action


@dataclass(frozen=True, slots=True)
class _Reader:
    """Somebody who has the thing: who, as what, since when, and since when it is read."""

    label: str
    family: str
    by: ReadBy


async def mark_read(service: Service, call: Call, kind: str, logical_id: str) -> Answer:
    """Keep that the person has read it; who read it before has not read it anew."""
    call.require("read", kind)
    found, decided = await _found(service, call, kind, logical_id)
    members = {one.verdict.member for one in decided if one.verdict.allowed and one.verdict.member is not None}
    if not members:
        raise Refused(403, "Only a member of the circle reads something as such: name them with On-Behalf-Of.")
    if kind in THINGS:
        decided = [replace(one, opened=True) for one in decided]

    def change(unit: Unit) -> None:
        keep_note(unit, call, f"{kind}/{logical_id}/$mark-read", decided)
        if kind == "CommunicationRequest":
            for member in members:
                keep_alert_read(unit.connection, found.id, member, call.now)

    await service.journal.submit(Change(change, note="reading receipt"))
    return Answer(204)


async def read_by(service: Service, call: Call, kind: str, logical_id: str) -> Answer:
    """Give who has it, as Parameters: `reader` with `name`, `family`, `since` and, where it is known, `read`."""
    call.require("read", kind)
    if kind not in THINGS:
        raise Refused(400, f"Readers are kept of {', '.join(sorted(THINGS))}.")
    found, decided = await _found(service, call, kind, logical_id)
    thing = found.thing.thing if found.thing is not None else None
    readers = await service.journal.look(lambda view: _readers(view, thing)) if thing is not None else []
    await service.noted(call, f"{kind}/{logical_id}/$read-by", decided)
    resource: Resource = {"resourceType": "Parameters"}
    if readers:
        resource["parameter"] = [_parameter(one) for one in readers]
    return Answer(resource=resource)


async def _found(service: Service, call: Call, kind: str, logical_id: str) -> tuple[Found, list[Decided]]:
    def find(view: View) -> tuple[Found | None, list[Decided]]:
        access = service.access(view, call)
        runner = Search(access)
        found = runner.one(kind, logical_id)
        if found is None:
            return None, refused_of(access, runner, kind, logical_id)
        return found, decided_of(access, [found], Action.READ)

    found, decided = await service.journal.look(find)
    if found is None:
        await service.noted(call, f"{kind}/{logical_id}", decided)
        raise not_found(kind)
    return found, decided


def _readers(view: View, thing: int) -> list[_Reader]:
    readers = readers_of(view.connection, thing)
    column = tables.dossier_member.c
    rows = view.connection.execute(
        select(column.id, column.family, column.sealed_body).where(column.id.in_([one.member_id for one in readers]))
    ).all()
    members = {
        row.id: (Member.model_validate_json(view.sealer.open(row.sealed_body, MEMBER_PLACE)).label, row.family)
        for row in rows
    }
    return [_Reader(*members[one.member_id], one) for one in readers if one.member_id in members]


def _parameter(one: _Reader) -> Json:
    parts: list[Json] = [
        {"name": "name", "valueString": one.label},
        {"name": "family", "valueCode": one.family},
        {"name": "since", "valueInstant": instant(one.by.fetched_at)},
    ]
    if one.by.read_at is not None:
        parts.append({"name": "read", "valueInstant": instant(one.by.read_at)})
    return {"name": "reader", "part": parts}
