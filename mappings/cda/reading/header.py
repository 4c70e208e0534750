"""The header of any CI-SIS document to canonical Document metadata (cda-fr §2 and §7, mapping A)."""

from __future__ import annotations

from typing import NamedTuple

from mappings.cda.oids import PATIENT_DOCUMENTS_HOST, format_of
from mappings.cda.reading.actors import organization_of
from mappings.cda.reading.acts import Event, codes_of, encounter_of, event_of, people_of_encounter
from mappings.cda.reading.datatypes import coding, identifier, identity, time_of
from mappings.cda.reading.node import Node
from mappings.cda.reading.people import (
    Author,
    author_of,
    authorship,
    legal_authenticator,
    participants_of,
    recipient_of,
)
from mappings.cda.reading.scribe import Scribe
from schemas.actors import Organization
from schemas.coding import Coding, Identifier
from schemas.document import Document, DocumentOperation

_STATUSES = {"completed": "final", "active": "preliminary", "aborted": "cancelled"}
_KNOWN_CONFIDENTIALITY = frozenset({"N", "R", "V", "L", "M", "U"})


class Header(NamedTuple):
    """What the header says, with what only a laboratory report has a use for."""

    document: Document
    templates: tuple[str, ...]
    codes: tuple[Coding, ...]
    order: Identifier | None
    event: Event
    sender: Organization | None


def header_of(scribe: Scribe, document: Node, body_type: str | None) -> Header:
    """Read the header. `body_type` is the media type of the body at level 1, None for a structured one."""
    templates = tuple(root for one in document.all("templateId") if (root := one.get("root")))
    created_at = time_of(scribe, document.first("effectiveTime"), "effectiveTime")
    authors = [author_of(scribe, one, rank) for rank, one in enumerate(document.all("author"), start=1)]
    first = authors[0] if authors else Author(None, None, None, None)
    event = event_of(scribe, document)
    custodian = _custodian(scribe, document)
    signatory, signature = legal_authenticator(scribe, document)
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
            found for one in document.all("informationRecipient") if (found := recipient_of(scribe, one)) is not None
        ),
        "participants": (
            *authorship(authors, created_at),
            *signature,
            *participants_of(scribe, document),
            *(people_of_encounter(scribe, encounter) if encounter is not None else ()),
        ),
    }
    if encounter is not None:
        values |= encounter_of(scribe, encounter)
    known = {name: value for name, value in values.items() if value is not None}
    sender = _sender(document, custodian, first.organization)
    codes = (*codes_of(scribe, code),)
    return Header(Document.model_validate(known), templates, codes, order, event, sender)


def _text(document: Node, name: str) -> str | None:
    found = document.first(name)
    return found.text if found is not None else None


def _code(document: Node, name: str) -> str | None:
    found = document.first(name)
    return found.get("code") if found is not None else None


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


def _order(document: Node) -> Identifier | None:
    for node in document.all("inFulfillmentOf"):
        number = node.first("order", "id")
        found = identifier(number) if number is not None else None
        if found is not None:
            return found
    return None
