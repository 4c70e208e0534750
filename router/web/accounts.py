"""Accounts of the dashboard: made, checked, locked after failures.

Passwords are kept as argon2id hashes, sessions and codes as SHA-256 of a random value: what the journal holds lets
nobody in. An account that is bound to a person at an OpenID provider has no password, and passes by none.

AccountFault             the account or key cannot be made or changed so: one sentence, what to do
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, delete, insert, select, update

from router.faults import Fault
from router.journal import tables
from router.journal.auditing import append_audit
from router.journal.operations import Change, apply_at_once
from router.journal.store import Store
from router.journal.unit import Unit
from router.web.rights import Role

R = TypeVar("R")

HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""argon2id with OWASP's second set of parameters: 19 MiB, some 40 ms, so that a login never weighs on the router."""

_NOBODY = HASHER.hash(secrets.token_hex(8))
"""Checked when there is no such account: an answer takes as long whether a name exists or not."""

LEAST_PASSWORD = 12
TOLERATED = 5
"""Failures in a row before an account is locked; the lock then doubles up to `LONGEST_LOCK`."""

FIRST_LOCK, LONGEST_LOCK = timedelta(seconds=30), timedelta(minutes=15)
NAME = re.compile(r"^[\w.@-]{1,80}$")


class AccountFault(Fault):
    """The account or key cannot be made or changed so; `code` names the case for whoever words it otherwise."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it is checked at login. `totp` is True when one-time codes are asked for."""

    name: str
    role: Role
    password_hash: str
    locked_until: int | None
    disabled: bool = False
    totp: bool = False
    issuer: str = ""

    def is_locked(self, now: int) -> bool:
        """Whether nobody may sign in by it now."""
        return self.disabled or (self.locked_until is not None and self.locked_until > now)


def create_account(
    name: str,
    password: str,
    role: Role = Role.ADMINISTRATOR,
    *,
    now: int,
    actor: str | None = None,
    fresh: bool = False,
) -> Change[bool]:
    """Make an account, or give an existing one a new password and role, which ends its sessions; True when it is new.

    Raises AccountFault when the name or the password will not do; applying it raises it when `fresh` and there is an
    account of the name, or when it is bound to a provider. The hash is made here, outside the transaction. `actor` is
    who is noted in the audit; None where there is nobody yet: a router is being made.
    """
    hashed = hash_of(name, password)

    def change(unit: Unit) -> bool:
        account = tables.account.c
        values = {"password_hash": hashed, "role": role.value, "failures": 0, "locked_until": None}
        known = unit.connection.execute(select(account.issuer).where(account.name == name)).one_or_none()
        if known is not None and (fresh or known.issuer is not None):
            raise AccountFault("taken", "there is an account of this name already; choose another name")
        if known is not None:
            unit.connection.execute(update(tables.account).where(account.name == name).values(values))
            end_sessions_of(unit, name)
        else:
            unit.connection.execute(insert(tables.account).values(name=name, created_at=now, **values))
        done = "add account" if known is None else "reset password"
        if actor is not None:
            append_audit(unit, actor=actor, action=done, target=f"account {name}", detail=role.value, now=now)
        return known is None

    return Change(change, note="account")


def hash_of(name: str, password: str) -> str:
    """Give what is kept of a password. Raises AccountFault when it, or the account's name, will not do."""
    if not NAME.match(name):
        raise AccountFault("name", "an account's name has 1 to 80 letters, digits, or . _ @ -")
    if len(password) < LEAST_PASSWORD:
        raise AccountFault("short", f"a password has {LEAST_PASSWORD} characters at least")
    if password.casefold() == name.casefold():
        raise AccountFault("same", "a password is not the account's name")
    return HASHER.hash(password)


def end_sessions_of(unit: Unit, name: str, *, but: bytes = b"") -> int:
    """End an account's sessions but one, and give how many there were."""
    row = tables.session.c
    return unit.connection.execute(delete(tables.session).where(row.account == name, row.token_hash != but)).rowcount


def find_account(connection: Connection, name: str) -> Account | None:
    """Give an account by its name."""
    row = connection.execute(select(tables.account).where(tables.account.c.name == name)).one_or_none()
    return None if row is None else _account(row)


def find_bound(connection: Connection, issuer: str, subject: str) -> Account | None:
    """Give the account that is bound to a person at an OpenID provider."""
    column = tables.account.c
    found = select(tables.account).where(column.issuer == issuer, column.subject == subject)
    row = connection.execute(found).one_or_none()
    return None if row is None else _account(row)


def _account(row: Any) -> Account:
    return Account(
        row.name,
        Role(row.role),
        row.password_hash,
        row.locked_until,
        row.disabled_at is not None,
        row.totp_at is not None,
        row.issuer or "",
    )


def password_is_right(account: Account | None, password: str, *, now: int) -> bool:
    """Check a password. It costs the same time for an account that does not exist or is locked, which never pass."""
    usable = account is not None and bool(account.password_hash) and not account.is_locked(now)
    try:
        HASHER.verify(account.password_hash if account is not None and usable else _NOBODY, password)
    except (VerificationError, InvalidHashError):
        return False
    return usable


def note_failure(name: str, *, now: int) -> Change[None]:
    """Count a failed login, and lock the account when there were too many in a row.

    While an account is locked nothing is counted: whoever keeps trying does not keep its owner out for longer.
    """

    def change(unit: Unit) -> None:
        column = tables.account.c
        found = select(column.failures, column.locked_until).where(column.name == name)
        row = unit.connection.execute(found).one_or_none()
        if row is None or (row.locked_until is not None and row.locked_until > now):
            return
        failures = row.failures + 1
        values: dict[str, int] = {"failures": failures}
        if failures >= TOLERATED:
            lock = min(FIRST_LOCK * 2 ** min(failures - TOLERATED, 10), LONGEST_LOCK)
            values["locked_until"] = now + int(lock.total_seconds() * 1_000_000)
        unit.connection.execute(update(tables.account).where(column.name == name).values(values))

    return Change(change, note="login failure")


def digest(secret: str) -> bytes:
    """Give what is kept of a random secret."""
    return hashlib.sha256(secret.encode()).digest()


def add_account(
    store: Store, name: str, password: str, role: Role = Role.ADMINISTRATOR, *, actor: str | None = None
) -> bool:
    """Do `create_account` at once, for the command line; True when the account is new."""
    return apply_at_once(store, create_account(name, password, role, now=moment(), actor=actor))


def moment() -> int:
    """Give the present in microseconds, for the command line."""
    return time.time_ns() // 1_000
