"""People, organisations, identifiers and codes, written in a line."""

from __future__ import annotations

from schemas.actors import Organization, Professional, Recipient
from schemas.coding import Coding, Identifier


def identifier(found: Identifier | None) -> str:
    """Write an identifier with its type and who assigned it."""
    if found is None:
        return ""
    owner = found.assigner or found.system
    extra = " ".join(part for part in (found.type, owner) if part)
    return f"{found.value} ({extra})" if extra else found.value


def coding(found: Coding | None) -> str:
    """Write a code with its label."""
    if found is None:
        return ""
    return f"{found.display} ({found.code})" if found.display and found.display != found.code else found.code


def organization(found: Organization | None) -> str:
    """Write an organisation: its name, else its first number."""
    if found is None:
        return ""
    return found.name or next((one.value for one in found.identifiers), "")


def telecoms(found: Professional | None) -> str:
    """Write the addresses of a professional."""
    return ", ".join(one.value for one in found.telecoms) if found is not None else ""


def professional(found: Professional | None) -> str:
    """Write a professional: name, and the number that identifies it."""
    if found is None:
        return ""
    name = found.name or " ".join(part for part in (found.civility, found.given_name, found.family_name) if part)
    number = next((f"{one.type or ''} {one.value}".strip() for one in found.identifiers), "")
    if name and number:
        return f"{name} ({number})"
    return name or number or organization(found.organization)


def recipient(found: Recipient) -> str:
    """Write whom a sender wants to reach: the person and where, or the organisation, with the addresses given."""
    person, place = professional(found.professional), organization(found.organization)
    reached = ", ".join(
        one.value for actor in (found.professional, found.organization) if actor is not None for one in actor.telecoms
    )
    return " · ".join(dict.fromkeys(part for part in (person, place, reached) if part))


def acting(found: Professional | None, place: Organization | None = None) -> str:
    """Write a professional with specialty and place: who answers for a document."""
    if found is None:
        return organization(place)
    specialty = (found.specialty.display or found.specialty.code) if found.specialty is not None else ""
    where = organization(place) or organization(found.organization)
    return " · ".join(dict.fromkeys(part for part in (professional(found), specialty, where) if part))
