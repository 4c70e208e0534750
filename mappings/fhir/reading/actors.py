"""Organisations, professionals, contacts and recipients from FHIR."""

from __future__ import annotations

from mappings.fhir import systems
from mappings.fhir.reading.datatypes import (
    read_address,
    read_addresses,
    read_identifier,
    read_identifiers,
    read_one_code,
    read_telecoms,
)
from mappings.fhir.reading.source import Entry, Source
from mappings.fhir.reading.taking import (
    Node,
    child,
    children,
    forget,
    said,
    take_extension,
    take_extensions,
    take_text,
    take_texts,
)
from schemas.actors import Contact, Organization, Professional, Recipient
from schemas.coding import Identifier
from schemas.identifiers import PROFESSIONALS, professional_identifier

PEOPLE = frozenset({"Practitioner", "PractitionerRole"})


def read_organization(reference: Node | None, container: Node, source: Source) -> Organization | None:
    """Read the organisation that a reference names: a resource, an identifier, or a display alone."""
    if reference is None:
        return None
    entry = source.resolve(reference, container)
    if entry is None:
        return _named_organization(reference)
    if entry.kind != "Organization":
        return None
    return source.once(entry, "organization", lambda: _organization(entry))


def _named_organization(reference: Node) -> Organization | None:
    logical = child(reference, "identifier")
    number = read_identifier(logical) if logical else None
    name = take_text(reference, "display")
    if number is None and name is None:
        return None
    forget(reference, "type")
    return Organization(name=name, identifiers=(number,) if number else ())


def _organization(entry: Entry) -> Organization:
    node = entry.resource
    forget(node, "active")
    addresses = children(node, "address")
    return Organization(
        name=take_text(node, "name"),
        identifiers=read_identifiers(entry),
        address=read_address(addresses[0]) if addresses else None,
        telecoms=read_telecoms(node),
    )


def read_professional(reference: Node | None, container: Node, source: Source) -> Professional | None:
    """Read the professional that a reference names, with the place and speciality of his role."""
    if reference is None:
        return None
    entry = source.resolve(reference, container)
    if entry is None:
        return _named_professional(reference)
    if entry.kind == "Practitioner":
        return source.once(entry, "professional", lambda: _practitioner(entry))
    if entry.kind == "PractitionerRole":
        return source.once(entry, "professional", lambda: _role(entry, container, source))
    return None


def _named_professional(reference: Node) -> Professional | None:
    logical = child(reference, "identifier")
    number = read_identifier(logical) if logical else None
    name = take_text(reference, "display")
    if number is None and name is None:
        return None
    forget(reference, "type")
    return Professional(name=name, identifiers=(number,) if number else ())


def _practitioner(entry: Entry) -> Professional:
    node = entry.resource
    forget(node, "active")
    names = children(node, "name")
    name = names[0] if names else {}
    given = take_texts(name, "given")
    prefix = take_texts(name, "prefix")
    forget(name, "use")
    addresses = children(node, "address")
    return Professional(
        identifiers=tuple(_national(one) for one in read_identifiers(entry)),
        family_name=take_text(name, "family"),
        given_name=" ".join(given) or None,
        civility=" ".join(prefix) or None,
        name=take_text(name, "text"),
        address=read_address(addresses[0]) if addresses else None,
        telecoms=read_telecoms(node),
    )


def _national(number: Identifier) -> Identifier:
    """Read a national number that says its kind by its first digit only (`8` and RPPS) as what it is."""
    if number.system != PROFESSIONALS or number.type not in {None, "IDNPS"}:
        return number
    return professional_identifier(number.value, number.type, number.system)


def _role(entry: Entry, container: Node, source: Source) -> Professional:
    node = entry.resource
    forget(node, "active")
    person = read_professional(child(node, "practitioner"), container, source) or Professional()
    specialties = children(node, "specialty")
    own = read_identifiers(entry)
    return person.model_copy(
        update={
            "identifiers": person.identifiers or own,
            "organization": read_organization(child(node, "organization"), container, source),
            "specialty": read_one_code(specialties[0], source) if specialties else None,
            "telecoms": person.telecoms or read_telecoms(node),
        }
    )


def split_references(
    references: list[Node], container: Node, source: Source
) -> tuple[Organization | None, Professional | None]:
    """Read the first organisation and the first professional of a mixed list (`performer`, `author`)."""
    organization: Organization | None = None
    person: Professional | None = None
    for reference in references:
        entry = source.find(reference, container)
        kind = entry.kind if entry is not None else said(reference, "type") or None
        if kind in PEOPLE:
            if person is None:
                person = read_professional(reference, container, source)
        elif organization is None and kind in {None, "Organization"}:
            organization = read_organization(reference, container, source)
    return organization, person


def read_contact(entry: Entry, source: Source) -> Contact:
    """Read a RelatedPerson."""
    node = entry.resource
    entry.read = True
    forget(node, "patient", "active")
    names = children(node, "name")
    name = names[0] if names else {}
    forget(name, "use")
    relation = role = None
    for one in children(node, "relationship"):
        kind = take_text(one, "id")
        code = read_one_code(one, source)
        if kind == "role" or (kind is None and code is not None and (code.system or "").endswith("v2-0131")):
            role = role or code
        else:
            relation = relation or code
    addresses = read_addresses(node)
    return Contact(
        identifiers=read_identifiers(entry),
        family_name=take_text(name, "family"),
        given_name=" ".join(take_texts(name, "given")) or None,
        relation=relation,
        role=role,
        address=addresses[0] if addresses else None,
        telecoms=read_telecoms(node),
    )


def read_recipients(node: Node, source: Source) -> tuple[Recipient, ...]:
    """Read the recipients that Passerelle's extension carries."""
    found = []
    for one in take_extensions(node, systems.OUR_EXT + "recipient"):
        person, place, role = (take_extension(one, name) for name in ("professional", "organization", "role"))
        found.append(
            Recipient(
                professional=read_professional(child(person or {}, "valueReference"), node, source),
                organization=read_organization(child(place or {}, "valueReference"), node, source),
                role=take_text(role, "valueString") if role else None,
            )
        )
    return tuple(found)


def read_sender(node: Node, shown: Organization | None, source: Source) -> Organization | None:
    """Read who sent it: Passerelle's extension, else the organisation that the resource shows."""
    found = take_extension(node, systems.OUR_EXT + "sender")
    sender = read_organization(child(found, "valueReference"), node, source) if found else None
    return sender or shown
