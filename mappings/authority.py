"""How a sender that has no OID names what it assigns: `urn:x-finess:…`, `urn:x-authority:…` (schemas.coding)."""

from __future__ import annotations

from urllib.parse import quote

from schemas.actors import Organization
from schemas.identifiers import NumberVerdict, check_finess

NAMED = "urn:x-authority:"
FINESS = "urn:x-finess:"


def authority_system(name: str | None) -> str | None:
    """Give the identifier system of an authority known by a FINESS number, a code or a name; None for nothing."""
    stripped = (name or "").strip()
    if check_finess(stripped).verdict is NumberVerdict.VALID:
        return FINESS + stripped
    return NAMED + quote(stripped, safe="") if stripped else None


def authority_of(organization: Organization | None) -> str | None:
    """Give the identifier system of what an organisation assigns: by its first code, else by its name."""
    if organization is None:
        return None
    first = next((one.value for one in organization.identifiers), None)
    return authority_system(first or organization.name)
