"""A document's header as a person reads a letter's: what it is, of whom, for whom; then what only machines compare."""

from __future__ import annotations

from collections.abc import Iterator

from router.web.actors import acting, coding, identifier, organization, recipient
from router.web.formatting import Formats
from schemas.actors import Professional
from schemas.document import Document, DocumentOperation, Participant, Wishes
from schemas.item import DocumentItem

Fact = tuple[str, str]

_USUAL_CONFIDENTIALITY = "N"

_TOLD = frozenset({"author", "legalAuthenticator"})
"""Parts that have a line of their own."""


def document_card(item: DocumentItem, formats: Formats) -> list[Fact]:
    """Give what the head of a document says, without what was not sent."""
    return list(dict.fromkeys((key, text) for key, text in _card(item, formats) if text))


def restricted(document: Document) -> bool:
    """Say whether a document asks for more discretion than usual (CDA confidentialityCode: R, V)."""
    return any(one.code != _USUAL_CONFIDENTIALITY for one in document.confidentiality)


def _card(item: DocumentItem, formats: Formats) -> Iterator[Fact]:
    document, texts = item.content, formats.texts
    yield "document_type", coding(document.type)
    yield "version", str(document.version) if document.version is not None else ""
    yield "replaces", document.replaces_id or item.replaces or ""
    if document.operation is not DocumentOperation.CREATE:
        yield "operation", str(texts.word("document_operation", document.operation.value))
    yield "created_at", formats.partial(document.created_at)
    yield "period", _period(document.period_start, document.period_end, formats)
    yield "author", _acting("author", document.author or item.author, document, formats)
    for other in document.other_authors:
        yield "other_author", _acting("author", other, document, formats)
    yield "legal_authenticator", _acting("legalAuthenticator", document.legal_authenticator, document, formats)
    for participant in document.participants:
        if participant.kind not in _TOLD or participant.professional is None:
            yield _participant(participant, formats)
    yield "custodian", organization(document.custodian)
    yield "recipients", " / ".join(dict.fromkeys(recipient(one) for one in document.recipients or item.recipients))
    yield "confidentiality", ", ".join(coding(one) for one in document.confidentiality)
    yield "performer", acting(document.performer, document.performer_organization)
    yield (
        "facility",
        " · ".join(part for part in (coding(document.facility_type), coding(document.practice_setting)) if part),
    )
    yield "comment", document.comment or ""


def document_details(document: Document, formats: Formats) -> Iterator[tuple[str, str | None]]:
    """Give what identifies a document, and what its sender asked for."""
    yield "document_id", document.document_id
    yield "set_id", document.set_id
    yield "events", ", ".join(coding(one) for one in document.event_codes)
    yield "encounter_type", coding(document.encounter_type)
    yield "visit", identifier(document.visit)
    yield "status", document.status
    yield "report_id", document.report_id
    yield "order_id", document.order_id
    yield "document_category", coding(document.category)
    yield "document_format", coding(document.format)
    yield "document_language", document.language
    yield "reply_to", document.reply_to
    yield "wishes", ", ".join(_wishes(document.wishes, formats)) if document.wishes is not None else None
    yield "mail_body", document.mail_body_professionals
    yield "mail_body_patient", document.mail_body_patient


def _acting(kind: str, found: Professional | None, document: Document, formats: Formats) -> str:
    """Write who signs, in which role, and when: what the header says of the same person's part stands with the name."""
    if found is None:
        return organization(document.author_organization) if kind == "author" else ""
    own = kind == "author" and found == document.author
    part = next((one for one in document.participants if one.kind == kind and one.professional == found), None)
    role = document.author_role if own else part.function if part is not None else None
    line = (
        acting(found, document.author_organization if own else None),
        role.display if role is not None else "",
        formats.partial(part.at) if part is not None else "",
    )
    return " · ".join(dict.fromkeys(text for text in line if text))


def _participant(found: Participant, formats: Formats) -> Fact:
    """Write who had which part, and when; the label says the part when there is a word for it."""
    if found.kind == "location" and found.organization is None:
        # The place has no name: what is left is since when the patient was there.
        return "part_location_since", formats.partial(found.at)
    function = found.function.display if found.function is not None else None
    parts = (function, acting(found.professional, found.organization), formats.partial(found.at))
    line = " · ".join(part for part in parts if part)
    if formats.texts.has(f"fact.part_{found.kind}"):
        return f"part_{found.kind}", line
    return "participant", f"{found.kind} · {line}" if line else found.kind


def _period(start: str | None, end: str | None, formats: Formats) -> str:
    first, last = formats.partial(start), formats.partial(end)
    return f"{first} – {last}" if first and last and first != last else first or last


def _wishes(wishes: Wishes, formats: Formats) -> Iterator[str]:
    for name, value in wishes:
        if value is not None:
            yield f"{formats.texts.word('wish', name)} {'✓' if value else '✗'}"
