"""The header of any CI-SIS document to canonical Document metadata (cda-fr §2 and §7, mapping A)."""

from __future__ import annotations

from typing import NamedTuple

from mappings.cda.oids import PATIENT_DOCUMENTS_HOST, ROLE_CLASS, format_of
from mappings.cda.reading.actors import organization_of, role
from mappings.cda.reading.datatypes import Span, coding, identifier, identity, point, span, time_of
from mappings.cda.reading.node import Node
from mappings.cda.reading.scribe import Scribe
from schemas.actors import Organization, Professional, Recipient
from schemas.coding import Coding, Identifier
from schemas.document import Document, DocumentOperation, Participant

_STATUSES = {"completed": "final", "active": "preliminary", "aborted": "cancelled"}
_KNOWN_CONFIDENTIALITY = frozenset({"N", "R", "V", "L", "M", "U"})


class Event(NamedTuple):
    """The main act (documentationOf) and the codes of all of them."""

    codes: tuple[Coding, ...]
    period: Span
    status: str | None
    performer: Professional | None
    organization: Organization | None
    setting: Coding | None


class Header(NamedTuple):
    """What the header says, with what only a laboratory report has a use for."""

    document: Document
    templates: tuple[str, ...]
    codes: tuple[Coding, ...]
    order: Identifier | None
    event: Event
    sender: Organization | None


class _Author(NamedTuple):
    professional: Professional | None
    organization: Organization | None
    role: Coding | None
    at: str | None


def header_of(scribe: Scribe, document: Node, body_type: str | None) -> Header:
    """Read the header. `body_type` is the media type of the body at level 1, None for a structured one."""
    templates = tuple(root for one in document.all("templateId") if (root := one.get("root")))
    created_at = time_of(scribe, document.first("effectiveTime"), "effectiveTime")
    authors = [_author(scribe, one, rank) for rank, one in enumerate(document.all("author"), start=1)]
    first = authors[0] if authors else _Author(None, None, None, None)
    event = _event(scribe, document)
    custodian = _custodian(scribe, document)
    signatory, signature = _legal_authenticator(scribe, document)
    code = document.first("code")
    order = _order(document)
    replaces = _replaced(scribe, document)
    encounter = document.first("componentOf", "encompassingEncounter")
    values: dict[str, object] = {
        "document_id": identity(document.first("id")),
        "set_id": identity(document.first("setId")),
        "version": _version(scribe, document),
        "replaces_id": replaces,
        "operation": DocumentOperation.CREATE if replaces is None else DocumentOperation.REPLACE,
        "status": _STATUSES.get(event.status or ""),
        "type": coding(scribe, code),
        "format": format_of(templates, body_type),
        "title": _text(document, "title"),
        "language": _code(document, "languageCode"),
        "created_at": created_at,
        "author": first.professional,
        "author_organization": first.organization,
        "author_role": first.role,
        "other_authors": tuple(one.professional for one in authors[1:] if one.professional is not None),
        "legal_authenticator": signatory,
        "custodian": custodian,
        "confidentiality": _confidentiality(scribe, document),
        "order_id": order.value if order is not None else None,
        "event_codes": event.codes,
        "performer": event.performer,
        "performer_organization": event.organization,
        "practice_setting": event.setting,
        "period_start": event.period.start,
        "period_end": event.period.end,
        "recipients": tuple(
            found for one in document.all("informationRecipient") if (found := _recipient(scribe, one)) is not None
        ),
        "participants": (
            *_authorship(authors, created_at),
            *signature,
            *_participants(scribe, document),
            *(_of_encounter(scribe, encounter) if encounter is not None else ()),
        ),
    }
    if encounter is not None:
        values |= _encounter(scribe, encounter)
    known = {name: value for name, value in values.items() if value is not None}
    sender = _sender(document, custodian, first.organization)
    codes = (*_codes(scribe, code),)
    return Header(Document.model_validate(known), templates, codes, order, event, sender)


def _text(document: Node, name: str) -> str | None:
    found = document.first(name)
    return found.text if found is not None else None


def _code(document: Node, name: str) -> str | None:
    found = document.first(name)
    return found.get("code") if found is not None else None


def _codes(scribe: Scribe, code: Node | None) -> list[Coding]:
    if code is None:
        return []
    return [found for one in (code, *code.all("translation")) if (found := coding(scribe, one)) is not None]


def _version(scribe: Scribe, document: Node) -> int | None:
    node = document.first("versionNumber")
    raw = (node.peek("value") or "").strip() if node is not None else ""
    if node is None or not raw:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 9):
        scribe.notes.warning("cda.version.invalid", "versionNumber", "the version is not a whole number")
        return None
    node.get("value")
    return int(raw)


