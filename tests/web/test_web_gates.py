"""Gates: every route declares the right that it needs, and lets pass exactly the roles that have it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

from router.web.access import NEEDS
from router.web.places import PLACES
from router.web.rights import TABLE, Right, Role

OPEN = {
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/login/code"),
    ("POST", "/login/code"),
    ("GET", "/login/oidc/{name}"),
    ("GET", "/login/oidc/{name}/callback"),
    ("GET", "/login/oidc/{name}/leave"),
    ("POST", "/login/oidc/{name}/backchannel"),
    ("POST", "/preferences"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/static/{name:path}"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/v1/health/live"),
    ("GET", "/api/v1/health/ready"),
}
"""What anybody may ask for, signed in or not; whatever else declares no right is a hole."""


def _routes(app: Any) -> Iterator[tuple[str, RouteContext]]:
    for route in iter_route_contexts(app.routes):
        for method in sorted(route.methods or {"ANY"}):
            if method != "HEAD":
                yield method, route


def _declared(route: RouteContext) -> list[Right | None]:
    dependant = getattr(route, "dependant", None)
    return _needs(dependant) if dependant is not None else []


def _needs(dependant: Dependant) -> list[Right | None]:
    found = [NEEDS[dependant.call]] if dependant.call in NEEDS else []
    return found + [need for inner in dependant.dependencies for need in _needs(inner)]


def test_every_route_declares_what_it_needs(site: Any) -> None:
    undeclared = set()
    for method, route in _routes(site.app):
        needs = _declared(route)
        assert len(needs) <= 1, f"{method} {route.path} goes through two gates"
        if not needs:
            undeclared.add((method, route.path))
    assert undeclared <= OPEN, f"no right is declared for {sorted(undeclared - OPEN)}"


def test_every_right_has_somebody_and_the_administrator_has_all() -> None:
    assert set(TABLE) == set(Right)
    assert all(Role.ADMINISTRATOR in roles for roles in TABLE.values())
    assert {role for roles in TABLE.values() for role in roles} == set(Role)


@pytest.mark.parametrize("role", list(Role))
async def test_a_route_lets_pass_the_roles_that_have_its_right(site: Any, role: Role) -> None:
    browser = await site.signed_in_as(role)
    browser.headers["X-CSRF-Token"] = browser.csrf
    has = site.desk.rules.rights.of(role)
    wrong = []
    for method, route in _routes(site.app):
        needs = _declared(route)
        if not needs or needs[0] is None or route.path == "/events":
            continue
        # Whatever is behind the gate finds nothing to do: no row, no field.
        path = re.sub(r"\{(\w+)(:\w+)?\}", lambda name: "why" if name[1] == "tab" else "999999", route.path)
        answer = await browser.call(method, path, b"", {"Content-Type": "application/json"})
        if (answer.status != 403) != (needs[0] in has):
            wrong.append((method, path, needs[0].value, answer.status))
    assert not wrong


@pytest.mark.parametrize("token", ["", "guessed"])
async def test_whatever_changes_something_needs_the_token_of_its_session(site: Any, token: str) -> None:
    browser = await site.signed_in()
    browser.headers["X-CSRF-Token"] = token
    passed = []
    for method, route in _routes(site.app):
        if method == "GET" or not _declared(route):
            continue
        path = re.sub(r"\{\w+(:\w+)?\}", "999999", str(route.path))
        answer = await browser.call(method, path, b"", {"Content-Type": "application/x-www-form-urlencoded"})
        if answer.status != 403:
            passed.append((method, path, answer.status))
    assert not passed


@pytest.mark.parametrize("role", list(Role))
async def test_a_key_may_what_its_role_may(site: Any, role: Role) -> None:
    from router.web.keys import add_api_key

    browser = site.browser()
    browser.headers["Authorization"] = f"Bearer {add_api_key(site.journal.store, 'sonde', role)}"
    has = site.desk.rules.rights.of(role)
    for method, route in _routes(site.app):
        needs = _declared(route)
        if not needs or not route.path.startswith("/api/"):
            continue
        path = re.sub(r"\{\w+(:\w+)?\}", "999999", route.path)
        answer = await browser.call(method, path, b"{}", {"Content-Type": "application/json"})
        assert (answer.status != 403) == (needs[0] in has), f"{method} {path}: {answer.status}"


def test_no_two_pages_of_the_menu_have_one_key() -> None:
    keys = [place.key for _, places in PLACES for place in places]
    assert len(keys) == len(set(keys))


async def test_read_only_sees_that_it_flows_and_nothing_of_a_patient(site: Any) -> None:
    browser = await site.signed_in_as(Role.READ_ONLY)
    for path in ("/", "/messages", "/messages/1", "/deliveries", "/alarms", "/codes"):
        answer = await browser.get(path)
        assert answer.status == 200, path
        assert "/reveal" not in answer.text, path
        assert "TESTROSE" not in answer.text, path
        assert "7,1" not in answer.text, f"{path} shows a result"
    for tab in ("original", "understood", "sent", "findings"):
        assert (await browser.get(f"/messages/1/{tab}")).status == 403
    shown = (await browser.get("/messages/1")).text
    assert "/messages/1/original" not in shown
    assert "/download/" not in shown
    menu = set(re.findall(r'href="(/[a-z]*)" *(?:aria-current="page")? *(?:data-go)', shown))
    assert "/messages" in menu
    assert not menu & {"/audit", "/identities", "/dossiers", "/whatif", "/people"}


async def test_an_operator_may_configure_where_the_configuration_says_so(site: Any) -> None:
    from router.web.rights import Rights

    assert Right.CONFIGURE not in Rights().of(Role.OPERATOR)
    assert Right.CONFIGURE in Rights(operators_configure=True).of(Role.OPERATOR)
    assert Right.CONFIGURE not in Rights(operators_configure=True).of(Role.AUDITOR)
    assert Right.PEOPLE not in Rights(operators_configure=True).of(Role.OPERATOR)


async def test_a_key_ends_and_its_last_use_is_kept(site: Any) -> None:
    from router.web.keys import make_api_key

    key, change = make_api_key("sonde", Role.READ_ONLY, now=site.clock[0], days=2)
    site.journal.apply(change)
    browser = site.browser()
    browser.headers["Authorization"] = f"Bearer {key}"
    assert site.value("SELECT used_at FROM api_key WHERE name = 'sonde'") is None
    assert (await browser.get("/api/v1/flows")).status == 200
    assert site.value("SELECT used_at FROM api_key WHERE name = 'sonde'") == site.clock[0]
    site.clock[0] += 2 * 86_400_000_000
    assert (await browser.get("/api/v1/flows")).status == 401
