"""Roles: what each may do, and that it is offered nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest

from router.web.rights import Right, Rights, Role

OPERATIONS = (
    ("/messages/1/replay", {}),
    ("/messages/replay", {"id": "1"}),
    ("/deliveries/1/replay", {}),
    ("/deliveries/plan", {"state": "dead", "all": "1", "action": "replay"}),
    ("/codes/map", {"sender": "X", "kind": "code", "system": "local", "code": "GLY", "target": "53049-3"}),
)


def test_rights_of_roles() -> None:
    rights = Rights()
    assert rights.of(Role.ADMINISTRATOR) == set(Right)
    assert rights.of(Role.OPERATOR) == {Right.LOOK, Right.READ, Right.OPERATE}
    assert rights.of(Role.IDENTITY_OFFICER) == {Right.LOOK, Right.READ, Right.DECIDE}
    assert rights.of(Role.AUDITOR) == {Right.LOOK, Right.READ, Right.AUDIT}
    assert rights.of(Role.READ_ONLY) == {Right.LOOK}


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.IDENTITY_OFFICER])
@pytest.mark.parametrize(("path", "fields"), OPERATIONS)
async def test_running_the_router_is_for_who_may_operate(site: Any, role: Role, path: str, fields: Any) -> None:
    browser = await site.signed_in_as(role)
    answer = await browser.post(path, fields)
    assert answer.status == 403
    assert "Votre rôle permet de regarder" in answer.plain
    assert site.value("SELECT count(*) FROM message WHERE replays > 0") == 0
    assert site.value("SELECT count(*) FROM concept_map") == 0


async def test_what_a_role_may_not_do_is_not_offered(site: Any) -> None:
    browser = await site.signed_in_as(Role.AUDITOR)
    for path in ("/messages", "/messages/1", "/messages/7/sent", "/deliveries?state=dead", "/codes"):
        text = (await browser.get(path)).text
        forms = set(re.findall(r'<form[^>]*action="([^"]+)"', text)) - {
            "/preferences",
            "/logout",
            "/messages/search",
            "/messages",
        }
        assert forms <= {"/messages/replay", "/deliveries/plan"}, path
        assert 'type="checkbox"' not in text
        assert "Rejouer" not in text
        assert "Écarter" not in text


async def test_looking_is_for_everybody_and_noted(site: Any) -> None:
    browser = await site.signed_in_as(Role.AUDITOR)
    assert (await browser.post("/messages/search", {"text": "testrose"})).status == 303
    assert "TESTROSE" not in (await browser.post("/items/1/reveal")).text, "an auditor says why first"
    assert "TESTROSE" in (await browser.post("/items/1/reveal", {"why": "control"})).text
    assert site.audited("reveal patient") == [("quelqu.un", "item 1", "control")]
    assert (await browser.post("/logout")).status == 303


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.IDENTITY_OFFICER])
async def test_the_api_holds_sessions_to_their_role(site: Any, role: Role) -> None:
    browser = await site.signed_in_as(role)
    browser.headers["X-CSRF-Token"] = browser.csrf
    assert (await browser.get("/api/v1/messages")).status == 200
    assert (await browser.send("/api/v1/messages/search", {"text": "testrose"})).status == 200
    for path in ("/api/v1/messages/1/replay", "/api/v1/deliveries/1/cancel", "/api/v1/patients"):
        answer = await browser.send(path, {})
        assert (answer.status, answer.json()["detail"]) == (403, "The role of this account does not allow it.")
