"""People and organisations of the header and of entries (cda-fr §2.2 to §2.6)."""

from __future__ import annotations

from typing import NamedTuple

from mappings.cda.oids import PROFESSIONAL_IDS, STRUCTURE_IDS, TITLES
from mappings.cda.reading.datatypes import coding, first_address, identifier, telecoms
from mappings.cda.reading.node import Node
from mappings.cda.reading.scribe import Scribe
from schemas.actors import Organization, Professional
from schemas.coding import Coding, Identifier
from schemas.identifiers import professional_identifier, structure_identifier

_PERSONS = ("assignedPerson", "associatedPerson", "relatedPerson", "informationRecipient", "playingEntity")
_ORGANIZATIONS = (
    "representedOrganization",
    "scopingOrganization",
    "receivedOrganization",
    "representedCustodianOrganization",
    "scopingEntity",
)


class Role(NamedTuple):
    """A person role: who, where they act, and the practice setting of that place."""

    professional: Professional | None
    organization: Organization | None
    setting: Coding | None


class _Name(NamedTuple):
    family: str | None
    given: str | None
    civility: str | None
    whole: str | None


def role(scribe: Scribe, node: Node) -> Role:
    """Read an assignedAuthor, assignedEntity, associatedEntity, relatedEntity, intendedRecipient or participantRole."""
    organization = setting = None
    for name in _ORGANIZATIONS:
        place = node.first(name)
        if place is not None:
            organization = organization_of(scribe, place)
            setting = coding(scribe, place.first("standardIndustryClassCode"))
            break
    return Role(_professional(scribe, node, organization), organization, setting)


def _professional(scribe: Scribe, node: Node, organization: Organization | None) -> Professional | None:
    name = _NOBODY
    for kind in _PERSONS:
        person = node.first(kind)
        if person is not None:
            called = person.first("name")
            if called is not None:
                name = _name(called)
            break
    if name == _NOBODY and (device := node.first("assignedAuthoringDevice") or node.first("playingDevice")):
        name = _Name(None, None, None, _device(device))
    identifiers = tuple(found for one in node.all("id") if (found := _person_id(one)) is not None)
    specialty = coding(scribe, node.first("code"))
    reached = telecoms(node)
    if not (identifiers or specialty or reached or any(name)):
        return None
    return Professional(
        identifiers=identifiers,
        family_name=name.family,
        given_name=name.given,
        civility=name.civility,
        name=name.whole,
        specialty=specialty,
        organization=organization,
        address=first_address(node),
        telecoms=reached,
    )


_NOBODY = _Name(None, None, None, None)


def _name(node: Node) -> _Name:
    """Read a PN: prefix and suffix (`M`, `DR`) are the civility together; a name that is not split stays whole."""
    texts: dict[str, list[str]] = {"family": [], "given": [], "prefix": [], "suffix": []}
    for part in node.children:
        if part.name in texts and (said := part.text):
            part.get("qualifier")
            texts[part.name].append(said)
    joined = {name: " ".join(said) or None for name, said in texts.items()}
    civility = " ".join((*texts["prefix"], *texts["suffix"])) or None
    whole = node.text if node.has_text else None
    return _Name(joined["family"], joined["given"], civility, whole)


def civility_parts(civility: str | None) -> tuple[str | None, str | None]:
    """Part a canonical civility (`M DR`) into prefix and suffix, as a CDA writes them."""
    words = (civility or "").split()
    titles = [word for word in words if word.upper().rstrip(".") in TITLES]
    others = [word for word in words if word not in titles]
    return " ".join(others) or None, " ".join(titles) or None


def _device(node: Node) -> str | None:
    names = (node.first("manufacturerModelName"), node.first("softwareName"))
    found = [said for one in names if one is not None and (said := one.text)]
    code = node.first("code")
    if not found and code is not None and (shown := code.get("displayName")):
        found.append(shown)
    return " ".join(found) or None


def _person_id(node: Node) -> Identifier | None:
    found = identifier(node)
    if found is None or found.system != f"urn:oid:{PROFESSIONAL_IDS}":
        return found
    normal = professional_identifier(found.value, None, found.system)
    return normal if found.assigner is None else normal.model_copy(update={"assigner": found.assigner})


def organization_of(scribe: Scribe, node: Node) -> Organization | None:
    """Read an organisation: national identifiers in their canonical form (FINESS, SIREN, SIRET), others as sent."""
    identifiers: list[Identifier] = []
    for one in node.all("id"):
        found = identifier(one)
        if found is not None and found.system == f"urn:oid:{STRUCTURE_IDS}":
            normal = structure_identifier(found.value, None, found.system)
            found = normal if found.assigner is None else normal.model_copy(update={"assigner": found.assigner})
        if found is not None:
            identifiers.append(found)
    names = [said for one in node.all("name") if (said := one.text)]
    place = first_address(node)
    if not (identifiers or names or place):
        return None
    return Organization(
        name=" ".join(names) or None,
        identifiers=tuple(identifiers),
        address=place,
        telecoms=telecoms(node),
    )
