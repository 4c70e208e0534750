"""Why an Item went where it went: the conditions of then, with what they saw; what is health data only on request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import text

from router.journal.routing import RouteKept, RoutingSeen, keep_routing, routing_digest
from router.web.accounts import Role

ROUTES = (
    RouteKept("résultats", "item.kind == 'lab_report' && item.content.status == 'final'", ("spico",)),
    RouteKept(
        "suivis", "patient.in_coordination && source != 'source' && message.type.startsWith('ORU')", ("medecin",)
    ),
)


def route(site: Any) -> None:
    site.journal.apply(keep_routing(ROUTES, 1))
    site.journal.apply(keep_routing(ROUTES, 2))
    seen = RoutingSeen(routing_digest(ROUTES), known=True, in_coordination=False, test=True)
    kept = orjson.dumps({"résultats": True, "suivis": False, "": seen.dump()}).decode()
    with site.journal.store.writing() as connection:
        connection.execute(text("UPDATE item SET routes = :kept WHERE id = 1"), {"kept": kept})


async def test_each_condition_is_shown_as_it_was_with_what_it_saw(site: Any) -> None:
    route(site)
    browser = await site.signed_in()
    said = (await browser.get("/messages/1/why")).plain
    assert "item.content.status == 'final'" in said
    assert "item.kind = lab_report" in said
    assert "item.content.status = donnée de santé" in said
    assert "patient.in_coordination = false" in said
    assert "source = labo-sud" in said
    assert "message.type = ORU^R01" in said
    assert "Aujourd’hui : item.kind == 'lab_report'" in said, "the route was changed since"
    assert site.audited("read message") == []


async def test_what_is_health_data_is_shown_on_request_and_noted(site: Any) -> None:
    route(site)
    browser = await site.signed_in()
    shown = (await browser.post("/messages/1/items/1/seen", {})).plain
    assert "item.content.status = final" in shown
    assert site.audited("reveal values")[0][:2] == ("admin", "item 1")
    assert (await browser.post("/messages/1/items/999/seen", {})).status == 404
    assert (await browser.post("/messages/2/items/1/seen", {})).status == 404


async def test_an_auditor_says_why_first(site: Any) -> None:
    route(site)
    browser = await site.signed_in_as(Role.AUDITOR)
    assert "donnée" not in (await browser.post("/messages/1/items/1/seen", {})).plain
    assert site.audited("reveal values") == []
    assert "= final" in (await browser.post("/messages/1/items/1/seen", {"why": "control"})).plain


def test_a_set_of_routes_is_named_by_all_that_it_says() -> None:
    names = {routing_digest(ROUTES), routing_digest(ROUTES[:1]), routing_digest((replace(ROUTES[0], to=()), ROUTES[1]))}
    assert len(names) == 3
