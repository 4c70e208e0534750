"""Who made, keeps, answers for, validated, asked for and receives a document (cda-fr §2.2 to §2.4)."""

from __future__ import annotations

from mappings.cda.oids import PARTICIPATION_FUNCTION_OID, STRUCTURE_IDS
from mappings.cda.writing.case import LABORATORY_SPECIALTY, Case
from mappings.cda.writing.codes import ii, known, named_oid, of_value_set, value_set
from mappings.cda.writing.markup import NULL, attribute, element, templates, text_element
from mappings.cda.writing.parties import (
    addr,
    finess_of,
    national_person_id,
    organization,
    person_ids,
    person_name,
    specialty_code,
    structure_id,
    telecoms,
)
from mappings.cda.writing.times import ts
from schemas.actors import Organization, Professional, Recipient
from schemas.coding import Coding, Identifier
from schemas.document import Participant
from schemas.identifiers import PROFESSIONALS

_PARTICIPATIONS = frozenset({"REF", "REFB", "INF", "RESP", "PRF", "CON", "VRF"})
_TEMPLATES = {"REF": "1.3.6.1.4.1.19376.1.3.3.1.6"}
_ATTENDING = Coding(system=f"urn:oid:{PARTICIPATION_FUNCTION_OID}", code="PCP")
VALIDATOR_TEMPLATE = "1.3.6.1.4.1.19376.1.3.3.1.5"


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
        (identifier or unknown_person_id(case))
        + (known("code", code) if code is not None else "")
        + addr(who.address)
        + telecoms(who.telecoms, case.notes, person)
        + element(person, name)
        + organization("representedOrganization", where, case.notes, person)
    )


def unknown_person_id(case: Case, who: Professional | None = None) -> str:
    """Write an identifier for a professional who has none: of ours, made of the structure and of the name."""
    name = f"{who.family_name or who.name}|{who.given_name}" if who is not None else case.item.source.where
    place = case.place.name if case.place is not None else ""
    return f'<id root="{named_oid("professional")}" extension="{named_oid(f"{place}|{name}")[5:]}"/>'


def authors(case: Case, created: str) -> str:
    """Write each author; the structure alone when no person is known."""
    document = case.document
    first = document.author or case.item.author or (case.responsible if case.is_laboratory else None)
    written = []
    people = [one for one in (first, *document.other_authors) if one is not None]
    for rank, who in enumerate(people):
        role = of_value_set("function", document.author_role) if rank == 0 else None
        identified = who if any(one.value.strip() for one in who.identifiers) else None
        if identified is None:
            case.filled(
                "author/id", "the author has no number: one of ours, made of the name, is written", serious=False
            )
        content = person_role(
            case,
            who,
            "assignedPerson",
            place=document.author_organization or case.place,
            specialty=case.option("author_specialty") if rank == 0 else None,
        )
        if identified is None:
            content = content.replace(unknown_person_id(case), unknown_person_id(case, who), 1)
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
        if not who.identifiers:
            content = content.replace(unknown_person_id(case), unknown_person_id(case, who), 1)
    else:
        case.filled("legalAuthenticator", "nobody is known to answer for the document: its structure is written")
        content = structure_or_ours(case, "id", case.place) + organization(
            "representedOrganization", case.place, case.notes, "legalAuthenticator"
        )
    return element("legalAuthenticator", f'{signed}<signatureCode code="S"/>{element("assignedEntity", content)}')


def authenticators(case: Case, released: str | None) -> str:
    """Write the validating biologists, each with a national identifier (JDV has no other root) and a time."""
    written = []
    for one in case.document.participants:
        who = one.professional
        if one.kind != "authenticator" or who is None:
            continue
        number = national_person_id(who, finess_of(who.organization) or case.finess)
        at = case.moment(one.at, released)
        if number is None or at is None:
            message = "a validator without national number, or without a time, has no place in the header"
            case.notes.warning("cda.write.not_carried", "authenticator", message)
            continue
        if one.at is None:
            case.filled("authenticator/time", "when it was validated is not known: when it was issued is written")
        name = person_name(who, case.notes, "authenticator")
        content = ii("id", number) + addr(who.address) + telecoms(who.telecoms, case.notes, "authenticator")
        content += element("assignedPerson", name)
        conformance = templates(VALIDATOR_TEMPLATE) if case.is_laboratory else ""
        time = ts("time", at, case.zone)
        written.append(
            f'<authenticator>{conformance}{time}<signatureCode code="S"/>{element("assignedEntity", content)}'
            "</authenticator>"
        )
    return "".join(written)