def _replaced(scribe: Scribe, document: Node) -> str | None:
    """Read the identity of the version that this one replaces (RPLC); other relations are left unread."""
    for related in document.all("relatedDocument"):
        parent = related.first("parentDocument")
        kind = (related.peek("typeCode") or "").upper()
        if kind != "RPLC" or parent is None:
            scribe.notes.info("cda.related.kind", "relatedDocument", "a related document that is not replaced")
            continue
        found = identity(parent.first("id"))
        if found is not None:
            related.get("typeCode")
            same = parent.first("setId")
            own = document.first("setId")
            if same is not None and own is not None and same.attributes == own.attributes:
                same.use()
            return found
    return None


def _confidentiality(scribe: Scribe, document: Node) -> tuple[Coding, ...]:
    found = coding(scribe, document.first("confidentialityCode"))
    if found is None:
        return ()
    if found.code not in _KNOWN_CONFIDENTIALITY:
        scribe.notes.warning("cda.confidentiality.unknown", "confidentialityCode", "the confidentiality is not known")
    return (found,)


def _author(scribe: Scribe, node: Node, rank: int) -> _Author:
    who = node.first("assignedAuthor")
    where = f"author[{rank}]/time"
    at = time_of(scribe, node.first("time"), where)
    function = coding(scribe, node.first("functionCode"))
    if who is None:
        return _Author(None, None, function, at)
    found = role(scribe, who)
    return _Author(found.professional, found.organization, function, at)


def _authorship(authors: list[_Author], created_at: str | None) -> list[Participant]:
    """Say of the authors what `author` and `other_authors` have no room for: another time, another one's function."""
    return [
        Participant(
            kind="author",
            function=one.role,
            professional=one.professional,
            organization=one.organization,
            at=one.at if one.at != created_at else None,
        )
        for rank, one in enumerate(authors)
        if (one.at not in (None, created_at)) or (rank and one.role is not None)
    ]


def _custodian(scribe: Scribe, document: Node) -> Organization | None:
    node = document.first("custodian", "assignedCustodian", "representedCustodianOrganization")
    return organization_of(scribe, node) if node is not None else None


def _sender(document: Node, custodian: Organization | None, author: Organization | None) -> Organization | None:
    """Say who sends: the custodian, unless it only keeps what a patient wrote."""
    node = document.first("custodian", "assignedCustodian", "representedCustodianOrganization")
    roots = {one.peek("root") for one in node.all("id")} if node is not None else set()
    if PATIENT_DOCUMENTS_HOST in roots and author is not None:
        return author
    return custodian or author


def _signature(scribe: Scribe, node: Node, kind: str) -> Participant | None:
    """Read an authenticator: who, and when (`signatureCode` S says no more than that)."""
    who = node.first("assignedEntity")
    signed = node.first("signatureCode")
    if signed is not None and signed.peek("code") == "S":
        signed.get("code")
    if who is None:
        return None
    found = role(scribe, who)
    at = time_of(scribe, node.first("time"), f"{kind}/time")
    if found.professional is None and found.organization is None:
        return None
    return Participant(kind=kind, professional=found.professional, organization=found.organization, at=at)


def _legal_authenticator(scribe: Scribe, document: Node) -> tuple[Professional | None, tuple[Participant, ...]]:
    """Read the legal authenticator; the time of the signature is said of a participant of that name."""
    node = document.first("legalAuthenticator")
    found = _signature(scribe, node, "legalAuthenticator") if node is not None else None
    if found is None:
        return None, ()
    return found.professional, (found,) if found.at is not None else ()


def _participants(scribe: Scribe, document: Node) -> list[Participant]:
    found = (
        *(_enterer(scribe, node) for node in document.all("dataEnterer")),
        *(_informant(scribe, node) for node in document.all("informant")),
        *(_signature(scribe, node, "authenticator") for node in document.all("authenticator")),
        *(_participant(scribe, node) for node in document.all("participant")),
    )
    return [one for one in found if one is not None]


def _enterer(scribe: Scribe, node: Node) -> Participant | None:
    who = node.first("assignedEntity")
    if who is None:
        return None
    found = role(scribe, who)
    at = time_of(scribe, node.first("time"), "dataEnterer/time")
    return Participant(kind="dataEnterer", professional=found.professional, organization=found.organization, at=at)


def _informant(scribe: Scribe, node: Node) -> Participant | None:
    """Read an informant: a professional, or a person around the patient (`function` is then the role class: NOK…)."""
    who = node.first("assignedEntity")
    if who is not None:
        found = role(scribe, who)
        return Participant(kind="informant", professional=found.professional, organization=found.organization)
    relative = node.first("relatedEntity")
    if relative is None:
        return None
    kind = relative.get("classCode")
    function = Coding(system=ROLE_CLASS, code=kind) if kind else None
    return Participant(kind="informant", function=function, professional=role(scribe, relative).professional)


