"""NK1: the people around a patient."""

from __future__ import annotations

from mappings.hl7v2.datatypes import address, coding, identifier, telecom
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.notebook import Notebook
from mappings.hl7v2.syntax import NULL
from schemas.actors import Contact

_NOBODY = Contact()


def contacts_of(notes: Notebook, segments: list[Segment]) -> tuple[Contact, ...]:
    """Read the contacts: relation (NK1-3), role (NK1-7: K is the *personne de confiance*), key (NK1-33)."""
    found = (_contact(notes, nk1) for nk1 in segments)
    return tuple(one for one in found if one != _NOBODY)


def _contact(notes: Notebook, nk1: Segment) -> Contact:
    syntax = notes.syntax
    parts = syntax.components(nk1.first(2))
    family = syntax.code(syntax.subcomponents(parts[0])[0])
    given = syntax.code(parts[1]) if len(parts) > 1 else ""
    identifiers = (identifier(raw, syntax) for raw in nk1.repetitions(33))
    telecoms = (telecom(raw, syntax) for n in (5, 6) for raw in nk1.repetitions(n) if raw != NULL)
    relation, role, place = nk1.first(3), nk1.first(7), nk1.first(4)
    return Contact(
        identifiers=tuple(one for one in identifiers if one is not None),
        family_name=family or None,
        given_name=given or None,
        relation=coding(relation, syntax) if relation and relation != NULL else None,
        role=coding(role, syntax) if role and role != NULL else None,
        address=address(place, syntax) if place and place != NULL else None,
        telecoms=tuple(one for one in telecoms if one is not None),
    )
