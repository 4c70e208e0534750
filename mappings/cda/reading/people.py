"""Who made, signed, informed, took part in and receives a document (cda-fr §2.2 to §2.4)."""

from __future__ import annotations

from typing import NamedTuple

from mappings.cda.oids import ROLE_CLASS
from mappings.cda.reading.actors import role
from mappings.cda.reading.datatypes import coding, point, time_of
from mappings.cda.reading.node import Node
from mappings.cda.reading.scribe import Scribe
from schemas.actors import Organization, Professional, Recipient
from schemas.coding import Coding
from schemas.document import Participant


class Author(NamedTuple):
    """An author: who, where, in which role, and when."""

    professional: Professional | None
    organization: Organization | None
    role: Coding | None
    at: str | None


def author_of(scribe: Scribe, node: Node, rank: int) -> Author:
    """Read the `rank`-th author, a person or a device."""
    who = node.first("assignedAuthor")
    where = f"author[{rank}]/time"
    at = time_of(scribe, node.first("time"), where)
    function = coding(scribe, node.first("functionCode"))
    if who is None:
        return Author(None, None, function, at)
    found = role(scribe, who)
    return Author(found.professional, found.organization, function, at)


def authorship(authors: list[Author], created_at: str | None) -> list[Participant]:
    """Say of the authors what `author` and `other_authors` have no room for: another time, another one's function."""
    return [
        Participant(
            kind="author",
            function=one.role,
            professional=one.professional,
            organization=one.organization,
            at=one.at if one.at != created_at else None,
        )
        for rank, one in enumerate(authors)
        if (one.at not in (None, created_at)) or (rank and one.role is not None)
    ]


def _signature(scribe: Scribe, node: Node, kind: str) -> Participant | None:
    """Read an authenticator: who, and when (`signatureCode` S says no more than that)."""
    who = node.first("assignedEntity")
    signed = node.first("signatureCode")
    if signed is not None and signed.peek("code") == "S":
        signed.get("code")
    if who is None:
        return None
    found = role(scribe, who)
    at = time_of(scribe, node.first("time"), f"{kind}/time")
    if found.professional is None and found.organization is None:
        return None
    return Participant(kind=kind, professional=found.professional, organization=found.organization, at=at)


def legal_authenticator(scribe: Scribe, document: Node) -> tuple[Professional | None, tuple[Participant, ...]]:
    """Read the legal authenticator; the time of the signature is said of a participant of that name."""
    node = document.first("legalAuthenticator")
    found = _signature(scribe, node, "legalAuthenticator") if node is not None else None
    if found is None:
        return None, ()
    return found.professional, (found,) if found.at is not None else ()


def participants_of(scribe: Scribe, document: Node) -> list[Participant]:
    """Read the data enterer, informants, authenticators and participants, in this order."""
    found = (
        *(_enterer(scribe, node) for node in document.all("dataEnterer")),
        *(_informant(scribe, node) for node in document.all("informant")),
        *(_signature(scribe, node, "authenticator") for node in document.all("authenticator")),
        *(_participant(scribe, node) for node in document.all("participant")),
    )
    return [one for one in found if one is not None]


def _enterer(scribe: Scribe, node: Node) -> Participant | None:
    who = node.first("assignedEntity")
    if who is None:
        return None
    found = role(scribe, who)
    at = time_of(scribe, node.first("time"), "dataEnterer/time")
    return Participant(kind="dataEnterer", professional=found.professional, organization=found.organization, at=at)


def _informant(scribe: Scribe, node: Node) -> Participant | None:
    """Read an informant: a professional, or a person around the patient (`function` is then the role class: NOK…)."""
    who = node.first("assignedEntity")
    if who is not None:
        found = role(scribe, who)
        return Participant(kind="informant", professional=found.professional, organization=found.organization)
    relative = node.first("relatedEntity")
    if relative is None:
        return None
    kind = relative.get("classCode")
    function = Coding(system=ROLE_CLASS, code=kind) if kind else None
    return Participant(kind="informant", function=function, professional=role(scribe, relative).professional)


def _participant(scribe: Scribe, node: Node) -> Participant | None:
    who = node.first("associatedEntity")
    if who is None:
        return None
    found = role(scribe, who)
    return Participant(
        kind=node.get("typeCode") or "participant",
        function=coding(scribe, node.first("functionCode")),
        professional=found.professional,
        organization=found.organization,
        at=point(scribe, node.first("time"), "participant/time"),
    )


def recipient_of(scribe: Scribe, node: Node) -> Recipient | None:
    """Read an intended recipient; its MSSanté address is a telecom of the professional."""
    who = node.first("intendedRecipient")
    if who is None:
        return None
    found = role(scribe, who)
    if found.professional is None and found.organization is None:
        return None
    return Recipient(professional=found.professional, organization=found.organization, role=node.get("typeCode"))
