"""Accounts of the dashboard: listed, made, changed, locked. Rights are those of the page."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import APIRouter

from router.journal.operations import Change
from router.web.access import Keeper, Office
from router.web.accounts import AccountFault, create_account
from router.web.api.models_running import (
    AccountAct,
    AccountIn,
    AccountOut,
    PasswordOut,
    RoleIn,
    account_out,
)
from router.web.api.problems import Refused
from router.web.desk import Desk
from router.web.people import (
    change_role,
    end_sessions,
    forget_totp,
    lock_account,
    people,
    reset_password,
    unlock_account,
)

router = APIRouter(tags=["accounts"])

R = TypeVar("R")
_CHANGES: dict[str, Callable[..., Change[Any]]] = {
    "lock": lock_account,
    "unlock": unlock_account,
    "sessions": end_sessions,
    "codes": forget_totp,
}


@router.get("/accounts")
async def list_accounts(desk: Office, _caller: Keeper) -> list[AccountOut]:
    """List the accounts by name."""
    found = await desk.look(lambda view: people(view.connection))
    return [account_out(one, desk.now()) for one in found]


@router.post("/accounts", status_code=201)
async def add_account(given: AccountIn, desk: Office, caller: Keeper) -> PasswordOut:
    """Make an account; its password is answered this once."""
    chosen, now = secrets.token_urlsafe(15), desk.now()
    async with desk.checks:
        made = await _refusing(
            desk.work(lambda: create_account(given.name, chosen, given.role, now=now, actor=caller.name, fresh=True))
        )
        await _refusing(desk.submit(made))
    return PasswordOut(name=given.name, password=chosen)


@router.put("/accounts/{name}/role")
async def give_role(name: str, given: RoleIn, desk: Office, caller: Keeper) -> AccountOut:
    """Give an account another role."""
    await _refusing(desk.submit(change_role(name, given.role, actor=caller.name, now=desk.now())))
    return await _one(desk, name)


@router.post("/accounts/{name}/{act}")
async def act_on(name: str, act: AccountAct, desk: Office, caller: Keeper) -> AccountOut | PasswordOut:
    """Lock an account, unlock it, end its sessions, forget its codes, or give it another password (answered once)."""
    now = desk.now()
    if act == "password":
        chosen = secrets.token_urlsafe(15)
        async with desk.checks:
            reset = await _refusing(desk.work(lambda: reset_password(name, chosen, actor=caller.name, now=now)))
            await _refusing(desk.submit(reset))
        return PasswordOut(name=name, password=chosen)
    await _refusing(desk.submit(_CHANGES[act](name, actor=caller.name, now=now)))
    return await _one(desk, name)


async def _refusing(work: Awaitable[R]) -> R:
    try:
        return await work
    except AccountFault as fault:
        status = {"unknown": 404, "taken": 409, "last": 409, "provided": 409}.get(fault.code, 422)
        raise Refused(status, _sentence(str(fault))) from None


def _sentence(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}."


async def _one(desk: Desk, name: str) -> AccountOut:
    found = await desk.look(lambda view: people(view.connection))
    known = next((one for one in found if one.name == name), None)
    if known is None:
        raise Refused(404, "There is no account of this name.")
    return account_out(known, desk.now())
