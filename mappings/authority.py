"""How a sender that has no OID names what it assigns: `urn:x-authority:…` (schemas.coding.Identifier)."""

from __future__ import annotations

from urllib.parse import quote

from schemas.actors import Organization

PREFIX = "urn:x-authority:"


def authority_system(name: str | None) -> str | None:
    """Give the identifier system of an authority known by a code or a name alone; None for nothing."""
    stripped = (name or "").strip()
    return PREFIX + quote(stripped, safe="") if stripped else None


def authority_of(organization: Organization | None) -> str | None:
    """Give the identifier system of what an organisation assigns: by its first code, else by its name."""
    if organization is None:
        return None
    first = next((one.value for one in organization.identifiers), None)
    return authority_system(first or organization.name)
