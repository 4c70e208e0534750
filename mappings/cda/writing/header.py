"""The header of a CI-SIS document, element by element in the order of the schema (cda-fr §1, §2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mappings.cda.oids import CI_SIS_HEADER, HL7_FRANCE, LAB, SDTC, TYPE_ID, V3, XSI
from mappings.cda.writing.actors import authors, custodian, legal_authenticator, own_person_id
from mappings.cda.writing.case import Case, Numbers
from mappings.cda.writing.codes import attributes_of, ii, ii_of, known, of_value_set, value_set
from mappings.cda.writing.identity import confidentiality, record_target
from mappings.cda.writing.markup import NULL, element, escaped, templates, text_element
from mappings.cda.writing.participants import authenticators, participants, recipients, responsible_party
from mappings.cda.writing.parties import addr, organization, person_ids, person_name, specialty_code, telecoms
from mappings.cda.writing.times import interval, stamp, stamp_of, ts
from schemas.actors import Professional
from schemas.coding import LOINC, Coding, Identifier

PROLOGUE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<ClinicalDocument xmlns="{V3}" xmlns:lab="{LAB}" xmlns:sdtc="{SDTC}" xmlns:xsi="{XSI}">'
    f'<realmCode code="FR"/><typeId root="{TYPE_ID[0]}" extension="{TYPE_ID[1]}"/>'
    f"{templates(HL7_FRANCE, CI_SIS_HEADER)}"
)
EXECUTANT = ("1.3.6.1.4.1.19376.1.3.3.1.7", "1.2.250.1.213.1.1.3.23")
"""Templates of the laboratory that performs (IHE PaLM, CI-SIS)."""


@dataclass(frozen=True, slots=True)
class Act:
    """What a document documents: codes of the act, and its status when it has one (`completed`, `active`)."""

    codes: tuple[Coding, ...]
    label: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What the header says beside the Document: template ids, title, numbers, acts, orders."""

    templates: str
    numbers: Numbers
    title: str
    acts: Sequence[Act]
    order: Identifier | None = None


def header(case: Case, subject: Subject) -> str:
    """Write everything before the body."""
    document, zone, numbers = case.document, case.zone, subject.numbers
    created = case.moment(document.created_at) or None
    now = stamp_of(case.now, zone)
    value = (stamp(created, zone) if created else None) or now
    if created is None:
        case.filled("effectiveTime", "when it was issued is not known: the time of writing is written", serious=False)
    kind = value_set("type")["11502-2"] if case.is_laboratory else _type(case)
    place = case.place
    return (
        PROLOGUE
        + subject.templates
        + ii_of("id", numbers.document)
        + known("code", kind)
        + element("title", escaped(" ".join(subject.title.split())))
        + f'<effectiveTime value="{value}"/>'
        + confidentiality(case.item.patient, document.confidentiality, case.notes)
        + f'<languageCode code="{_language(case)}"/>'
        + ii("setId", numbers.versions)
        + f'<versionNumber value="{numbers.version}"/>'
        + record_target(case.item.patient, case.context, case.item.sender or place, case.notes)
        + authors(case, f'<time value="{value}"/>')
        + custodian(case)
        + recipients(case)
        + legal_authenticator(case, f'<time value="{value}"/>')
        + authenticators(case, created)
        + participants(case)
        + (f"<inFulfillmentOf><order>{ii('id', subject.order)}</order></inFulfillmentOf>" if subject.order else "")
        + _acts(case, subject)
        + _replaced(numbers)
        + _encounter(case)
    )


def _type(case: Case) -> Coding:
    return case.chosen("document_type", case.document.type, "code", "34133-9")


def title_of(case: Case) -> str:
    """Give the title of a document: its own, else the name of its type."""
    document = case.document
    given = document.title or (document.type.display if document.type is not None else None)
    return given if given and given.strip() else _type(case).display or "Document"


def _language(case: Case) -> str:
    given = case.document.language or ""
    main, _, region = given.partition("-")
    if len(main) == 2 and len(region) == 2 and given.replace("-", "").isascii() and given.replace("-", "").isalpha():
        return f"{main.lower()}-{region.upper()}"
    return "fr-FR"


def _acts(case: Case, subject: Subject) -> str:
    written = []
    for rank, act in enumerate(subject.acts or (Act(()),)):
        if rank:
            written.append(f"<documentationOf><serviceEvent>{_act_code(act)}</serviceEvent></documentationOf>")
        else:
            written.append(_main_act(case, act))
    return "".join(written)


