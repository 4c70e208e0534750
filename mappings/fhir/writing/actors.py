"""Organisations, professionals and contacts.

Who has an identifier is an entry of its own, created once at the receiver; who has none has no identity to share and is
contained in the resource that mentions him, or only named when a name is all there is.
"""

from __future__ import annotations

from mappings.fhir import systems
from mappings.fhir.writing.bundle import BundleBuilder, Resource
from mappings.fhir.writing.datatypes import (
    address,
    coding,
    concept,
    criteria,
    extend,
    extension,
    identifier,
    telecom,
    usable,
)
from schemas.actors import Contact, Organization, Professional, Recipient


def organization(builder: BundleBuilder, given: Organization, container: Resource) -> Resource:
    """Write an organisation and give the reference to it."""
    known = builder.reference_of(given)
    if known is not None:
        return known
    resource: Resource = {"resourceType": "Organization"}
    numbers = usable(given.identifiers)
    if numbers:
        resource["identifier"] = [identifier(one, builder) for one in numbers]
    elif given.address is None and not given.telecoms:
        return {"type": "Organization", "display": given.name} if given.name else {}
    if given.name:
        resource["name"] = given.name
    if given.telecoms:
        resource["telecom"] = [telecom(one) for one in given.telecoms]
    if given.address is not None:
        resource["address"] = [address(given.address)]
    if not numbers or builder.self_contained:
        return builder.contain(container, resource)
    reference = builder.shared(resource, criteria(numbers[0], builder))
    builder.remember(given, reference)
    return reference


def professional(builder: BundleBuilder, given: Professional, container: Resource) -> Resource:
    """Write a professional and give the reference to him, or to his role when he acts somewhere or as something."""
    known = builder.reference_of(given)
    if known is not None:
        return known
    if not given.identifiers and given == Professional(name=given.name):
        return {"type": "Practitioner", "display": given.name} if given.name else {}
    person = _practitioner(builder, given)
    numbers = usable(given.identifiers)
    key = criteria(numbers[0], builder) if numbers else None
    inside = key is None or builder.self_contained
    reference = builder.contain(container, person) if inside or key is None else builder.shared(person, key)
    if given.specialty is not None or given.organization is not None:
        reference = _role(builder, given, reference, container)
    if key is not None and not str(reference.get("reference", "")).startswith("#"):
        builder.remember(given, reference)
    return reference


def _practitioner(builder: BundleBuilder, given: Professional) -> Resource:
    person: Resource = {"resourceType": "Practitioner"}
    numbers = usable(given.identifiers)
    if numbers:
        person["identifier"] = [identifier(one, builder) for one in numbers]
    name: Resource = {}
    if given.name:
        name["text"] = given.name
    if given.family_name:
        name["family"] = given.family_name
    if given.given_name:
        name["given"] = [given.given_name]
    if given.civility:
        name["prefix"] = [given.civility]
    if name:
        person["name"] = [name]
    if given.telecoms:
        person["telecom"] = [telecom(one) for one in given.telecoms]
    if given.address is not None:
        person["address"] = [address(given.address)]
    return person


def _role(builder: BundleBuilder, given: Professional, person: Resource, container: Resource) -> Resource:
    role: Resource = {"resourceType": "PractitionerRole", "practitioner": person}
    where: Resource = {}
    if given.organization is not None:
        where = organization(builder, given.organization, container)
        if where:
            role["organization"] = where
    if given.specialty is not None:
        role["specialty"] = [concept((given.specialty,), None, builder)]
    url = str(person["reference"])
    if url.startswith("#") or str(where.get("reference", "")).startswith("#"):
        return builder.contain(container, role)
    specialty = given.specialty.code if given.specialty else ""
    name = f"role|{url}|{where.get('reference') or where.get('display')}|{specialty}"
    known = builder.named.get(name)
    if known is None:
        known = builder.named[name] = builder.post_once(role, name)
    return known


def recipient(builder: BundleBuilder, given: Recipient, container: Resource) -> Resource | None:
    """Write whom the sender wants to reach as an extension: FHIR reports have no such element."""
    inside: list[Resource] = []
    if given.professional is not None:
        who = professional(builder, given.professional, container)
        if who:
            inside.append({"url": "professional", "valueReference": who})
    if given.organization is not None:
        who = organization(builder, given.organization, container)
        if who:
            inside.append({"url": "organization", "valueReference": who})
    if given.role:
        inside.append({"url": "role", "valueString": given.role})
    return {"url": systems.OUR_EXT + "recipient", "extension": inside} if inside else None


def contact(builder: BundleBuilder, given: Contact, patient: Resource) -> None:
    """Write a person around the patient; the identifier (NK1-33) is the update key when there is one."""
    person: Resource = {"resourceType": "RelatedPerson"}
    numbers = usable(given.identifiers)
    if numbers:
        person["identifier"] = [identifier(one, builder) for one in numbers]
    person["patient"] = patient
    relations: list[Resource] = []
    for kind, code in (("role", given.role), ("relation", given.relation)):
        if code is not None:
            relations.append({"id": kind, "coding": [coding(code, builder)]})
    if relations:
        person["relationship"] = relations
    name: Resource = {}
    if given.family_name:
        name["family"] = given.family_name
    if given.given_name:
        name["given"] = [given.given_name]
    if name:
        person["name"] = [name]
    if given.telecoms:
        person["telecom"] = [telecom(one) for one in given.telecoms]
    if given.address is not None:
        person["address"] = [address(given.address)]
    key = f"contact|{patient['reference']}|{given.family_name}|{given.given_name}"
    builder.put(person, key, criteria(numbers[0], builder) if numbers else None)


def put_recipients(builder: BundleBuilder, recipients: tuple[Recipient, ...], container: Resource) -> None:
    """Write all recipients on a resource."""
    written = [recipient(builder, one, container) for one in recipients]
    extensions = [one for one in written if one is not None]
    if extensions:
        extend(container, *extensions)


def put_sender(
    builder: BundleBuilder, sender: Organization | None, shown: Organization | None, container: Resource
) -> None:
    """Write who sent the message, when it is not the organisation that the resource shows already."""
    if sender is not None and sender != shown:
        who = organization(builder, sender, container)
        if who:
            extend(container, extension("sender", "valueReference", who))
