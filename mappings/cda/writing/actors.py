"""Who made, keeps and answers for a document (cda-fr §2.2, §2.3)."""

from __future__ import annotations

from mappings.cda.oids import STRUCTURE_IDS
from mappings.cda.writing.case import Case
from mappings.cda.writing.codes import ii, known, named_oid, of_value_set
from mappings.cda.writing.markup import element, text_element
from mappings.cda.writing.parties import (
    addr,
    finess_of,
    organization,
    person_ids,
    person_name,
    specialty_code,
    structure_id,
    telecoms,
)
from schemas.actors import Organization, Professional
from schemas.coding import Coding


def person_role(
    case: Case, who: Professional, person: str, *, place: Organization | None = None, specialty: Coding | None = None
) -> str:
    """Write what an assignedAuthor or assignedEntity holds: id, code, addr, telecom, person, organisation."""
    where = who.organization or place
    identifier = person_ids(who, finess_of(where) or case.finess)
    code = specialty_code(who.specialty) or specialty
    if who.specialty is not None and specialty_code(who.specialty) is None:
        message = "a profession that is not in the national value set (JDV_J01) was left out"
        case.notes.info("cda.write.value_set", person, message)
    name = person_name(who, case.notes, person)
    return (
        (identifier or own_person_id(case, who))
        + (known("code", code) if code is not None else "")
        + addr(who.address)
        + telecoms(who.telecoms, case.notes, person)
        + element(person, name)
        + organization("representedOrganization", where, case.notes, person)
    )


def own_person_id(case: Case, who: Professional) -> str:
    """Write an identifier for a professional who has none: of ours, made of the structure and of the name."""
    place = case.place.name if case.place is not None else ""
    name = f"{place}|{who.family_name or who.name or ''}|{who.given_name or ''}"
    return f'<id root="{named_oid("professional")}" extension="{named_oid(name)[5:]}"/>'


def authors(case: Case, created: str) -> str:
    """Write each author; the structure alone when no person is known."""
    document = case.document
    first = document.author or case.item.author or (case.responsible if case.is_laboratory else None)
    written = []
    people = [one for one in (first, *document.other_authors) if one is not None]
    for rank, who in enumerate(people):
        role = of_value_set("function", document.author_role) if rank == 0 else None
        if not any(one.value.strip() for one in who.identifiers):
            message = "the author has no number: one of ours, made of the name, is written"
            case.filled("author/id", message, serious=False)
        content = person_role(
            case,
            who,
            "assignedPerson",
            place=document.author_organization or case.place,
            specialty=case.option("author_specialty") if rank == 0 else None,
        )
        function = known("functionCode", role) if role is not None else ""
        written.append(element("author", f"{function}{created}{element('assignedAuthor', content)}"))
    if written:
        return "".join(written)
    case.filled("author", "no author is known: the structure that sends stands there", serious=False)
    place = document.author_organization or case.place
    content = structure_or_ours(case, "id", place) + organization(
        "representedOrganization", place, case.notes, "author"
    )
    return element("author", f"{created}{element('assignedAuthor', content)}")


def structure_or_ours(case: Case, tag: str, place: Organization | None) -> str:
    """Write a structure's national identifier, else its own first number, else one of ours made of its name."""
    national = structure_id(place)
    if national is not None:
        return ii(tag, national)
    first = next((one for one in (place.identifiers if place else ()) if one.value.strip()), None)
    if first is not None:
        return ii(tag, first)
    name = place.name if place is not None and place.name else case.item.source.format
    return f'<{tag} root="{named_oid("structure")}" extension="{named_oid(name)[5:]}"/>'


def custodian(case: Case) -> str:
    """Write who keeps the document: under the national root, without a number when none is known."""
    place = case.document.custodian or case.place
    number = structure_id(place) or structure_id(case.place)
    if number is None:
        message = "the national number of the custodian is not known: only its root is; set `custodian_finess`"
        case.filled("custodian/id", message)
        identifier = f'<id root="{STRUCTURE_IDS}"/>'
    else:
        identifier = ii("id", number)
    name = (place.name if place is not None else None) or case.context.options.get("custodian_name")
    content = identifier + text_element("name", name)
    if place is not None and place.telecoms:
        content += telecoms(place.telecoms[:1], case.notes, "custodian")
    if place is not None and place.address is not None:
        content += addr(place.address)
    return element("custodian", element("assignedCustodian", element("representedCustodianOrganization", content)))


def legal_authenticator(case: Case, signed: str) -> str:
    """Write who answers for the document; the structure when nobody is known."""
    who = case.responsible
    if who is not None:
        if case.document.legal_authenticator is None:
            message = "nobody is said to have signed: the person who answers for the document is written"
            case.filled("legalAuthenticator", message, serious=False)
        content = person_role(case, who, "assignedPerson", place=case.place, specialty=case.option("author_specialty"))
    else:
        case.filled("legalAuthenticator", "nobody is known to answer for the document: its structure is written")
        content = structure_or_ours(case, "id", case.place) + organization(
            "representedOrganization", case.place, case.notes, "legalAuthenticator"
        )
    return element("legalAuthenticator", f'{signed}<signatureCode code="S"/>{element("assignedEntity", content)}')