def _act_code(act: Act) -> str:
    """Write the code of an act: LOINC first; the words alone when it has no code."""
    codes = sorted(act.codes, key=lambda one: one.system != LOINC)
    if codes:
        more = "".join(f"<translation{attributes_of(one, act.label)}/>" for one in codes[1:])
        first = attributes_of(codes[0], act.label)
        return f"<code{first}>{more}</code>" if more else f"<code{first}/>"
    words = text_element("originalText", act.label)
    return f'<code nullFlavor="OTH">{words}</code>' if words else ""


def _main_act(case: Case, act: Act) -> str:
    """Write the act that carries performer, dates and practice setting."""
    document, zone = case.document, case.zone
    start = case.moment(document.period_start, document.period_end, document.created_at, case.item.occurred_at)
    if start is None or case.moment(document.period_start) is None:
        message = "when the act began is not known: the nearest date that is known is written"
        case.filled("documentationOf/effectiveTime", message, serious=start is None)
    low = ts("low", start, zone) if start else f'<low value="{stamp_of(case.now, zone)}"/>'
    end = case.moment(document.period_end)
    high = ts("high", end, zone) if end else ""
    status = f'<lab:statusCode code="{act.status}"/>' if act.status else ""
    code = _act_code(act) or ('<code nullFlavor="NA"/>' if case.is_laboratory else "")
    return (
        f"<documentationOf><serviceEvent>{code}{status}"
        f"<effectiveTime>{low}{high}</effectiveTime>{_performer(case)}</serviceEvent></documentationOf>"
    )


def _performer(case: Case) -> str:
    document = case.document
    who = document.performer or case.responsible or Professional()
    where = "documentationOf/performer"
    fallback = "AMBULATOIRE"
    setting = case.chosen("practice_setting", document.practice_setting, where + "/practice setting", fallback)
    code = specialty_code(who.specialty)
    identifier = person_ids(who, case.finess) if who.identifiers else ""
    if not identifier:
        identifier = own_person_id(case, who) if who.family_name or who.name else f"<id{NULL}/>"
    name = person_name(who, case.notes, where)
    if not name and case.is_laboratory:
        case.filled(where, "the director of the laboratory is not known: the name is written as unknown")
        name = f"<name><family{NULL}/></name>"
    place = organization("representedOrganization", case.place, case.notes, where, setting)
    if case.is_laboratory:
        place = complete_organization(case, place)
    at = case.moment(document.period_end)
    time = f"<time>{ts('high', at, case.zone)}</time>" if at else f"<time{NULL}/>"
    return (
        f'<performer typeCode="PRF">{templates(*EXECUTANT) if case.is_laboratory else ""}{time}<assignedEntity>'
        + identifier
        + (known("code", code) if code is not None else "")
        + addr(who.address)
        + telecoms(who.telecoms, case.notes, where)
        + element("assignedPerson", name)
        + place
        + "</assignedEntity></performer>"
    )


def complete_organization(case: Case, written: str) -> str:
    """Give a laboratory the id and name that CR-BIO wants, when they are not known."""
    if "<id " not in written:
        case.filled("documentationOf/performer", "the national number of the laboratory is not known")
        written = written.replace("<representedOrganization>", f"<representedOrganization><id{NULL}/>", 1)
    if "<name>" not in written:
        case.filled("documentationOf/performer", "the name of the laboratory is not known")
        written = written.replace("<telecom", "<name>Laboratoire non précisé</name><telecom", 1)
    return written


def _replaced(numbers: Numbers) -> str:
    if numbers.replaced is None:
        return ""
    parent = ii_of("id", numbers.replaced)
    return f'<relatedDocument typeCode="RPLC"><parentDocument>{parent}</parentDocument></relatedDocument>'


def _encounter(case: Case) -> str:
    document = case.document
    kind = of_value_set("encounter", document.encounter_type) or case.option("encounter_type")
    by_nature = case.is_laboratory
    where = "componentOf/facility"
    facility = case.chosen(
        "facility_type", document.facility_type, where, "SA25" if by_nature else "SA01", by_nature=by_nature
    )
    place = case.place
    location = ""
    if place is not None and (place.name or place.address):
        inside = text_element("name", place.name) + (addr(place.address) if place.address is not None else "")
        location = element("location", inside)
    return (
        "<componentOf><encompassingEncounter>"
        + (ii("id", document.visit) if document.visit is not None else "")
        + (known("code", kind) if kind is not None else "")
        + interval("effectiveTime", case.moment(document.period_start), None, case.zone)
        + responsible_party(case)
        + f"<location><healthCareFacility>{known('code', facility)}{location}</healthCareFacility></location>"
        + "</encompassingEncounter></componentOf>"
    )
