"""What an administrator does with accounts: list them, change a role, lock, unlock, reset, end sessions.

Whoever does it is named in the audit by the same transaction. The last administrator who can sign in stays one:
nobody would be left to let anybody in.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, update

from router.journal import tables
from router.journal.auditing import append_audit
from router.journal.operations import Change
from router.journal.unit import Unit
from router.web.accounts import AccountFault, end_sessions_of, hash_of
from router.web.rights import Role


@dataclass(frozen=True, slots=True)
class Person:
    """An account as it is listed: times in microseconds. `issuer` is the provider that it signs in through, if any."""

    name: str
    role: Role
    created_at: int
    used_at: int | None
    failures: int
    locked_until: int | None
    disabled_at: int | None
    totp_at: int | None
    issuer: str
    sessions: int


def people(connection: Connection) -> list[Person]:
    """List the accounts by name, with how many sessions each has."""
    column, row = tables.account.c, tables.session.c
    counts = select(row.account, func.count().label("sessions")).group_by(row.account).subquery()
    found = select(tables.account, counts.c.sessions).outerjoin(counts, counts.c.account == column.name)
    return [
        Person(
            one.name,
            Role(one.role),
            one.created_at,
            one.used_at,
            one.failures,
            one.locked_until,
            one.disabled_at,
            one.totp_at,
            one.issuer or "",
            one.sessions or 0,
        )
        for one in connection.execute(found.order_by(column.name))
    ]


def change_role(name: str, role: Role, *, actor: str, now: int) -> Change[None]:
    """Give an account another role, from its next click on. Applying raises AccountFault."""

    def change(unit: Unit) -> None:
        found = _existing(unit, name)
        if found.issuer:
            raise AccountFault("provided", "the role of this account comes from its OpenID provider; change it there")
        if role is not Role.ADMINISTRATOR:
            _keep_an_administrator(unit, name)
        _set(unit, name, role=role.value)
        append_audit(
            unit, actor=actor, action="change role", target=f"account {name}", detail=f"{found.role} → {role}", now=now
        )

    return Change(change, note="account")


def lock_account(name: str, *, actor: str, now: int) -> Change[None]:
    """Lock an account until it is unlocked, and end its sessions. Applying raises AccountFault."""

    def change(unit: Unit) -> None:
        _existing(unit, name)
        _keep_an_administrator(unit, name)
        _set(unit, name, disabled_at=now)
        end_sessions_of(unit, name)
        append_audit(unit, actor=actor, action="lock account", target=f"account {name}", detail="", now=now)

    return Change(change, note="account")


def unlock_account(name: str, *, actor: str, now: int) -> Change[None]:
    """Unlock an account, and forget its failures. Applying raises AccountFault."""

    def change(unit: Unit) -> None:
        _existing(unit, name)
        _set(unit, name, disabled_at=None, locked_until=None, failures=0)
        append_audit(unit, actor=actor, action="unlock account", target=f"account {name}", detail="", now=now)

    return Change(change, note="account")


def reset_password(name: str, password: str, *, actor: str, now: int, keep: bytes = b"") -> Change[None]:
    """Give an account a new password, which ends its sessions but `keep`. Raises AccountFault, as applying does."""
    hashed = hash_of(name, password)

    def change(unit: Unit) -> None:
        if _existing(unit, name).issuer:
            raise AccountFault("provided", "this account signs in through its OpenID provider and has no password")
        _set(unit, name, password_hash=hashed, failures=0, locked_until=None)
        end_sessions_of(unit, name, but=keep)
        done = "change password" if actor == name else "reset password"
        append_audit(unit, actor=actor, action=done, target=f"account {name}", detail="", now=now)

    return Change(change, note="account")


def end_sessions(name: str, *, actor: str, now: int, but: bytes = b"") -> Change[int]:
    """End an account's sessions but one, and give how many. Applying raises AccountFault."""

    def change(unit: Unit) -> int:
        _existing(unit, name)
        ended = end_sessions_of(unit, name, but=but)
        append_audit(unit, actor=actor, action="end sessions", target=f"account {name}", detail=str(ended), now=now)
        return ended

    return Change(change, note="account")


def forget_totp(name: str, *, actor: str, now: int) -> Change[None]:
    """Ask an account for no more one-time codes: its telephone is lost. Applying raises AccountFault."""

    def change(unit: Unit) -> None:
        _existing(unit, name)
        _set(unit, name, sealed_totp=None, totp_at=None, totp_step=None)
        unit.connection.execute(delete(tables.recovery_code).where(tables.recovery_code.c.account == name))
        append_audit(unit, actor=actor, action="forget codes", target=f"account {name}", detail="", now=now)

    return Change(change, note="account")


@dataclass(frozen=True, slots=True)
class _Known:
    role: str
    issuer: str


def _existing(unit: Unit, name: str) -> _Known:
    column = tables.account.c
    row = unit.connection.execute(select(column.role, column.issuer).where(column.name == name)).one_or_none()
    if row is None:
        raise AccountFault("unknown", "there is no account of this name")
    return _Known(row.role, row.issuer or "")


def _keep_an_administrator(unit: Unit, name: str) -> None:
    column = tables.account.c
    others = unit.connection.execute(
        select(func.count())
        .select_from(tables.account)
        .where(column.role == Role.ADMINISTRATOR.value, column.disabled_at.is_(None), column.name != name)
    ).scalar_one()
    if not others:
        raise AccountFault("last", "this is the last administrator who can sign in; make another one first")


def _set(unit: Unit, name: str, **values: object) -> None:
    unit.connection.execute(update(tables.account).where(tables.account.c.name == name).values(values))


def end_session_of(name: str, number: str, *, actor: str, now: int) -> Change[bool]:
    """End one session of an account, by the number that lists it; True when there was one."""

    def change(unit: Unit) -> bool:
        row = tables.session.c
        keys = unit.connection.execute(select(row.token_hash).where(row.account == name)).scalars()
        key = next((bytes(one) for one in keys if bytes(one)[:8].hex() == number), None)
        if key is None:
            return False
        unit.connection.execute(delete(tables.session).where(row.token_hash == key))
        append_audit(unit, actor=actor, action="end sessions", target=f"account {name}", detail="1", now=now)
        return True

    return Change(change, note="account")
