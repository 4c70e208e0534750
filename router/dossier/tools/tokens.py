"""Access tokens (OAuth 2.0 client credentials, RFC 6749 §4.4): random, kept as digests, short-lived.

On whose behalf a tool asks is said when it asks for the token (`on_behalf_of`) or with each request (the header
`On-Behalf-Of`): identifiers as `system|value`, separated by commas.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, delete, insert, select

from router.dossier.context import Reader, ReaderKind
from router.dossier.loading import known
from router.dossier.tools.registry import Tool, digest, find_tool, tool_of_secret
from router.journal import tables
from router.journal.operations import Change
from router.journal.sealing import Sealer
from router.journal.unit import Unit
from schemas.circle import party_keys
from schemas.coding import Identifier

TOKEN_PREFIX = "pat_"  # noqa: S105 - what tokens begin with
USER_PLACE = b"tool_token.sealed_user"
MINUTES = 15
"""How long a token is good."""

_USER = re.compile(r"[^\s|,]{1,120}\|[^\s|,]{1,60}")


class WrongUser(Exception):
    """What names the person on whose behalf a tool asks cannot be read."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What a valid token or key lets through: a reader, and what the tool may do at all."""

    reader: Reader
    scopes: tuple[str, ...]
    certificate: bytes | None = None
    users: tuple[Identifier, ...] = ()

    def may(self, action: str, kind: str) -> bool:
        """Say whether the scopes go so far: `read`, `write` or `subscribe`, for a resource type."""
        return action in self.scopes or f"{action}/{kind}" in self.scopes


def users_of(text: str) -> tuple[Identifier, ...]:
    """Read the identifiers of a person. Raises WrongUser."""
    found = []
    for one in text.split(","):
        if not _USER.fullmatch(one.strip()):
            raise WrongUser
        system, _, value = one.strip().partition("|")
        found.append(Identifier(system=system, value=value))
    return tuple(found)


def issue(
    tool: Tool, scopes: Sequence[str], users: tuple[Identifier, ...], sealer: Sealer, *, now: int
) -> tuple[str, Change[None]]:
    """Give a token, and the change that keeps its digest; tokens that have ended are swept by the way."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    sealed = None
    if users:
        sealed = sealer.seal(orjson.dumps([[one.system, one.value] for one in users]), USER_PLACE)

    def change(unit: Unit) -> None:
        column = tables.tool_token.c
        unit.connection.execute(delete(tables.tool_token).where(column.expires_at < now))
        unit.connection.execute(
            insert(tables.tool_token).values(
                token_hash=digest(token),
                tool=tool.name,
                scopes=" ".join(scopes),
                sealed_user=sealed,
                certificate=tool.certificate,
                created_at=now,
                expires_at=now + MINUTES * 60_000_000,
            )
        )

    return token, Change(change, note="tool token")


def spend_assertion(name: str, expires_at: int, *, now: int) -> Change[bool]:
    """Note that an assertion was used; False when it had been."""

    def change(unit: Unit) -> bool:
        column = tables.tool_assertion.c
        unit.connection.execute(delete(tables.tool_assertion).where(column.expires_at < now))
        key = digest(name)
        if unit.connection.execute(select(column.digest).where(column.digest == key)).first() is not None:
            return False
        unit.connection.execute(insert(tables.tool_assertion).values(digest=key, expires_at=expires_at))
        return True

    return Change(change, note="tool assertion")


def find_pass(
    connection: Connection, sealer: Sealer, shown: str, users: tuple[Identifier, ...], now: int
) -> Pass | None:
    """Give what a token, or a tool's own secret used as an API key (`name:secret`), lets through; None for neither.

    A person named with the request must be the one that the token was made for, when it was made for one.
    """
    if shown.startswith(TOKEN_PREFIX):
        return _by_token(connection, sealer, shown, users, now)
    name, _, secret = shown.partition(":")
    tool = tool_of_secret(connection, name, secret, now=now)
    if tool is None or not tool.is_good(now):
        return None
    return Pass(reader_for(tool, users, sealer), tool.scopes, tool.certificate, users)


def _by_token(
    connection: Connection, sealer: Sealer, shown: str, users: tuple[Identifier, ...], now: int
) -> Pass | None:
    column = tables.tool_token.c
    row = connection.execute(
        select(column.tool, column.scopes, column.sealed_user, column.certificate).where(
            column.token_hash == digest(shown), column.expires_at > now
        )
    ).one_or_none()
    tool = None if row is None else find_tool(connection, row.tool)
    if row is None or tool is None or not tool.is_good(now):
        return None
    own: tuple[Identifier, ...] = ()
    if row.sealed_user is not None:
        pairs = orjson.loads(sealer.open(row.sealed_user, USER_PLACE))
        own = tuple(Identifier(system=system, value=value) for system, value in pairs)
        if users and users != own:
            return None
    certificate = None if row.certificate is None else bytes(row.certificate)
    return Pass(reader_for(tool, own or users, sealer), tuple(row.scopes.split()), certificate, own or users)


def reader_for(tool: Tool, users: tuple[Identifier, ...], sealer: Sealer) -> Reader:
    """Give the reader that a tool is on behalf of somebody; naming nobody it is its structure, which reads nothing."""
    keys = party_keys(users)
    person = ",".join(one.value for one in users)
    name = f"tool:{tool.name}" + (f" for {person}" if person else "")
    kind = ReaderKind.PROFESSIONAL if keys else ReaderKind.STRUCTURE
    return known(Reader(kind, name[:120], keys, party_keys(structure_of(tool)), tool.name), sealer)


def structure_of(tool: Tool) -> tuple[Identifier, ...]:
    """Give the organisation that a tool acts for."""
    system, _, value = tool.structure.rpartition("|")
    return (Identifier(system=system or None, value=value),) if value else ()
