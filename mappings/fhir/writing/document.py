"""A document: DocumentReference with its file inline, after the French document-sharing guide (PDSm)."""

from __future__ import annotations

import base64
from hashlib import sha1

from mappings.fhir import systems
from mappings.fhir.writing.actors import organization, professional, put_recipients, put_sender
from mappings.fhir.writing.bundle import BundleBuilder, Resource, token
from mappings.fhir.writing.datatypes import (
    coding,
    concept,
    extend,
    extension,
    identifier,
    put_date_time,
    put_instant,
    usable,
)
from mappings.fhir.writing.patient import patient
from schemas.attachment import Attachment
from schemas.coding import Coding
from schemas.document import Document, DocumentOperation
from schemas.finding import Severity
from schemas.item import DocumentItem

_DOC_STATUS = {
    "AU": "final",
    "LA": "final",
    "DI": "preliminary",
    "DO": "preliminary",
    "IN": "preliminary",
    "IP": "preliminary",
    "PA": "preliminary",
}
_FHIR_DOC_STATUS = frozenset({"preliminary", "final", "amended", "entered-in-error"})
_MASKED = Coding(system=systems.VISIBILITY, code="MASQUE_PS")
_HIDDEN = Coding(system=systems.VISIBILITY, code="INVISIBLE_PATIENT")
_HIDDEN_REPRESENTATIVES = Coding(system=systems.VISIBILITY, code="INVISIBLE_REPRESENTANTS_LEGAUX")


def attachment(builder: BundleBuilder, file: Attachment, where: str, *, hashed: bool = False) -> Resource:
    """Write a file inline; `hashed` adds the SHA-1 that document sharing asks for."""
    out: Resource = {"contentType": file.media_type}
    if file.data is not None:
        out["data"] = file.data
        if hashed:
            try:
                digest = sha1(base64.b64decode(file.data, validate=True), usedforsecurity=False).digest()
                out["hash"] = base64.b64encode(digest).decode()
            except ValueError:
                builder.note(
                    Severity.WARNING, "fhir.attachment.base64", where, "the content of a file is not valid base64"
                )
    else:
        builder.note(
            Severity.ERROR,
            "fhir.attachment.no_data",
            where,
            "the content of a file was not given to the writer: only its description was sent",
        )
    if file.size is not None:
        out["size"] = file.size
    if file.title:
        out["title"] = file.title
    if file.filename:
        if file.filename == file.title:
            out["_title"] = {"id": "filename"}
        elif file.title:
            extend(out, extension("filename", "valueString", file.filename))
        else:
            out["title"] = file.filename
            out["_title"] = {"id": "filename-only"}
    return out


def write_document(builder: BundleBuilder, item: DocumentItem) -> None:
    """Add the DocumentReference and what it mentions to the Bundle."""
    document = item.content
    subject = patient(builder, item.patient, item.id)
    out: Resource = {"resourceType": "DocumentReference"}
    number, system = document.document_id, _document_system(document.document_id, builder)
    if number:
        out["masterIdentifier"] = {"system": system, "value": number}
    deleted = document.operation is DocumentOperation.DELETE
    out["status"] = "entered-in-error" if deleted else "current"
    _put_doc_status(out, document.status)
    if document.type is not None:
        out["type"] = concept((document.type,), None, builder)
    if document.category is not None:
        out["category"] = [concept((document.category,), None, builder)]
    out["subject"] = subject
    put_instant(out, "date", document.created_at, builder.zone)
    _put_actors(out, builder, document)
    _put_relations(out, item, system)
    if document.title:
        out["description"] = document.title
    labels = _labels(document)
    if labels:
        out["securityLabel"] = [concept((label,), None, builder) for label in labels]
    out["content"] = _contents(builder, document)
    context = _context(builder, document)
    if context:
        out["context"] = context
    put_sender(builder, item.sender, document.custodian, out)
    put_recipients(builder, (*item.recipients, *document.recipients), out)
    if document.comment:
        extend(out, extension("comment", "valueString", document.comment))
    _say_what_stays(builder, document)
    key = token(system, number) if number else None
    builder.put(out, f"document|{builder.sender}|{key or item.id}", key)


