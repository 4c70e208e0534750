"""Accounts of the dashboard and keys of the API: made, checked, locked after failures, withdrawn.

Passwords are kept as argon2id hashes, API keys and sessions as SHA-256 of a random value: what the journal holds lets
nobody in.

AccountFault             the account or key cannot be made: one sentence, what to do
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, delete, insert, select, update

from router.journal import tables
from router.journal.operations import Change
from router.journal.store import Store
from router.journal.unit import Unit

R = TypeVar("R")

HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""argon2id with OWASP's second set of parameters: 19 MiB, some 40 ms, so that a login never weighs on the router."""

_NOBODY = HASHER.hash(secrets.token_hex(8))
"""Checked when there is no such account: an answer takes as long whether a name exists or not."""

LEAST_PASSWORD = 12
TOLERATED = 5
"""Failures in a row before an account is locked; the lock then doubles up to `LONGEST_LOCK`."""

FIRST_LOCK, LONGEST_LOCK = timedelta(seconds=30), timedelta(minutes=15)
KEY_PREFIX = "pass_"
_NAME = re.compile(r"^[\w.@-]{1,80}$")


class AccountFault(Exception):
    """The account or key cannot be made."""


class Right(StrEnum):
    """What may be done beside looking, which every account may: each look at health data is noted in the audit."""

    DECIDE = "decide"
    """Decide whose held Items are."""
    OPERATE = "operate"
    """Replay, send again, cancel, map codes, register patients, change the habilitation matrix."""
    CONFIGURE = "configure"
    """Change the configuration: what is received, where it goes, how it is kept."""
    COORDINATE = "coordinate"
    """Open and close dossiers, keep their circles, consents and restrictions."""


class Role(StrEnum):
    """What an account may do: an auditor only looks."""

    ADMINISTRATOR = "administrator"
    IDENTITY_OFFICER = "identity_officer"
    REFERENT = "referent"
    """Mandated to keep coordination dossiers."""
    AUDITOR = "auditor"

    @property
    def rights(self) -> frozenset[Right]:
        """The rights that go with it."""
        return _RIGHTS[self]


_RIGHTS = {
    Role.ADMINISTRATOR: frozenset(Right),
    Role.IDENTITY_OFFICER: frozenset({Right.DECIDE}),
    Role.REFERENT: frozenset({Right.COORDINATE}),
    Role.AUDITOR: frozenset[Right](),
}


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it is checked at login."""

    name: str
    role: Role
    password_hash: str
    locked_until: int | None


def create_account(name: str, password: str, role: Role = Role.ADMINISTRATOR, *, now: int) -> Change[bool]:
    """Make an account, or give an existing one a new password, which ends its sessions; True when it is new.

    Raises AccountFault when the name or the password will not do. The hash is made here, outside the transaction.
    """
    if not _NAME.match(name):
        raise AccountFault("an account's name has 1 to 80 letters, digits, or . _ @ -")
    if len(password) < LEAST_PASSWORD:
        raise AccountFault(f"a password has {LEAST_PASSWORD} characters at least")
    hashed = HASHER.hash(password)

    def change(unit: Unit) -> bool:
        account, session = tables.account.c, tables.session.c
        values = {"password_hash": hashed, "role": role.value, "failures": 0, "locked_until": None}
        known = unit.connection.execute(update(tables.account).where(account.name == name).values(values)).rowcount
        if known:
            unit.connection.execute(delete(tables.session).where(session.account == name))
            return False
        unit.connection.execute(insert(tables.account).values(name=name, created_at=now, **values))
        return True

    return Change(change, note="account")


def make_api_key(name: str, *, now: int) -> tuple[str, Change[None]]:
    """Make a key of the API: the key itself, to be shown once, and the change that keeps its digest.

    Applying the change raises AccountFault when the name is in use.
    """
    if not _NAME.match(name):
        raise AccountFault("a key's name has 1 to 80 letters, digits, or . _ @ -")
    key = KEY_PREFIX + secrets.token_urlsafe(32)

    def change(unit: Unit) -> None:
        column = tables.api_key.c
        taken = unit.connection.execute(select(column.revoked_at).where(column.name == name)).one_or_none()
        if taken is not None:
            if taken.revoked_at is None:
                raise AccountFault("there is a key of this name already; withdraw it first, or choose another name")
            unit.connection.execute(delete(tables.api_key).where(column.name == name))
        unit.connection.execute(insert(tables.api_key).values(key_hash=digest(key), name=name, created_at=now))

    return key, Change(change, note="api key")


def withdraw_api_key(name: str, *, now: int) -> Change[bool]:
    """Withdraw a key; True when there was a valid one of this name."""

    def change(unit: Unit) -> bool:
        column = tables.api_key.c
        statement = update(tables.api_key).where(column.name == name, column.revoked_at.is_(None))
        return unit.connection.execute(statement.values(revoked_at=now)).rowcount > 0

    return Change(change, note="api key")


def find_account(connection: Connection, name: str) -> Account | None:
    """Give an account by its name."""
    row = connection.execute(select(tables.account).where(tables.account.c.name == name)).one_or_none()
    return None if row is None else Account(row.name, Role(row.role), row.password_hash, row.locked_until)


def find_api_key(connection: Connection, key: str) -> str | None:
    """Give the name of a valid API key, or None."""
    column = tables.api_key.c
    statement = select(column.name).where(column.key_hash == digest(key), column.revoked_at.is_(None))
    return connection.execute(statement).scalar()


def password_is_right(account: Account | None, password: str, *, now: int) -> bool:
    """Check a password. It costs the same time for an account that does not exist or is locked, which never pass."""
    locked = account is not None and account.locked_until is not None and account.locked_until > now
    usable = account is not None and not locked
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


def add_account(store: Store, name: str, password: str, role: Role = Role.ADMINISTRATOR) -> bool:
    """Do `create_account` at once, for the command line; True when the account is new."""
    return _apply(store, create_account(name, password, role, now=_now()))


def add_api_key(store: Store, name: str) -> str:
    """Do `make_api_key` at once, for the command line, and give the key."""
    key, change = make_api_key(name, now=_now())
    _apply(store, change)
    return key


def revoke_api_key(store: Store, name: str) -> bool:
    """Do `withdraw_api_key` at once, for the command line; True when there was a valid one of this name."""
    return _apply(store, withdraw_api_key(name, now=_now()))


def _apply(store: Store, change: Change[R]) -> R:
    with store.writing() as connection:
        unit = Unit(connection, store.sealer)
        result = change.apply(unit)
        unit.flush()
    return result


def _now() -> int:
    return time.time_ns() // 1_000
