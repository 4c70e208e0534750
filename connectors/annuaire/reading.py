"""Reading a page of the directory's FHIR API (C1): Practitioner, PractitionerRole, Organization, their mailboxes.

annuaire.not_json        this is no JSON (a page of a proxy, a portal…)
annuaire.not_a_bundle    a resource, but no searchset; an OperationOutcome above all
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from connectors.annuaire.entries import Entry
from mappings.contracts import FormatError

EMAIL_TYPE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-contact-point-email-type"
MAILBOX = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata"
PROFESSION = "TRE_G15-ProfessionSante"
SPECIALTY = "TRE_R38-SpecialiteOrdinale"
RPPS_SYSTEM = "https://rpps.esante.gouv.fr"
FINESS_SYSTEM = "https://finess.esante.gouv.fr"
_STRUCTURE_SYSTEMS = (FINESS_SYSTEM, "https://sirene.fr", "urn:oid:1.2.250.1.71.4.2.2")

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its lines, and the server's own link to the next one."""

    entries: tuple[Entry, ...]
    following: str | None


def read_page(content: bytes) -> Page:
    """Read a searchset. Raises FormatError; what one resource has in another shape than expected is left out."""
    try:
        bundle = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise FormatError("annuaire.not_json", "answer", "the directory's answer is not JSON") from None
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise FormatError("annuaire.not_a_bundle", "answer", "the directory's answer is not a list of what was found")
    resources = [one for entry in _dicts(bundle.get("entry")) if isinstance(one := entry.get("resource"), dict)]
    links = (link for link in _dicts(bundle.get("link")) if link.get("relation") == "next")
    following = next((link["url"] for link in links if isinstance(link.get("url"), str)), None)
    return Page(tuple(_entries([one for one in resources if one.get("active") is not False])), following)


def _entries(resources: Sequence[Json]) -> Iterator[Entry]:
    people = {f"Practitioner/{one.get('id')}": _person(one) for one in _of(resources, "Practitioner")}
    places = {f"Organization/{one.get('id')}": _place(one) for one in _of(resources, "Organization")}
    acting: set[str] = set()
    for role in _of(resources, "PractitionerRole"):
        whose, where = _reference(role, "practitioner"), _reference(role, "organization")
        entry = _joined(people.get(whose, Entry()), places.get(where, Entry()))
        mailboxes = list(_mailboxes(role, entry))
        if mailboxes or entry.rpps:
            acting.add(whose)
        yield from mailboxes or ([entry] if entry.rpps and (entry.structure or entry.structure_name) else [])
    for one in _of(resources, "Practitioner"):
        reference = f"Practitioner/{one.get('id')}"
        person = people[reference]
        mailboxes = list(_mailboxes(one, person))
        yield from mailboxes or ([person] if reference not in acting and person.rpps else [])
    for one in _of(resources, "Organization"):
        place = places[f"Organization/{one.get('id')}"]
        yield from list(_mailboxes(one, place)) or [place]


def _of(resources: Sequence[Json], kind: str) -> list[Json]:
    return [one for one in resources if one.get("resourceType") == kind]


def _person(resource: Json) -> Entry:
    name = next(iter(_dicts(resource.get("name"))), {})
    codings = [
        coding
        for qualification in _dicts(resource.get("qualification"))
        for coding in _dicts(_dict(qualification.get("code")).get("coding"))
    ]
    profession = next((one for one in codings if PROFESSION in _text(one.get("system"))), {})
    specialty = next((one for one in codings if SPECIALTY in _text(one.get("system"))), {})
    titles = [one for one in (*_list(name.get("suffix")), *_list(name.get("prefix"))) if isinstance(one, str)]
    return Entry(
        rpps=_identifier(resource, (RPPS_SYSTEM,)),
        civility=titles[0] if titles else "",
        family=_text(name.get("family")),
        given=" ".join(one for one in _list(name.get("given")) if isinstance(one, str)),
        profession=_text(profession.get("code")),
        profession_name=_text(profession.get("display")),
        specialty=_text(specialty.get("display")) or _text(specialty.get("code")),
    )


def _place(resource: Json) -> Entry:
    address = next(iter(_dicts(resource.get("address"))), {})
    return Entry(
        structure=_identifier(resource, _STRUCTURE_SYSTEMS),
        structure_name=_text(resource.get("name")),
        postal_code=_text(address.get("postalCode")),
        city=_text(address.get("city")),
    )


def _joined(person: Entry, place: Entry) -> Entry:
    return replace(
        person,
        structure=place.structure,
        structure_name=place.structure_name,
        postal_code=place.postal_code,
        city=place.city,
    )


def _mailboxes(resource: Json, base: Entry) -> Iterator[Entry]:
    """Give the MSSanté mailboxes of a resource; ordinary e-mails lack the extension."""
    for telecom in _dicts(resource.get("telecom")):
        address = _text(telecom.get("value")).strip().lower()
        extensions = {_text(one.get("url")): one for one in _dicts(telecom.get("extension"))}
        kind = _dict(extensions.get(EMAIL_TYPE, {}).get("valueCoding"))
        if telecom.get("system") != "email" or "@" not in address or kind.get("code") != "MSSANTE":
            continue
        parts = {_text(one.get("url")): one for one in _dicts(extensions.get(MAILBOX, {}).get("extension"))}
        coding = next(iter(_dicts(_dict(parts.get("type", {}).get("valueCodeableConcept")).get("coding"))), {})
        yield replace(
            base,
            address=address,
            kind=_text(coding.get("code")),
            service=_text(parts.get("service", {}).get("valueString")),
            # What does not say so is not on it; what says it in another shape than a boolean is.
            red=parts.get("listeRouge", {}).get("valueBoolean", "listeRouge" in parts) is not False,
        )


def _identifier(resource: Json, systems: Sequence[str]) -> str:
    """Give the identifier under the first of these systems; one system's own extensions begin with its address."""
    found = _dicts(resource.get("identifier"))
    for system in systems:
        for one in found:
            if _text(one.get("system")).startswith(system) and _text(one.get("value")):
                return _text(one.get("value"))
    return ""


def _reference(resource: Json, name: str) -> str:
    return "/".join(_text(_dict(resource.get(name)).get("reference")).split("/")[-2:])


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in _list(value) if isinstance(one, dict)]


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