def participants(case: Case) -> str:
    """Write prescriber, attending physician, sampler…; roles that a header has no place for are Findings."""
    written = []
    for one in case.document.participants:
        if one.kind in {"authenticator", "responsibleParty"}:
            continue
        if one.kind not in _PARTICIPATIONS:
            message = f"a participant of kind {one.kind} is not written anew"
            case.notes.info("cda.write.not_carried", "participants", message)
            continue
        written.append(_participant(case, one))
    doctor = case.item.patient.general_practitioner
    told = any(one.function is not None and one.function.code == "PCP" for one in case.document.participants)
    if doctor is not None and not told:
        written.append(_participant(case, Participant(kind="INF", function=_ATTENDING, professional=doctor)))
    return "".join(written)


def _participant(case: Case, one: Participant) -> str:
    where = "participant"
    who = one.professional or Professional()
    function = of_value_set("function", one.function)
    code = specialty_code(who.specialty)
    place = one.organization or who.organization
    identifier = person_ids(who, finess_of(place)) if who.identifiers else ""
    content = (
        identifier
        + (known("code", code) if code is not None else "")
        + addr(who.address)
        + telecoms(who.telecoms, case.notes, where)
        + element("associatedPerson", person_name(who, case.notes, where))
        + organization("scopingOrganization", place, case.notes, where)
    )
    at = case.moment(one.at)
    time = f'<time xsi:type="IVL_TS">{ts("high", at, case.zone)}</time>' if at else f"<time{NULL}/>"
    template = templates(_TEMPLATES[one.kind]) if case.is_laboratory and one.kind in _TEMPLATES else ""
    return (
        f"<participant{attribute('typeCode', one.kind)}>{template}"
        f"{known('functionCode', function) if function is not None else ''}{time}"
        f'<associatedEntity classCode="PROV">{content}</associatedEntity></participant>'
    )


def recipients(case: Case) -> str:
    """Write the recipients that the sender named."""
    every = dict.fromkeys((*case.item.recipients, *case.document.recipients))
    return "".join(_recipient(case, one) for one in every)


def _recipient(case: Case, one: Recipient) -> str:
    where = "informationRecipient"
    who, place = one.professional, one.organization or (one.professional and one.professional.organization) or None
    content = templates("1.3.6.1.4.1.19376.1.3.3.1.4") if case.is_laboratory else ""
    if who is not None:
        number = national_person_id(who)
        if number is not None:
            content += ii("id", number)
        elif who.identifiers:
            message = "a recipient's number that is not a national one was left out"
            case.notes.info("cda.write.not_carried", "recipients", message)
        content += addr(who.address) + telecoms(who.telecoms, case.notes, where)
        content += element("informationRecipient", person_name(who, case.notes, where))
    elif place is not None:
        content += addr(place.address) + telecoms(place.telecoms, case.notes, where)
    content += organization("receivedOrganization", place, case.notes, where)
    return element(where, element("intendedRecipient", content))


def responsible_party(case: Case) -> str:
    """Write the biologist (or doctor) responsible for the care; CR-BIO wants id, profession and name."""
    given = next((one.professional for one in case.document.participants if one.kind == "responsibleParty"), None)
    who = given or case.responsible
    if not case.is_laboratory:
        number = national_person_id(given, case.finess)
        if given is None or number is None:
            return ""
        return _responsible(case, given, number, specialty_code(given.specialty))
    number = national_person_id(who, case.finess)
    if number is None:
        message = "the national number of the responsible biologist is not known: one of ours is written"
        case.filled("responsibleParty/id", message)
        local = next((one.value for one in who.identifiers), None) if who is not None else None
        number = Identifier(system=PROFESSIONALS, value=f"3{case.finess or ''}/{local or 'INCONNU'}")
    code = (specialty_code(who.specialty) if who is not None else None) or case.option("author_specialty")
    if code is None:
        code = value_set("specialty")[LABORATORY_SPECIALTY]
        case.filled("responsibleParty/code", "the profession of the biologist is not known: G15_10/SM03 is written")
    return _responsible(case, who or Professional(), number, code)


def _responsible(case: Case, who: Professional, number: Identifier, code: Coding | None) -> str:
    where = "responsibleParty"
    name = person_name(who, case.notes, where)
    if not name:
        case.filled(where, "the name of the responsible person is not known: it is written as unknown")
        name = f"<name><family{NULL}/></name>"
    content = (
        ii("id", number)
        + (known("code", code) if code is not None else "")
        + addr(who.address)
        + telecoms(who.telecoms, case.notes, where)
        + element("assignedPerson", name)
        + organization("representedOrganization", case.place, case.notes, where)
    )
    return element(where, element("assignedEntity", content))
