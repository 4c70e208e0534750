"""A human reading of a document: a card of the header, then the sections (`show`, dashboard)."""

from __future__ import annotations

from collections.abc import Iterable

from mappings.cda.reading.header import header_of
from mappings.cda.reading.narrative import Narrative, plain_text
from mappings.cda.reading.node import Node, planted
from mappings.cda.reading.patient import patient_of
from mappings.cda.reading.scribe import Scribe
from mappings.cda.reading.source import open_source
from mappings.contracts import Piece, ReadContext
from mappings.notes import Notes
from schemas.actors import Address, Organization, Professional, Recipient, Telecom
from schemas.coding import Coding
from schemas.document import Document, Participant
from schemas.identity import PatientIdentity

_LEVEL_1 = "component/nonXMLBody/text"


def pieces(content: bytes) -> list[Piece]:
    """Describe the document, the patient, the people, then each section as its narrative reads.

    Raises FormatError as `read` does.
    """
    notes = Notes()
    source = open_source(content, None, notes)
    scribe = Scribe(ReadContext(), notes, Narrative(source.document))
    node = planted(source.document)
    patient = patient_of(scribe, node)
    text = node.first("component", "nonXMLBody", "text")
    body_type = (text.peek("mediaType") or "text/plain") if text is not None else None
    document = header_of(scribe, node, body_type).document
    found = [_document(document), _patient(patient), *_people(document)]
    if text is not None:
        found.append(Piece(_LEVEL_1, "Body", _file(text), type=body_type or ""))
    structured = node.first("component", "structuredBody")
    if structured is not None:
        found += _sections(structured, "component/structuredBody", 0)
    return found


def _card(where: str, name: str, text: str, lines: Iterable[tuple[str, str, str | None]]) -> Piece:
    children = tuple(Piece(place, label, said, depth=1) for place, label, said in lines if said)
    return Piece(where, name, text, children=children)


def _document(document: Document) -> Piece:
    lines = (
        ("code", "Type", _coded(document.type)),
        ("templateId", "Format", document.format.code if document.format else None),
        ("id", "Identifier", document.document_id),
        ("setId", "Set of versions", document.set_id),
        ("versionNumber", "Version", str(document.version) if document.version is not None else None),
        ("relatedDocument/parentDocument/id", "Replaces", document.replaces_id),
        ("effectiveTime", "Created", document.created_at),
        ("confidentialityCode", "Confidentiality", ", ".join(map(_known, document.confidentiality))),
        ("languageCode", "Language", document.language),
        ("inFulfillmentOf/order/id", "Order", document.order_id),
        ("documentationOf/serviceEvent/code", "Acts", ", ".join(map(_known, document.event_codes))),
        ("documentationOf/serviceEvent/effectiveTime", "Period", _period(document)),
        ("componentOf/encompassingEncounter/id", "Encounter", document.visit.value if document.visit else None),
        ("componentOf/encompassingEncounter/code", "Kind of encounter", _coded(document.encounter_type)),
        ("componentOf/encompassingEncounter/location", "Kind of facility", _coded(document.facility_type)),
    )
    return _card("title", "Document", document.title or _coded(document.type) or "", lines)


def _patient(patient: PatientIdentity) -> Piece:
    where = "recordTarget/patientRole"
    given = " ".join(patient.birth_given_names) or patient.first_given_name or patient.given_name
    name = " ".join(part for part in (patient.birth_name or patient.family_name, given) if part)
    place = " ".join(part for part in (patient.birth_place, patient.birth_place_name) if part)
    lines = [
        (f"{where}/id", "INS", f"{patient.ins.matricule} ({patient.ins.oid})" if patient.ins else None),
        *((f"{where}/id", one.type or "Identifier", f"{one.value} ({one.system})") for one in patient.identifiers),
        (f"{where}/patient/name", "First given name", patient.first_given_name),
        (f"{where}/patient/name", "Name in use", _words(patient.used_given_name, patient.used_name)),
        (f"{where}/patient/birthTime", "Born", patient.birth_date),
        (f"{where}/patient/birthplace", "Birth place", place),
        (f"{where}/patient/administrativeGenderCode", "Sex", patient.sex),
        (f"{where}/patient/sdtc:deceasedTime", "Died", patient.deceased_at),
        *((f"{where}/addr", "Address", _address(one)) for one in patient.addresses),
        *((f"{where}/telecom", "Telecom", _telecom(one)) for one in patient.telecoms),
    ]
    return _card(where, "Patient", name, lines)


