"""From a person's claims to an account: its role by the configured mapping, its name for lists and the audit.

An account belongs to the pair of issuer and subject. Neither a name nor a mail address ever makes two persons one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select, update

from router.config.oidc import OidcSection
from router.journal import tables
from router.journal.auditing import append_audit
from router.journal.operations import Change
from router.journal.unit import Unit
from router.web.accounts import Account, find_bound
from router.web.oidc.faults import OidcFault
from router.web.rights import Role


def role_of_claims(claims: Mapping[str, Any], section: OidcSection) -> Role | None:
    """Give the role that somebody's claims map to, None when nothing fits."""
    held = _values(claims, section.role_claim)
    return next((Role(role) for value, role in section.roles.items() if value in held), None)


def _values(claims: Mapping[str, Any], path: str) -> set[str]:
    # A claim may itself have dots in its name (`https://example/roles`): the whole path is tried first.
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    listed = found if isinstance(found, list) else [found]
    return {str(one) for one in listed if isinstance(one, str | int) and not isinstance(one, bool)}


def name_of_claims(claims: Mapping[str, Any], provider: str, subject: str, section: OidcSection) -> str:
    """Give a name for a new account: `camille@keycloak`."""
    said = claims.get(section.name_claim)
    words = re.sub(r"[^\w.-]", "-", said.split("@")[0])[:50].strip("-.") if isinstance(said, str) else ""
    return f"{words or hashlib.sha256(subject.encode()).hexdigest()[:12]}@{provider}"


def admit(issuer: str, subject: str, *, name: str, role: Role, now: int) -> Change[Account]:
    """Give the account of a person at a provider, made when there is none, with the role that the claims give today.

    Applying raises OidcFault `locked` for an account that an administrator locked.
    """

    def change(unit: Unit) -> Account:
        column, connection = tables.account.c, unit.connection
        found = find_bound(connection, issuer, subject)
        if found is None:
            free = name
            if connection.execute(select(column.name).where(column.name == name)).one_or_none() is not None:
                free = f"{name}-{hashlib.sha256(f'{issuer} {subject}'.encode()).hexdigest()[:8]}"[:80]
            values = {"password_hash": "", "role": role.value, "issuer": issuer, "subject": subject}
            connection.execute(insert(tables.account).values(name=free, created_at=now, **values))
            said = {"action": "add account", "target": f"account {free}", "detail": role.value}
            append_audit(unit, actor=free, now=now, **said)
        elif found.is_locked(now):
            raise OidcFault("locked", "locked")
        elif found.role is not role:
            connection.execute(update(tables.account).where(column.name == found.name).values(role=role.value))
            said = {"action": "change role", "target": f"account {found.name}", "detail": f"{found.role} → {role}"}
            append_audit(unit, actor=found.name, now=now, **said)
        admitted = find_bound(connection, issuer, subject)
        assert admitted is not None  # noqa: S101 - it was found, or made, in this transaction
        return admitted

    return Change(change, note="account")
