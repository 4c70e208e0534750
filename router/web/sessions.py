"""Sessions of the dashboard: a random token in a cookie, its digest in the journal, an end by idleness and by age."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select, update

from router.journal import tables
from router.journal.operations import Change
from router.journal.unit import Unit
from router.web.accounts import digest
from router.web.rights import Right, Rights, Role

MICROS = 1_000_000
TOUCH_SECONDS = 60
"""A session's last use is written at most this often."""


@dataclass(frozen=True, slots=True)
class SessionRules:
    """How long a session lives, in seconds: without an action of its user, and in all; what its role gives it."""

    idle: int
    longest: int
    rights: Rights = field(default_factory=Rights)
    require_totp: frozenset[Role] = frozenset()


@dataclass(frozen=True, slots=True)
class Session:
    """Who is at the other end. `csrf` must come back with every form."""

    key: bytes
    account: str
    role: Role
    csrf: str
    created_at: int
    seen_at: int
    rights: frozenset[Right] = frozenset()

    def is_stale(self, now: int) -> bool:
        """Whether its last use ought to be written."""
        return now - self.seen_at > TOUCH_SECONDS * MICROS


def start_session(account: str, *, now: int, rules: SessionRules) -> tuple[str, Change[None]]:
    """Give a new session's token and the change that keeps it; failures are forgotten, dead sessions swept."""
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)

    def change(unit: Unit) -> None:
        row, owner = tables.session.c, tables.account.c
        unit.connection.execute(
            delete(tables.session).where(
                (row.seen_at < now - rules.idle * MICROS) | (row.created_at < now - rules.longest * MICROS)
            )
        )
        forget = update(tables.account).where(owner.name == account).values(failures=0, locked_until=None)
        unit.connection.execute(forget)
        unit.connection.execute(
            insert(tables.session).values(
                token_hash=digest(token), account=account, csrf=csrf, created_at=now, seen_at=now
            )
        )

    return token, Change(change, note="session")


def find_session(connection: Connection, token: str, *, now: int, rules: SessionRules) -> Session | None:
    """Give the session of a cookie, or None when there is none or its time is over."""
    row, owner = tables.session.c, tables.account.c
    key = digest(token)
    found = connection.execute(
        select(row.account, row.csrf, row.created_at, row.seen_at, owner.role)
        .join(tables.account, owner.name == row.account)
        .where(row.token_hash == key)
    ).one_or_none()
    if found is None or now - found.seen_at > rules.idle * MICROS or now - found.created_at > rules.longest * MICROS:
        return None
    role = Role(found.role)
    return Session(key, found.account, role, found.csrf, found.created_at, found.seen_at, rules.rights.of(role))


def touch_session(key: bytes, *, now: int) -> Change[None]:
    """Write that a session was used."""

    def change(unit: Unit) -> None:
        unit.connection.execute(update(tables.session).where(tables.session.c.token_hash == key).values(seen_at=now))

    return Change(change, note="session")


def end_session(key: bytes) -> Change[None]:
    """End a session."""

    def change(unit: Unit) -> None:
        unit.connection.execute(delete(tables.session).where(tables.session.c.token_hash == key))

    return Change(change, note="session")
