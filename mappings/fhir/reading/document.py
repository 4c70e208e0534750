"""Documents and files from FHIR."""

from __future__ import annotations

from functools import partial

from mappings.fhir.reading.actors import (
    read_organization,
    read_professional,
    read_recipients,
    read_sender,
    split_references,
)
from mappings.fhir.reading.datatypes import read_coding, read_concept, read_identifier, read_one_code
from mappings.fhir.reading.patient import read_patient
from mappings.fhir.reading.source import Entry, Source
from mappings.fhir.reading.taking import (
    Node,
    child,
    children,
    forget,
    said,
    take_element_id,
    take_moment,
    take_own_text,
    take_text,
)
from schemas.attachment import Attachment
from schemas.coding import Coding, Identifier
from schemas.document import Document, DocumentOperation
from schemas.item import DocumentItem, Provenance


def read_attachment(node: Node) -> Attachment | None:
    """Read an Attachment; one that has neither data nor a title is nothing."""
    marked = take_element_id(node, "title")
    title = take_text(node, "title")
    filename = title if marked in {"filename", "filename-only"} else take_own_text(node, "filename")
    if marked == "filename-only":
        title = None
    data = take_text(node, "data")
    size = said(node, "size")
    number = int(size) if size.isascii() and size.isdigit() and len(size) < 16 else None
    if number is not None:
        forget(node, "size")
    media_type = take_text(node, "contentType")
    if data is None and title is None and filename is None and "url" not in node:
        return None
    if data is not None:
        forget(node, "hash")
    return Attachment(
        media_type=media_type or "application/octet-stream", title=title, filename=filename, size=number, data=data
    )


def read_document(entry: Entry, source: Source) -> DocumentItem:
    """Read a DocumentReference."""
    node = entry.resource
    entry.read = True
    patient = read_patient(child(node, "subject"), node, source, entry.where)
    master = child(node, "masterIdentifier")
    document_id = read_identifier(master) if master else None
    numbers = [one for one in map(read_identifier, children(node, "identifier")) if one is not None]
    if document_id is None and numbers:
        document_id = numbers[0]
    organization, author = split_references(children(node, "author"), node, source)
    categories = children(node, "category")
    custodian = read_organization(child(node, "custodian"), node, source)
    replaces_id, operation = _relation(node)
    context = child(node, "context") or {}
    period = child(context, "period") or {}
    attachments, file_format, language = _contents(node, source)
    doc_status = take_text(node, "docStatus")
    document = Document(
        document_id=document_id.value if document_id else None,
        replaces_id=replaces_id,
        operation=operation,
        status=take_own_text(node, "document-status") or doc_status,
        type=read_one_code(child(node, "type"), source),
        category=read_one_code(categories[0], source) if categories else None,
        format=file_format,
        title=take_text(node, "description") or next((file.title for file in attachments if file.title), None),
        language=language,
        created_at=take_moment(node, "date"),
        author=author,
        author_organization=organization,
        legal_authenticator=read_professional(child(node, "authenticator"), node, source),
        custodian=custodian,
        confidentiality=_labels(node, source),
        **_related(context),
        visit=_visit(context, node, source),
        event_codes=tuple(code for one in children(context, "event") for code in read_concept(one, source)[0]),
        period_start=take_moment(period, "start"),
        period_end=take_moment(period, "end"),
        comment=take_own_text(node, "comment"),
        attachments=attachments,
    )
    return DocumentItem(
        id="",
        occurred_at=document.created_at or document.period_start,
        replaces=take_own_text(node, "replaces") or replaces_id,
        patient=patient,
        sender=read_sender(node, custodian, source),
        recipients=read_recipients(node, source),
        content=document,
        source=Provenance(format="fhir", where=entry.where),
    )


def _relation(node: Node) -> tuple[str | None, DocumentOperation]:
    status = take_text(node, "status")
    replaced: str | None = None
    for one in children(node, "relatesTo"):
        target = child(one, "target") or {}
        logical = child(target, "identifier")
        if said(one, "code") == "replaces" and replaced is None:
            number = read_identifier(logical) if logical else None
            replaced = number.value if number else take_text(target, "reference")
            forget(one, "code")
            forget(target, "type", "display")
    if status == "entered-in-error":
        return replaced, DocumentOperation.DELETE
    stated = take_own_text(node, "operation")
    if stated in {"create", "replace"}:
        return replaced, DocumentOperation(stated)
    return replaced, DocumentOperation.REPLACE if replaced else DocumentOperation.CREATE


def _contents(node: Node, source: Source) -> tuple[tuple[Attachment, ...], Coding | None, str | None]:
    files: list[Attachment] = []
    file_format: Coding | None = None
    language: str | None = None
    for content in children(node, "content"):
        form = child(content, "attachment") or {}
        if take_text(content, "id") == "none":
            forget(form, "title", "contentType")
            continue
        given = child(content, "format")
        if given is not None and file_format is None:
            file_format = read_coding(given, source)
        language = take_text(form, "language") or language
        file = read_attachment(form)
        if file is not None:
            files.append(file)
    for content in children(node, "content")[1:]:
        given = child(content, "format")
        if given is not None and file_format is not None and said(given, "code") == file_format.code:
            forget(given, "system", "code", "display")
    return tuple(files), file_format, language


def _labels(node: Node, source: Source) -> tuple[Coding, ...]:
    return tuple(code for one in children(node, "securityLabel") for code in read_concept(one, source)[0])


def _related(context: Node) -> dict[str, object]:
    out: dict[str, object] = {}
    for one in children(context, "related"):
        logical = child(one, "identifier")
        field = {"ServiceRequest": "order_id", "DiagnosticReport": "report_id"}.get(said(one, "type"))
        number = read_identifier(logical) if logical is not None and field is not None else None
        if number is not None and field is not None:
            out.setdefault(field, number.value)
            forget(one, "type")
    return out


def _visit(context: Node, node: Node, source: Source) -> Identifier | None:
    for one in children(context, "encounter"):
        logical = child(one, "identifier")
        if logical is not None:
            forget(one, "type")
            return read_identifier(logical)
        entry = source.resolve(one, node)
        if entry is not None and entry.kind == "Encounter":
            for given in children(entry.resource, "identifier"):
                return source.once(entry, "visit", partial(read_identifier, given))
    return None
