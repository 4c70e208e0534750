"""Who validated, asked for, took part in, answers for the care of and receives a document (cda-fr §2.3, §2.4, §2.6)."""

from __future__ import annotations

from mappings.cda.oids import PARTICIPATION_FUNCTION_OID
from mappings.cda.writing.case import LABORATORY_SPECIALTY, Case
from mappings.cda.writing.codes import ii, known, of_value_set, value_set
from mappings.cda.writing.markup import NULL, attribute, element, templates
from mappings.cda.writing.parties import (
    addr,
    finess_of,
    national_person_id,
    organization,
    person_ids,
    person_name,
    specialty_code,
    telecoms,
)
from mappings.cda.writing.times import ts
from schemas.actors import Professional, Recipient
from schemas.coding import Coding, Identifier
from schemas.document import Participant
from schemas.identifiers import PROFESSIONALS

_PARTICIPATIONS = frozenset({"REF", "REFB", "INF", "RESP", "PRF", "CON", "VRF"})
_TEMPLATES = {"REF": "1.3.6.1.4.1.19376.1.3.3.1.6"}
_ATTENDING = Coding(system=f"urn:oid:{PARTICIPATION_FUNCTION_OID}", code="PCP")
VALIDATOR_TEMPLATE = "1.3.6.1.4.1.19376.1.3.3.1.5"


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