def _document_system(document_id: str | None, builder: BundleBuilder) -> str:
    """Give the system of a document's id: an OID is a URI by itself."""
    if document_id is not None and document_id.startswith("urn:"):
        return systems.URI
    return systems.number_system(None, "document", builder.sender)


def _put_doc_status(out: Resource, status: str | None) -> None:
    if status is None:
        return
    known = status if status in _FHIR_DOC_STATUS else _DOC_STATUS.get(status)
    if known is not None:
        out["docStatus"] = known
    if known != status:
        extend(out, extension("document-status", "valueString", status))


def _put_actors(out: Resource, builder: BundleBuilder, document: Document) -> None:
    authors = []
    if document.author is not None:
        authors.append(professional(builder, document.author, out))
    if document.author_organization is not None:
        authors.append(organization(builder, document.author_organization, out))
    authors = [one for one in authors if one]
    if authors:
        out["author"] = authors
    if document.legal_authenticator is not None:
        authenticator = professional(builder, document.legal_authenticator, out)
        if authenticator:
            out["authenticator"] = authenticator
    if document.custodian is not None:
        custodian = organization(builder, document.custodian, out)
        if custodian:
            out["custodian"] = custodian


def _put_relations(out: Resource, item: DocumentItem, system: str) -> None:
    replaced = item.content.replaces_id
    if replaced:
        target = {"type": "DocumentReference", "identifier": {"system": system, "value": replaced}}
        out["relatesTo"] = [{"code": "replaces", "target": target}]
    operation = item.content.operation
    implied = DocumentOperation.REPLACE if replaced else DocumentOperation.CREATE
    if operation not in {implied, DocumentOperation.DELETE}:
        extend(out, extension("operation", "valueCode", operation.value))
    if item.replaces and item.replaces != replaced:
        extend(out, extension("replaces", "valueString", item.replaces))


def _labels(document: Document) -> list[Coding]:
    labels = list(document.confidentiality)
    wishes = document.wishes
    if wishes is not None:
        present = {label.code for label in labels}
        asked = (
            (wishes.masked_to_professionals, _MASKED),
            (wishes.hidden_from_patient, _HIDDEN),
            (wishes.hidden_from_representatives, _HIDDEN_REPRESENTATIVES),
        )
        labels.extend(label for wish, label in asked if wish and label.code not in present)
    return labels


def _contents(builder: BundleBuilder, document: Document) -> list[Resource]:
    contents: list[Resource] = []
    for file in document.attachments:
        form = attachment(builder, file, "content.attachments", hashed=True)
        if document.language:
            form["language"] = document.language
        content: Resource = {"attachment": form}
        if document.format is not None:
            content["format"] = coding(document.format, builder)
        contents.append(content)
    if not contents:
        nothing: Resource = {"title": document.title} if document.title else {"contentType": "application/octet-stream"}
        contents.append({"id": "none", "attachment": nothing})
    return contents


def _context(builder: BundleBuilder, document: Document) -> Resource:
    context: Resource = {}
    if document.visit is not None and usable((document.visit,)):
        context["encounter"] = [{"type": "Encounter", "identifier": identifier(document.visit, builder)}]
    if document.event_codes:
        context["event"] = [concept((code,), None, builder) for code in document.event_codes]
    period: Resource = {}
    put_date_time(period, "start", document.period_start, builder.zone)
    put_date_time(period, "end", document.period_end, builder.zone)
    if period:
        context["period"] = period
    related = []
    for code, kind, target, value in (
        ("PLAC", "order", "ServiceRequest", document.order_id),
        ("FILL", "report", "DiagnosticReport", document.report_id),
    ):
        if value:
            system = systems.number_system(None, kind, builder.sender)
            number = {"type": systems.type_concept(code), "system": system, "value": value}
            related.append({"type": target, "identifier": number})
    if related:
        context["related"] = related
    return context


def _say_what_stays(builder: BundleBuilder, document: Document) -> None:
    """Say which wishes about delivery FHIR has no place for: they are for who routes, not for who reads."""
    if document.wishes is not None:
        builder.not_carried("content.wishes", "the wishes about delivery are not part of a FHIR document")
    for field in ("reply_to", "mail_body_professionals", "mail_body_patient"):
        if getattr(document, field):
            builder.not_carried(f"content.{field}", "what concerns the covering mail is not part of a FHIR document")
