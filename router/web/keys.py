"""Keys of the API: made and shown once, held to a role, ended by a date or by hand; only their digest is kept."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from router.journal import tables
from router.journal.auditing import append_audit
from router.journal.operations import Change, apply_at_once
from router.journal.store import Store
from router.journal.unit import Unit
from router.web.accounts import NAME, AccountFault, digest, moment
from router.web.rights import Role

KEY_PREFIX = "pass_"
TOUCH_MICROS = 60_000_000
"""A key's last use is written at most this often."""

DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is listed: times in microseconds, None for what has not been, or will not."""

    name: str
    role: Role
    created_at: int
    expires_at: int | None
    used_at: int | None
    revoked_at: int | None = None

    def is_stale(self, now: int) -> bool:
        """Whether its last use ought to be written."""
        return self.used_at is None or now - self.used_at > TOUCH_MICROS

    def is_over(self, now: int) -> bool:
        """Whether its time has come."""
        return self.expires_at is not None and self.expires_at <= now

    def is_valid(self, now: int) -> bool:
        """Whether it lets in."""
        return self.revoked_at is None and not self.is_over(now)


def make_api_key(
    name: str, role: Role = Role.ADMINISTRATOR, *, now: int, days: int | None = None, actor: str | None = None
) -> tuple[str, Change[None]]:
    """Make a key of the API: the key itself, to be shown once, and the change that keeps its digest.

    `days` is how long it lives, None for as long as nobody withdraws it. Applying the change raises AccountFault when
    the name is in use.
    """
    if not NAME.match(name):
        raise AccountFault("key_name", "a key's name has 1 to 80 letters, digits, or . _ @ -")
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    expires = None if days is None else now + days * DAY

    def change(unit: Unit) -> None:
        column = tables.api_key.c
        taken = unit.connection.execute(
            select(column.revoked_at, column.expires_at).where(column.name == name)
        ).one_or_none()
        if taken is not None:
            if taken.revoked_at is None and (taken.expires_at is None or taken.expires_at > now):
                raise AccountFault(
                    "key_taken", "there is a key of this name already; withdraw it first, or choose another name"
                )
            unit.connection.execute(delete(tables.api_key).where(column.name == name))
        unit.connection.execute(
            insert(tables.api_key).values(
                key_hash=digest(key), name=name, created_at=now, role=role.value, expires_at=expires
            )
        )
        if actor is not None:
            append_audit(unit, actor=actor, action="make key", target=f"key {name}", detail=role.value, now=now)

    return key, Change(change, note="api key")


def withdraw_api_key(name: str, *, now: int, actor: str | None = None) -> Change[bool]:
    """Withdraw a key; True when there was a valid one of this name."""

    def change(unit: Unit) -> bool:
        column = tables.api_key.c
        statement = update(tables.api_key).where(column.name == name, column.revoked_at.is_(None))
        done = unit.connection.execute(statement.values(revoked_at=now)).rowcount > 0
        if done and actor is not None:
            append_audit(unit, actor=actor, action="withdraw key", target=f"key {name}", detail="", now=now)
        return done

    return Change(change, note="api key")


def find_api_key(connection: Connection, key: str, *, now: int) -> ApiKey | None:
    """Give the key that was shown, or None when it lets nobody in."""
    row = connection.execute(select(tables.api_key).where(tables.api_key.c.key_hash == digest(key))).one_or_none()
    found = None if row is None else _key(row)
    return found if found is not None and found.is_valid(now) else None


def touch_api_key(name: str, *, now: int) -> Change[None]:
    """Write that a key was used."""

    def change(unit: Unit) -> None:
        unit.connection.execute(update(tables.api_key).where(tables.api_key.c.name == name).values(used_at=now))

    return Change(change, note="api key")


def api_keys(connection: Connection) -> list[ApiKey]:
    """List the keys, withdrawn ones last."""
    column = tables.api_key.c
    rows = connection.execute(select(tables.api_key).order_by(column.revoked_at.is_not(None), column.name))
    return [_key(row) for row in rows]


def _key(row: Any) -> ApiKey:
    return ApiKey(row.name, Role(row.role), row.created_at, row.expires_at, row.used_at, row.revoked_at)


def add_api_key(
    store: Store, name: str, role: Role = Role.ADMINISTRATOR, *, days: int | None = None, actor: str | None = None
) -> str:
    """Do `make_api_key` at once, for the command line, and give the key."""
    key, change = make_api_key(name, role, now=moment(), days=days, actor=actor)
    apply_at_once(store, change)
    return key


def revoke_api_key(store: Store, name: str, *, actor: str | None = None) -> bool:
    """Do `withdraw_api_key` at once, for the command line; True when there was a valid one of this name."""
    return apply_at_once(store, withdraw_api_key(name, now=moment(), actor=actor))
