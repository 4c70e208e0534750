"""Who may come in: accounts with their roles, locks and sessions; keys of the API. For administrators."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.journal.operations import Change
from router.journal.view import View
from router.web.access import Keeping, Kept, Office
from router.web.accounts import AccountFault, create_account
from router.web.answers import Values, go, page
from router.web.desk import Desk
from router.web.faults import NotThere
from router.web.filters import row_number
from router.web.keys import api_keys, make_api_key, withdraw_api_key
from router.web.people import (
    change_role,
    end_sessions,
    forget_totp,
    lock_account,
    people,
    reset_password,
    unlock_account,
)
from router.web.rights import TABLE, Role, role_of
from router.web.visits import Visit

router = APIRouter()

PATH = "/people"
LONGEST_KEY = 3650
"""Days that a key may live at most, when it is given an end."""

_CHANGES: dict[str, Callable[..., Change[Any]]] = {
    "lock": lock_account,
    "unlock": unlock_account,
    "sessions": end_sessions,
    "codes": forget_totp,
}


@router.get(PATH)
async def show(request: Request, desk: Office, visit: Keeping) -> Response:
    """Show the accounts and the keys."""
    problem, done = (request.query_params.get(name, "") for name in ("problem", "done"))

    def ask(view: View) -> Values:
        return {
            "people": people(view.connection),
            "keys": api_keys(view.connection),
            "roles": tuple(Role),
            "rights": {right: desk_roles(desk, right) for right in TABLE},
            "problem": f"people.problem_{problem}" if visit.texts.has(f"people.problem_{problem}") else "",
            "done": f"people.done_{done}" if visit.texts.has(f"people.done_{done}") else "",
            "required": desk.rules.require_totp,
        }

    return await page(desk, visit, "people.html", ask)


def desk_roles(desk: Desk, right: str) -> frozenset[Role]:
    """Give the roles that have a right on this router."""
    return frozenset(role for role in Role if right in desk.rules.rights.of(role))


@router.post(PATH + "/{action}")
async def act(action: str, desk: Office, visit: Kept) -> Response:
    """Do one thing to an account or a key; a new password or key is shown this once."""
    try:
        return await _act(action, desk, visit)
    except AccountFault as fault:
        return go(f"{PATH}?problem={fault.code}")


async def _act(action: str, desk: Desk, visit: Visit) -> Response:
    name, role, now = visit.posted("name").strip(), role_of(visit.posted("role")), desk.now()
    if action in _CHANGES:
        await desk.submit(_CHANGES[action](name, actor=visit.account, now=now))
    elif action == "role" and role is not None:
        await desk.submit(change_role(name, role, actor=visit.account, now=now))
    elif action == "revoke":
        if not await desk.submit(withdraw_api_key(name, now=now, actor=visit.account)):
            raise AccountFault("key_unknown", "there is no valid key of this name")
    elif action in {"add", "password"} and (role is not None or action == "password"):
        return await _password(action, name, role, desk, visit)
    elif action == "key" and role is not None:
        days = row_number(visit.posted("days"))
        made, change = make_api_key(
            name, role, now=now, days=min(days, LONGEST_KEY) if days else None, actor=visit.account
        )
        await desk.submit(change)
        return await _once(desk, visit, "key", name, made)
    else:
        raise NotThere
    return go(f"{PATH}?done={action}")


async def _password(action: str, name: str, role: Role | None, desk: Desk, visit: Visit) -> Response:
    chosen, now = secrets.token_urlsafe(15), desk.now()
    async with desk.checks:
        if action == "add":
            made = await desk.work(
                lambda: create_account(name, chosen, role or Role.READ_ONLY, now=now, actor=visit.account, fresh=True)
            )
            await desk.submit(made)
        else:
            reset = await desk.work(lambda: reset_password(name, chosen, actor=visit.account, now=now))
            await desk.submit(reset)
    return await _once(desk, visit, "password", name, chosen)


async def _once(desk: Desk, visit: Visit, kind: str, name: str, secret: str) -> Response:
    values = {"kind": kind, "name": name, "secret": secret}
    return await page(desk, visit, "people_secret.html", lambda _view: values)
