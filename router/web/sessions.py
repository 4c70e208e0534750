"""Sessions of the dashboard: a random token in a cookie, its digest in the journal, an end by idleness and by age."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select, update

from router.journal import tables
from router.journal.operations import Change
from router.journal.sealing import Sealer
from router.journal.unit import Unit
from router.web.accounts import digest
from router.web.rights import Right, Rights, Role

MICROS = 1_000_000
TOUCH_SECONDS = 60
"""A session's last use is written at most this often."""


ID_TOKEN_PLACE = b"session.sealed_id_token"


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
    limited: bool = False
    """Whether its owner must enrol one-time codes before anything else: it has no right until then."""

    def is_stale(self, now: int) -> bool:
        """Whether its last use ought to be written."""
        return now - self.seen_at > TOUCH_SECONDS * MICROS


@dataclass(frozen=True, slots=True)
class Way:
    """How somebody signed in: `password`, `code` (and a password), `recovery` (likewise) or `oidc`; from where.

    `provider`, `sid` and `id_token` are what an OpenID provider needs to end the session, or to name it.
    """

    method: str = "password"
    peer: str = ""
    agent: str = ""
    provider: str = ""
    sid: str = ""
    id_token: str = ""


def start_session(
    account: str, *, now: int, rules: SessionRules, way: Way | None = None, instead: str = ""
) -> tuple[str, Change[None]]:
    """Give a new session's token and the change that keeps it; failures are forgotten, dead sessions swept.

    The session of the token `instead`, which the browser had, ends: nobody goes on under an older token.
    """
    token, csrf, by = secrets.token_urlsafe(32), secrets.token_urlsafe(24), way or Way()
    key = digest(token)

    def change(unit: Unit) -> None:
        row, owner = tables.session.c, tables.account.c
        unit.connection.execute(
            delete(tables.session).where(
                (row.seen_at < now - rules.idle * MICROS)
                | (row.created_at < now - rules.longest * MICROS)
                | (row.token_hash == digest(instead))
            )
        )
        forget = update(tables.account).where(owner.name == account)
        unit.connection.execute(forget.values(failures=0, locked_until=None, used_at=now))
        sealed = unit.sealer.seal(by.id_token.encode(), ID_TOKEN_PLACE) if by.id_token else None
        unit.connection.execute(
            insert(tables.session).values(
                token_hash=key,
                account=account,
                csrf=csrf,
                created_at=now,
                seen_at=now,
                method=by.method,
                peer=by.peer[:64],
                agent=by.agent[:120],
                provider=by.provider,
                sid=by.sid[:255],
                sealed_id_token=sealed,
            )
        )

    return token, Change(change, note="session")


def find_session(connection: Connection, token: str, *, now: int, rules: SessionRules) -> Session | None:
    """Give the session of a cookie, or None when there is none, its time is over or its account is locked."""
    row, owner = tables.session.c, tables.account.c
    key = digest(token)
    found = connection.execute(
        select(row.account, row.csrf, row.created_at, row.seen_at, row.method, owner.role, owner.disabled_at)
        .join(tables.account, owner.name == row.account)
        .where(row.token_hash == key)
    ).one_or_none()
    if found is None or now - found.seen_at > rules.idle * MICROS or now - found.created_at > rules.longest * MICROS:
        return None
    if found.disabled_at is not None:
        return None
    role = Role(found.role)
    limited = found.method == "password" and role in rules.require_totp
    rights = frozenset[Right]() if limited else rules.rights.of(role)
    return Session(key, found.account, role, found.csrf, found.created_at, found.seen_at, rights, limited)


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session as its owner sees it; `number` names it, and lets nobody in."""

    number: str
    key: bytes
    created_at: int
    seen_at: int
    method: str
    peer: str
    agent: str


def sessions_of(connection: Connection, account: str, *, now: int, rules: SessionRules) -> list[SessionLine]:
    """List an account's sessions that go on, last used first."""
    row = tables.session.c
    found = connection.execute(
        select(tables.session)
        .where(
            row.account == account,
            row.seen_at >= now - rules.idle * MICROS,
            row.created_at >= now - rules.longest * MICROS,
        )
        .order_by(row.seen_at.desc())
    )
    return [
        SessionLine(
            bytes(one.token_hash)[:8].hex(),
            bytes(one.token_hash),
            one.created_at,
            one.seen_at,
            one.method,
            one.peer,
            one.agent,
        )
        for one in found
    ]


@dataclass(frozen=True, slots=True)
class Leaving:
    """What a provider is told when a session that it began ends."""

    provider: str
    id_token: str


def leaving_of(connection: Connection, sealer: Sealer, key: bytes) -> Leaving | None:
    """Give the provider that a session came from, None for one that began here."""
    row = tables.session.c
    found = connection.execute(select(row.provider, row.sealed_id_token).where(row.token_hash == key)).one_or_none()
    if found is None or not found.provider:
        return None
    sealed = found.sealed_id_token
    return Leaving(found.provider, sealer.open(bytes(sealed), ID_TOKEN_PLACE).decode() if sealed else "")


def end_provided(provider: str, *, sid: str = "", account: str = "") -> Change[int]:
    """End the sessions that a provider says are over: one by its `sid`, or all of an account; gives how many."""

    def change(unit: Unit) -> int:
        row = tables.session.c
        which = row.sid == sid if sid else row.account == account
        return unit.connection.execute(delete(tables.session).where(row.provider == provider, which)).rowcount

    return Change(change, note="session")


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
