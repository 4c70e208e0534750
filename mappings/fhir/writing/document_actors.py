"""The people of a document: its authors, who signs and keeps it, who did what it documents, and everybody else."""

from __future__ import annotations

from mappings.fhir import systems
from mappings.fhir.writing.actors import organization, professional
from mappings.fhir.writing.bundle import BundleBuilder, Resource
from mappings.fhir.writing.datatypes import coding, extend, extension, put_date_time
from schemas.actors import Organization, Professional
from schemas.document import Document, Participant


def put_actors(out: Resource, builder: BundleBuilder, document: Document) -> None:
    """Set author, authenticator and custodian. The first person is the author, whose role has an extension."""
    authors = []
    if document.author is not None:
        authors.append(professional(builder, document.author, out))
    if document.author_organization is not None:
        authors.append(organization(builder, document.author_organization, out))
    authors += [professional(builder, one, out) for one in document.other_authors]
    authors = [dict(one) for one in authors if one]
    if document.author is None and document.other_authors:
        builder.not_carried("content.other_authors", "the first author of a FHIR document is its author")
    if authors:
        out["author"] = authors
    if document.author_role is not None:
        extend(out, extension("author-role", "valueCoding", coding(document.author_role, builder)))
    if document.legal_authenticator is not None:
        authenticator = professional(builder, document.legal_authenticator, out)
        if authenticator:
            out["authenticator"] = authenticator
    if document.custodian is not None:
        custodian = organization(builder, document.custodian, out)
        if custodian:
            out["custodian"] = dict(custodian)


def put_participants(out: Resource, builder: BundleBuilder, document: Document) -> None:
    """Write who did what is documented, and the further participants, as extensions: there is no element for them."""
    performer = _who(out, builder, document.performer, document.performer_organization)
    if performer:
        extend(out, {"url": systems.OUR_EXT + "performer", "extension": performer})
    for one in document.participants:
        extend(out, {"url": systems.OUR_EXT + "participant", "extension": _participant(out, builder, one)})


def _participant(out: Resource, builder: BundleBuilder, given: Participant) -> list[Resource]:
    inside: list[Resource] = [{"url": "kind", "valueString": given.kind}]
    if given.function is not None:
        inside.append({"url": "function", "valueCoding": coding(given.function, builder)})
    inside += _who(out, builder, given.professional, given.organization)
    if given.at is not None:
        at: Resource = {"url": "at"}
        put_date_time(at, "valueDateTime", given.at, builder.zone)
        inside.append(at)
    return inside


def _who(
    out: Resource, builder: BundleBuilder, person: Professional | None, place: Organization | None
) -> list[Resource]:
    inside: list[Resource] = []
    who = professional(builder, person, out) if person is not None else {}
    if who:
        inside.append({"url": "professional", "valueReference": who})
    where = organization(builder, place, out) if place is not None else {}
    if where:
        inside.append({"url": "organization", "valueReference": where})
    return inside
