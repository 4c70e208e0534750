"""From a resource to what finds it: blind tokens, dates, and the facts that the door looks at.

A token holds the type, the parameter, the form and the value: `sc` system and code, `c` a code in whatever system, `r`
a reference, `p` the beginning of a word, `x` a whole text, `d` a day, month or year that identifies somebody.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from router.dossier.classifying import author_token
from router.dossier.store.categories import category_of, labels_of
from router.dossier.store.elements import Json, Resource, child, children, codes, dates, said, walk
from router.dossier.store.parameters import Kind, Parameter, parameters
from router.dossier.store.requests import KIND, parties_of, party_tokens
from router.journal.sealing import Sealer, loose
from schemas.circle import party_keys
from schemas.coding import Identifier
from schemas.value_sets import code_system_url
from schemas.visibility import Mark, marks_of

SHORTEST, LONGEST = 2, 12
"""Letters of the beginnings of words under which a text is found."""

NOTE_TYPES = frozenset({"urn:oid:1.2.250.1.213.1.1.5.98", "urn:oid:1.2.250.1.213.1.1.4.334"})
NOTE_SYSTEM = "https://mos.esante.gouv.fr/NOS/TRE_R234-TypeNote/FHIR/TRE-R234-TypeNote"
"""The notes' types: published examples write the OID of the value set for that of the code system."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """What finds a resource, and what the door looks at."""

    tokens: tuple[int, ...]
    dates: tuple[tuple[str, int, int], ...]
    category: str
    marks: int
    at: int | None
    author: int | None
    thing: int | None = None

    @property
    def packed(self) -> bytes:
        """The tokens as the journal keeps them beside the resource."""
        return struct.pack(f"<{len(self.tokens)}q", *self.tokens)


def unpacked(packed: bytes) -> tuple[int, ...]:
    """Give the tokens back."""
    return struct.unpack(f"<{len(packed) // 8}q", packed)


def index(sealer: Sealer, resource: Resource) -> Indexed:
    """Index a resource of one of the store's types."""
    kind = said(resource, "resourceType")
    tokens: set[int] = set()
    found: dict[tuple[str, int], int] = {}
    for parameter in parameters(kind).values():
        if stands_for_patient(parameter) or is_composed(kind, parameter):
            continue
        for path in parameter.paths:
            for node in walk(resource, path):
                if parameter.kind is Kind.DATE:
                    span = dates(node)
                    if span is not None:
                        key = parameter.name, span[0]
                        found[key] = max(found.get(key, 0), span[1])
                else:
                    tokens.update(sealer.token("fhir", kind, parameter.name, *form) for form in _forms(parameter, node))
    if kind == KIND:
        tokens.update(party_tokens(sealer, parties_of(resource)))
    return Indexed(
        tuple(sorted(tokens)),
        tuple(sorted((name, low, high) for (name, low), high in found.items())),
        category_of(resource),
        int(marks_of(labels_of(resource)) | (Mark.MEDICAL if _is_opinion(resource) else Mark.NONE)),
        _happened(kind, resource),
        _author(sealer, resource),
        sealer.token("entry", f"{kind}/{said(resource, 'id')}"),
    )


def stands_for_patient(parameter: Parameter) -> bool:
    """Say whether a parameter names the patient, whom a column of the row holds."""
    return parameter.name in {"patient", "subject"} and parameter.targets == ("Patient",)


def is_composed(kind: str, parameter: Parameter) -> bool:
    """Say whether a parameter is the union of `family` and `given`, under which it is found."""
    return parameter.name == "name" and "family" in parameters(kind)


def _forms(parameter: Parameter, node: Json) -> Iterator[tuple[str, ...]]:
    if parameter.kind is Kind.TOKEN:
        for system, code in codes(node):
            yield "c", code
            if system:
                yield "sc", system_key(system), code
    elif parameter.kind is Kind.REFERENCE:
        reference = said(node, "reference") if isinstance(node, dict) else node if isinstance(node, str) else ""
        if reference and not reference.startswith("#"):
            yield "r", reference
        for system, code in codes(child(node, "identifier")):
            yield "sc", system_key(system), code
    elif parameter.kind is Kind.STRING and isinstance(node, str):
        yield "x", node
        for word in {loose(one) for one in (node, *node.replace("-", " ").replace("'", " ").split())}:
            yield from (("p", word[:length]) for length in range(SHORTEST, min(len(word), LONGEST) + 1))
    elif parameter.kind is Kind.BIRTH and isinstance(node, str):
        yield from (("d", node[:length]) for length in (4, 7, 10) if len(node) >= length)


def system_key(system: str) -> str:
    """Give one name to a code system that is written in several ways (an OID, its URL, its value set)."""
    if system in NOTE_TYPES:
        return NOTE_SYSTEM
    return code_system_url(system) if system.startswith("urn:oid:") else system


def _author(sealer: Sealer, resource: Resource) -> int | None:
    """Give the token of the author, by the RPPS where there is one: the number that others know them by."""
    keys = sorted(party_keys(authors_of(resource)), key=lambda key: (not key.startswith("rpps|"), key))
    return author_token(sealer, keys[0]) if keys else None


def authors_of(resource: Resource) -> tuple[Identifier, ...]:
    """Give the identifiers of whoever wrote it: the contained author, or the identifier of the reference."""
    found: list[Identifier] = []
    for name in ("author", "sender", "requester"):
        for reference in children(resource, name):
            found += _identifiers(reference, resource)
    return tuple(found)


def _identifiers(reference: Resource, resource: Resource) -> Iterator[Identifier]:
    named = child(reference, "identifier")
    if named is not None and said(named, "value"):
        yield Identifier(system=said(named, "system") or None, value=said(named, "value"))
    for one in children(resource, "contained"):
        if said(reference, "reference") == f"#{said(one, 'id')}":
            for identifier in children(one, "identifier"):
                if said(identifier, "value"):
                    yield Identifier(system=said(identifier, "system") or None, value=said(identifier, "value"))


def _is_opinion(resource: Resource) -> bool:
    return category_of(resource) == "notes" and any(
        code == "DEM-AVIS" for one in (resource.get("type"), *children(resource, "category")) for _, code in codes(one)
    )


_HAPPENED = {
    "DocumentReference": ("context.period", "date", "content.attachment.creation"),
    "DiagnosticReport": ("effectiveDateTime", "effectivePeriod", "issued"),
    "Observation": ("effectiveDateTime", "effectivePeriod", "issued"),
    "Encounter": ("period",),
    "Communication": ("sent", "received"),
    "CommunicationRequest": ("authoredOn",),
    "Appointment": ("start",),
    "CarePlan": ("period", "created"),
    "QuestionnaireResponse": ("authored",),
    "Consent": ("dateTime",),
    "Task": ("authoredOn",),
    "List": ("date",),
}


def _happened(kind: str, resource: Resource) -> int | None:
    spans: Iterable[tuple[int, int] | None] = (
        dates(node) for path in _HAPPENED.get(kind, ()) for node in walk(resource, path)
    )
    return next((span[0] for span in spans if span is not None), None)