def _people(document: Document) -> list[Piece]:
    authors = [one for one in (document.author, *document.other_authors) if one is not None]
    found = [_person("author", "Author", one, one.organization) for one in authors]
    if document.author is None and document.author_organization is not None:
        found.append(_person("author", "Author", None, document.author_organization))
    if document.custodian is not None:
        found.append(_person("custodian", "Custodian", None, document.custodian))
    if document.legal_authenticator is not None:
        legal = document.legal_authenticator
        found.append(_person("legalAuthenticator", "Legal authenticator", legal, legal.organization))
    if document.performer is not None or document.performer_organization is not None:
        where = "documentationOf/serviceEvent/performer"
        found.append(_person(where, "Performer", document.performer, document.performer_organization))
    found += [_recipient(one) for one in document.recipients]
    found += [_participant(one) for one in document.participants if one.kind not in _SAID]
    return found


_SAID = frozenset({"legalAuthenticator", "author"})


def _person(where: str, name: str, person: Professional | None, place: Organization | None) -> Piece:
    lines: list[tuple[str, str, str | None]] = []
    title = ""
    if person is not None:
        title = _words(person.civility, person.given_name, person.family_name) or person.name or ""
        lines += [(f"{where}/id", one.type or "Identifier", one.value) for one in person.identifiers]
        lines.append((f"{where}/code", "Specialty", _coded(person.specialty)))
        lines.append((f"{where}/addr", "Address", _address(person.address) if person.address else None))
        lines += [(f"{where}/telecom", "Telecom", _telecom(one)) for one in person.telecoms]
    if place is not None:
        title = title or place.name or ""
        lines.append((f"{where}/organization", "Organisation", _organization(place)))
    return _card(where, name, title, lines)


def _recipient(recipient: Recipient) -> Piece:
    return _person("informationRecipient", "Recipient", recipient.professional, recipient.organization)


def _participant(one: Participant) -> Piece:
    found = _person(one.kind, _NAMES.get(one.kind, f"Participant ({one.kind})"), one.professional, one.organization)
    added = [
        Piece(f"{one.kind}/{where}", label, said, depth=1)
        for where, label, said in (("functionCode", "Function", _coded(one.function)), ("time", "Time", one.at))
        if said
    ]
    return Piece(found.where, found.name, found.text, children=(*added, *found.children))


_NAMES = {
    "REF": "Prescriber",
    "INF": "Informant",
    "PRF": "Performer",
    "RESP": "Responsible",
    "CON": "Consultant",
    "informant": "Informant",
    "authenticator": "Authenticator",
    "dataEnterer": "Data enterer",
    "responsibleParty": "Responsible for the encounter",
    "encounterParticipant": "Participant of the encounter",
    "location": "Place of the encounter",
}


def _sections(node: Node, place: str, depth: int) -> list[Piece]:
    """Describe the sections of a body or of a section, each with its narrative line by line."""
    found: list[Piece] = []
    rank = 0
    for component in node.all("component"):
        section = component.first("section")
        if section is None:
            continue
        rank += 1
        where = f"{place}/component[{rank}]/section"
        title, code, text = section.first("title"), section.first("code"), section.first("text")
        label = (title.text if title is not None else None) or (code.get("displayName") if code is not None else None)
        words = plain_text(text.element) if text is not None and text.element is not None else None
        lines = tuple(Piece(f"{where}/text", "", line, depth=depth + 1) for line in (words or "").split("\n") if line)
        files = tuple(
            Piece(f"{where}/entry", "File", _file(value), type=value.peek("mediaType") or "", depth=depth + 1)
            for value in _media(section)
        )
        nested = tuple(_sections(section, where, depth + 1))
        kind = code.get("code") or "" if code is not None else ""
        found.append(Piece(where, "Section", label or "", type=kind, depth=depth, children=(*lines, *files, *nested)))
    return found


def _media(section: Node) -> list[Node]:
    """List the files of a section's own entries."""
    return [
        value
        for entry in section.all("entry")
        for one in entry.walk()
        if one.name == "observationMedia" and (value := one.first("value")) is not None
    ]


def _file(node: Node) -> str:
    kind = node.peek("mediaType") or "text/plain"
    size = len(node.raw)
    if (node.peek("representation") or "").upper() == "B64":
        size = size * 3 // 4
    return f"[{kind}, about {size} bytes]"


def _known(code: Coding) -> str:
    return _coded(code) or code.code


def _coded(code: Coding | None) -> str | None:
    if code is None:
        return None
    return f"{code.display} ({code.code})" if code.display and code.display != code.code else code.code


def _period(document: Document) -> str | None:
    ends = [one for one in (document.period_start, document.period_end) if one]
    return " – ".join(dict.fromkeys(ends)) or None


def _words(*parts: str | None) -> str | None:
    return " ".join(part for part in parts if part) or None


def _organization(place: Organization) -> str | None:
    numbers = ", ".join(f"{one.type or ''} {one.value}".strip() for one in place.identifiers)
    return _words(place.name, f"({numbers})" if numbers else None, _address(place.address) if place.address else None)


def _address(place: Address) -> str:
    return ", ".join(part for part in (*place.lines, _words(place.postal_code, place.city), place.country) if part)


def _telecom(one: Telecom) -> str:
    return f"{one.kind}: {one.value}"
