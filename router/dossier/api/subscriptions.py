"""Subscriptions through the API: each tool sees, changes and asks about its own."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select

from router.dossier.api.bundles import http_date, shown
from router.dossier.api.calls import Answer, Call, resource_of
from router.dossier.api.checks import check
from router.dossier.api.outcomes import Refused, not_found
from router.dossier.api.service import Service, keep_note
from router.dossier.store.access import Access
from router.dossier.store.drafts import LIVE
from router.dossier.store.elements import Resource, children, said
from router.dossier.store.searching import Found, Search
from router.dossier.store.writing import Keeper
from router.dossier.subscriptions.keeping import Line, keep_subscription, line_of
from router.dossier.subscriptions.notices import Event, Standing, notice
from router.dossier.subscriptions.wanted import SECRET, Wanted, wanted
from router.journal import tables
from router.journal.operations import Change
from router.journal.unit import Unit
from router.journal.view import View

MOST_EVENTS = 500
"""Events that `$events` gives at once."""


async def create(service: Service, call: Call) -> Answer:
    """Answer `POST Subscription`; the secret that signs its notices is said here, and never again."""
    call.require("subscribe", "Subscription")
    resource = resource_of(call, "Subscription")
    asked = await _understood(service, call, resource)
    return await _kept(service, call, resource, asked, service.new_id(), created=True)


async def update(service: Service, call: Call, logical_id: str) -> Answer:
    """Answer `PUT Subscription/[id]`: it is verified again, and keeps its secret unless a new one is given."""
    call.require("subscribe", "Subscription")
    resource = resource_of(call, "Subscription")
    asked = await _understood(service, call, resource)
    line = await service.journal.look(lambda view: line_of(view, logical_id, call.may.reader.tool))
    if line is None:
        raise not_found("Subscription")
    if not said_secret(resource):
        asked = replace(asked, secret=line.wanted.secret)
    return await _kept(service, call, resource, asked, logical_id, created=False)


async def delete(service: Service, call: Call, logical_id: str) -> Answer:
    """Answer `DELETE Subscription/[id]`: nothing more is sent (200)."""
    call.require("subscribe", "Subscription")

    def change(unit: Unit) -> bool:
        keeper = Keeper(unit, call.now)
        row = keeper.row("Subscription", logical_id)
        if row is None or row.owner != call.may.reader.tool or row.state != LIVE:
            return False
        keeper.delete(row)
        off = tables.subscription.update().where(tables.subscription.c.resource_id == row.id)
        unit.connection.execute(off.values(state="off", detail="deleted"))
        keep_note(unit, call, f"Subscription/{logical_id}", [])
        return True

    if not await service.journal.submit(Change(change, note="subscription")):
        raise not_found("Subscription")
    return Answer(200, content=b"")


async def status(service: Service, call: Call, logical_id: str) -> Answer:
    """Answer `$status`: how a subscription stands."""
    call.require("subscribe", "Subscription")
    line = await service.journal.look(lambda view: line_of(view, logical_id, call.may.reader.tool))
    if line is None:
        raise not_found("Subscription")
    bundle = notice(call.base, _standing(line), "query-status", [], "empty", call.now)
    entries = bundle["entry"]
    assert isinstance(entries, list)  # noqa: S101 - a notice has entries
    first = entries[0]
    assert isinstance(first, dict)  # noqa: S101 - which are objects
    kept = {name: value for name, value in first.items() if name in {"fullUrl", "resource"}}
    return Answer(
        resource={"resourceType": "Bundle", "type": "searchset", "entry": [{**kept, "search": {"mode": "match"}}]}
    )


async def events(service: Service, call: Call, logical_id: str) -> Answer:
    """Answer `$events`: what was missed, by number, as far as it may still be told."""
    call.require("subscribe", "Subscription")
    since = _number(call, "eventsSinceNumber", 1)
    until = _number(call, "eventsUntilNumber", 2**62)
    content = next((value for name, value in call.pairs if name == "content"), "id-only")
    if content not in {"empty", "id-only", "full-resource"}:
        raise Refused(400, "content is empty, id-only or full-resource.")

    def find(view: View) -> tuple[Line, list[Event]] | None:
        line = line_of(view, logical_id, call.may.reader.tool)
        if line is None:
            return None
        return line, _events(view, Search(Access(view, service.door, call.may.reader, call.now)), line, since, until)

    found = await service.journal.look(find)
    if found is None:
        raise not_found("Subscription")
    line, those = found
    await service.noted(call, f"Subscription/{logical_id}/$events", [])
    return Answer(resource=notice(call.base, _standing(line), "query-event", those, content, call.now))


def _events(view: View, search: Search, line: Line, since: int, until: int) -> list[Event]:
    event, resource = tables.subscription_event.c, tables.resource.c
    statement = (
        select(event.number, event.at, resource.type, resource.logical_id)
        .join(tables.resource, resource.id == event.resource_id)
        .where(event.subscription_id == line.id, event.number >= since, event.number <= until)
        .order_by(event.number)
        .limit(MOST_EVENTS)
    )
    rows = view.connection.execute(statement).all()
    seen = {one.key: one for one in search.by_keys(f"{row.type}/{row.logical_id}" for row in rows)}
    return [
        Event(row.number, row.at, seen[f"{row.type}/{row.logical_id}"])
        for row in rows
        if f"{row.type}/{row.logical_id}" in seen
    ]


def _standing(line: Line) -> Standing:
    return Standing(line.key, line.wanted.topic, line.state, line.events, line.detail)


def _number(call: Call, name: str, usual: int) -> int:
    text = next((value for given, value in call.pairs if given == name), "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Refused(400, f"{name} is a number.")
    return int(text) if text else usual


def said_secret(resource: Resource) -> str:
    """Give the secret that a tool chose for its notices, empty when it chose none."""
    return next((said(one, "valueString") for one in children(resource, "extension") if said(one, "url") == SECRET), "")


async def _understood(service: Service, call: Call, resource: Resource) -> Wanted:
    def work(_view: View) -> Wanted:
        check(resource)
        return wanted(resource, service.settings.subscribers)

    found = await service.journal.look(work)
    for kind in found.types:
        call.require("read", kind)
    users = tuple((one.system or "", one.value) for one in call.may.users)
    if not users:
        raise Refused(403, "Name on whose behalf you subscribe: On-Behalf-Of.")
    return replace(found, users=users)


async def _kept(
    service: Service, call: Call, resource: Resource, asked: Wanted, logical_id: str, *, created: bool
) -> Answer:
    secret = asked.secret or service.new_secret()
    asked = replace(asked, secret=secret)
    off = said(resource, "status") == "off"
    others = [one for one in children(resource, "extension") if said(one, "url") != SECRET]
    kept: Resource = {name: value for name, value in resource.items() if name not in {"extension", "error"}}
    if others:
        kept["extension"] = [*others]
    kept = {**kept, "id": logical_id, "status": "off" if off else "requested"}

    def change(unit: Unit) -> tuple[int, int]:
        done = keep_subscription(unit, kept, asked, call.may.reader.tool, call.now, off=off)
        keep_note(unit, call, f"Subscription/{logical_id}", [])
        return done

    version, at = await service.journal.submit(Change(change, note="subscription"))
    service.changed()
    answered = shown(Found(0, "Subscription", logical_id, None, version, at, LIVE, kept))
    if created:
        answered["extension"] = [*others, {"url": SECRET, "valueString": secret}]
    headers = {"ETag": f'W/"{version}"', "Last-Modified": http_date(at)}
    if created:
        headers["Location"] = f"{call.base}/Subscription/{logical_id}/_history/{version}"
    return Answer(201 if created else 200, answered, headers=headers)
