"""Registration of tools: scopes, secrets that can be changed without a gap, public keys, a certificate.

A secret is 256 random bits, shown once; what is kept is its SHA-256. A tool that is revoked loses its tokens at once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from router.faults import Fault
from router.journal import tables
from router.journal.operations import Change
from router.journal.ready import Ready
from router.journal.unit import Unit

SECRET_PREFIX = "pst_"  # noqa: S105 - what secrets begin with, to be recognised by scanners of leaked ones
SCOPES = ("read", "write", "subscribe")
"""What a tool may do at all: `read`, `write`, `subscribe`; `read/Type` is narrower. Within, the door decides."""

OVERLAP_HOURS = 24
"""How long the former secret is taken after a rotation, unless said otherwise."""

_NAMED = Ready(select(tables.tool).where(tables.tool.c.name == bindparam("tool")))
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_SCOPE = re.compile(r"(read|write)/[A-Z][A-Za-z]{2,40}")


class ToolFault(Fault):
    """A registration that cannot be made: one sentence, what to do."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A registered tool. `structure` is `system|value`, empty when it acts for none in particular."""

    name: str
    scopes: tuple[str, ...]
    structure: str
    created_at: int
    has_secret: bool
    keys: str | None
    certificate: bytes | None
    expires_at: int | None
    revoked_at: int | None

    def is_good(self, now: int) -> bool:
        """Whether it may use the API at this moment."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


def digest(secret: str) -> bytes:
    """Give what is kept of a random secret."""
    return hashlib.sha256(secret.encode()).digest()


def checked_scopes(scopes: Sequence[str]) -> str:
    """Give scopes as they are kept. Raises ToolFault for one that there is not."""
    wrong = [one for one in scopes if one not in SCOPES and not _SCOPE.fullmatch(one)]
    if wrong or not scopes:
        raise ToolFault("a scope is read, write or subscribe, or narrower: read/DocumentReference, write/Task…")
    return " ".join(dict.fromkeys(scopes))


def add_tool(
    name: str,
    scopes: Sequence[str],
    *,
    now: int,
    structure: str = "",
    keys: bytes | None = None,
    certificate: bytes | None = None,
    expires_at: int | None = None,
) -> tuple[str | None, Change[None]]:
    """Register a tool: its secret, to be shown once (None when it has public keys), and the change that keeps it.

    Applying the change raises ToolFault when the name is in use.
    """
    if not _NAME.fullmatch(name):
        raise ToolFault("a tool's name has 1 to 80 lower case letters, digits, or . _ -")
    kept_scopes = checked_scopes(scopes)
    kept_keys = _checked_keys(keys) if keys is not None else None
    secret = None if keys is not None else SECRET_PREFIX + secrets.token_urlsafe(32)

    def change(unit: Unit) -> None:
        if find_tool(unit.connection, name) is not None:
            raise ToolFault("there is a tool of this name already; revoked ones keep their name in the audit trail")
        unit.connection.execute(
            insert(tables.tool).values(
                name=name,
                created_at=now,
                scopes=kept_scopes,
                structure=structure,
                secret_hash=None if secret is None else digest(secret),
                keys=kept_keys,
                certificate=certificate,
                expires_at=expires_at,
            )
        )

    return secret, Change(change, note="tool")


def rotate_secret(name: str, *, now: int, overlap_hours: float = OVERLAP_HOURS) -> tuple[str, Change[None]]:
    """Give a tool a new secret; the former one is taken for a while. Applying it raises ToolFault."""
    secret = SECRET_PREFIX + secrets.token_urlsafe(32)

    def change(unit: Unit) -> None:
        column = tables.tool.c
        row = unit.connection.execute(
            select(column.secret_hash, column.revoked_at).where(column.name == name)
        ).one_or_none()
        if row is None or row.revoked_at is not None:
            raise ToolFault("there is no tool of this name in use")
        until = now + int(overlap_hours * 3_600_000_000)
        values = {"secret_hash": digest(secret), "former_hash": row.secret_hash, "former_until": until}
        unit.connection.execute(update(tables.tool).where(column.name == name).values(values))

    return secret, Change(change, note="tool secret")


def revoke_tool(name: str, *, now: int) -> Change[bool]:
    """Revoke a tool and its tokens, and turn its subscriptions off; True when it was in use."""

    def change(unit: Unit) -> bool:
        column = tables.tool.c
        statement = update(tables.tool).where(column.name == name, column.revoked_at.is_(None))
        found = unit.connection.execute(statement.values(revoked_at=now)).rowcount > 0
        unit.connection.execute(delete(tables.tool_token).where(tables.tool_token.c.tool == name))
        off = update(tables.subscription).where(tables.subscription.c.tool == name)
        unit.connection.execute(off.values(state="off", detail="the tool was revoked"))
        return found

    return Change(change, note="tool revoked")


def find_tool(connection: Connection, name: str) -> Tool | None:
    """Give a tool by its name, revoked or not."""
    row = _NAMED.first(connection, tool=name)
    return None if row is None else _tool(row)


def all_tools(connection: Connection) -> list[Tool]:
    """List the tools."""
    return [_tool(row) for row in connection.execute(select(tables.tool).order_by(tables.tool.c.name))]


def secret_is_right(connection: Connection, name: str, secret: str, *, now: int) -> bool:
    """Check a secret, in the same time whatever it is: the tool's own, or its former one while that is still taken."""
    return tool_of_secret(connection, name, secret, now=now) is not None


def tool_of_secret(connection: Connection, name: str, secret: str, *, now: int) -> Tool | None:
    """Give the tool of this name when the secret is its own (`secret_is_right`), revoked or not."""
    row = _NAMED.first(connection, tool=name)
    shown, nobody = digest(secret), bytes(32)
    present = bytes(row.secret_hash) if row is not None and row.secret_hash is not None else nobody
    former_counts = row is not None and row.former_hash is not None and (row.former_until or 0) > now
    former = bytes(row.former_hash) if row is not None and former_counts else nobody
    right = hmac.compare_digest(shown, present)
    return _tool(row) if (hmac.compare_digest(shown, former) or right) and row is not None else None


def _tool(row: Any) -> Tool:
    return Tool(
        row.name,
        tuple(row.scopes.split()),
        row.structure,
        row.created_at,
        row.secret_hash is not None,
        row.keys,
        None if row.certificate is None else bytes(row.certificate),
        row.expires_at,
        row.revoked_at,
    )


def _checked_keys(content: bytes) -> str:
    try:
        found = orjson.loads(content)
        keys = found["keys"]
    except (ValueError, TypeError, KeyError):
        raise ToolFault('public keys are a JSON Web Key Set: {"keys": […]}') from None
    if not isinstance(keys, list) or not keys or len(content) > 8000:
        raise ToolFault("a JSON Web Key Set has one key at least, and 8,000 bytes at most")
    if any("d" in key or "k" in key for key in keys if isinstance(key, dict)):
        raise ToolFault("this set holds private keys: give the public ones only, and change these")
    return orjson.dumps(found).decode()