def _participant(scribe: Scribe, node: Node) -> Participant | None:
    who = node.first("associatedEntity")
    if who is None:
        return None
    found = role(scribe, who)
    return Participant(
        kind=node.get("typeCode") or "participant",
        function=coding(scribe, node.first("functionCode")),
        professional=found.professional,
        organization=found.organization,
        at=point(scribe, node.first("time"), "participant/time"),
    )


def _recipient(scribe: Scribe, node: Node) -> Recipient | None:
    who = node.first("intendedRecipient")
    if who is None:
        return None
    found = role(scribe, who)
    if found.professional is None and found.organization is None:
        return None
    return Recipient(professional=found.professional, organization=found.organization, role=node.get("typeCode"))


def _order(document: Node) -> Identifier | None:
    for node in document.all("inFulfillmentOf"):
        number = node.first("order", "id")
        found = identifier(number) if number is not None else None
        if found is not None:
            return found
    return None


def _event(scribe: Scribe, document: Node) -> Event:
    """Read the acts: the main one is the first with a performer, else the first with a time."""
    acts = [act for one in document.all("documentationOf") if (act := one.first("serviceEvent")) is not None]
    codes: dict[Coding, None] = {}
    for act in acts:
        code = act.first("code")
        for found in _codes(scribe, code):
            codes.setdefault(found)
    main = next((act for act in acts if act.first("performer") is not None), None)
    main = main or next((act for act in acts if act.first("effectiveTime") is not None), None)
    if main is None:
        return Event(tuple(codes), Span(None, None), None, None, None, None)
    _take_repeated(main, [act for act in acts if act is not main])
    status = main.first("lab:statusCode")
    performer = main.first("performer", "assignedEntity")
    found_role = role(scribe, performer) if performer is not None else None
    return Event(
        codes=tuple(codes),
        period=span(scribe, main.first("effectiveTime"), "documentationOf/serviceEvent/effectiveTime"),
        status=status.get("code") if status is not None else None,
        performer=found_role.professional if found_role else None,
        organization=found_role.organization if found_role else None,
        setting=found_role.setting if found_role else None,
    )


def _take_repeated(main: Node, others: list[Node]) -> None:
    """Take of the further acts what they only repeat of the main one."""
    for act in others:
        for name in ("lab:statusCode", "effectiveTime", "performer", "id"):
            repeated = act.first(name)
            if repeated is not None and repeated.says(main.first(name)):
                repeated.use()


def _encounter(scribe: Scribe, node: Node) -> dict[str, object]:
    facility = node.first("location", "healthCareFacility")
    number = node.first("id")
    return {
        "visit": identifier(number, "VN") if number is not None else None,
        "encounter_type": coding(scribe, node.first("code")),
        "facility_type": coding(scribe, facility.first("code")) if facility is not None else None,
    }


def _of_encounter(scribe: Scribe, node: Node) -> list[Participant]:
    """Read where the encounter was, who is responsible, and the others with what they did (`function`)."""
    people = [_facility(scribe, node)]
    responsible = node.first("responsibleParty", "assignedEntity")
    if responsible is not None:
        found = role(scribe, responsible)
        people.append(
            Participant(kind="responsibleParty", professional=found.professional, organization=found.organization)
        )
    for one in node.all("encounterParticipant"):
        who = one.first("assignedEntity")
        if who is None:
            continue
        found = role(scribe, who)
        kind = one.get("typeCode")
        people.append(
            Participant(
                kind="encounterParticipant",
                function=Coding(code=kind) if kind else None,
                professional=found.professional,
                organization=found.organization,
                at=point(scribe, one.first("time"), "encounterParticipant/time"),
            )
        )
    return [one for one in people if one is not None]


def _facility(scribe: Scribe, node: Node) -> Participant | None:
    """Say where the encounter was and since when: the facility of `location`, by its identifier, name and address."""
    at = time_of(scribe, node.first("effectiveTime", "low"), "encompassingEncounter/effectiveTime")
    at = at or time_of(scribe, node.first("effectiveTime"), "encompassingEncounter/effectiveTime")
    facility = node.first("location", "healthCareFacility")
    place = _place(scribe, facility) if facility is not None else None
    if at is None and place is None:
        return None
    return Participant(kind="location", organization=place, at=at)


def _place(scribe: Scribe, facility: Node) -> Organization | None:
    named = organization_of(scribe, facility)
    location = facility.first("location")
    if location is None:
        return named
    found = organization_of(scribe, location)
    if named is None or found is None:
        return named or found
    return found.model_copy(update={"identifiers": named.identifiers})
