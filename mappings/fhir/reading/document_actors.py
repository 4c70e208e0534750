"""The people of a document from FHIR: authors, who did what it documents, further participants."""

from __future__ import annotations

from mappings.fhir import systems
from mappings.fhir.reading.actors import PEOPLE, read_organization, read_professional
from mappings.fhir.reading.datatypes import read_coding
from mappings.fhir.reading.source import Source
from mappings.fhir.reading.taking import (
    Node,
    child,
    children,
    said,
    take_extension,
    take_extensions,
    take_moment,
    take_text,
)
from schemas.actors import Organization, Professional
from schemas.document import Participant


def read_authors(
    node: Node, source: Source
) -> tuple[Professional | None, Organization | None, tuple[Professional, ...]]:
    """Read the authors: the first person, the first organisation, and the people who follow."""
    people: list[Professional] = []
    organization: Organization | None = None
    for reference in children(node, "author"):
        entry = source.find(reference, node)
        kind = entry.kind if entry is not None else said(reference, "type") or None
        if kind in PEOPLE:
            person = read_professional(reference, node, source)
            if person is not None:
                people.append(person)
        elif organization is None and kind in {None, "Organization"}:
            organization = read_organization(reference, node, source)
    return (people[0] if people else None), organization, tuple(people[1:])


def read_performer(node: Node, source: Source) -> tuple[Professional | None, Organization | None]:
    """Read who did what is documented, and where."""
    found = take_extension(node, systems.OUR_EXT + "performer")
    return _who(found, node, source) if found is not None else (None, None)


def read_participants(node: Node, source: Source) -> tuple[Participant, ...]:
    """Read the further participants; one without a kind is none."""
    found = []
    for one in take_extensions(node, systems.OUR_EXT + "participant"):
        kind = take_extension(one, "kind")
        function = take_extension(one, "function")
        at = take_extension(one, "at")
        person, place = _who(one, node, source)
        name = take_text(kind, "valueString") if kind is not None else None
        if name is None:
            continue
        code = child(function, "valueCoding") if function is not None else None
        found.append(
            Participant(
                kind=name,
                function=read_coding(code, source) if code is not None else None,
                professional=person,
                organization=place,
                at=take_moment(at, "valueDateTime") if at is not None else None,
            )
        )
    return tuple(found)


def _who(given: Node, node: Node, source: Source) -> tuple[Professional | None, Organization | None]:
    person, place = take_extension(given, "professional"), take_extension(given, "organization")
    return (
        read_professional(child(person, "valueReference"), node, source) if person is not None else None,
        read_organization(child(place, "valueReference"), node, source) if place is not None else None,
    )
