"""A document as CDA level 1 (N1): a complete header around one file (cda-fr §4)."""

from __future__ import annotations

import base64
import binascii

from mappings.cda.oids import N1
from mappings.cda.recognition import is_cda
from mappings.cda.writing.case import Case, written_identity
from mappings.cda.writing.codes import authority_of, named_oid
from mappings.cda.writing.header import Act, Subject, header, title_of
from mappings.cda.writing.markup import templates
from mappings.cda.writing.pdf_a import note_conformance
from mappings.contracts import WriteContext, WriteRefused
from mappings.notes import Notes
from schemas.attachment import Attachment
from schemas.document import Document, DocumentOperation
from schemas.item import DocumentItem

MEDIA_TYPES = frozenset({"application/pdf", "text/plain", "text/rtf", "image/jpeg", "image/tiff"})
"""What a level 1 body may be (ASS_A11)."""
_SYNONYMS = {"application/rtf": "text/rtf", "image/jpg": "image/jpeg", "image/tif": "image/tiff"}
_STATUSES = {"final": "completed", "preliminary": "active", "cancelled": "aborted"}


def write_document(item: DocumentItem, context: WriteContext, notes: Notes) -> bytes:
    """Give a document that is already a CDA byte for byte; wrap any other around its first file."""
    document = item.content
    if document.operation is DocumentOperation.DELETE:
        raise WriteRefused("cda.delete", "content.operation", "a CDA cannot ask for the deletion of a document")
    own = _own_cda(document)
    if own is not None:
        return own
    file, media_type = _body(document, notes)
    case = Case(item, document, context, notes)
    sender = authority_of(item.sender)
    identity = (
        written_identity(document.document_id, sender)
        if document.document_id
        else named_oid(f"identity|{context.identity}")
    )
    every = document.set_id or document.report_id
    numbers = case.numbers(identity, case.identifier(every, None) if every else None)
    status = _STATUSES.get(document.status or "")
    acts = [Act((code,), code.display, status if rank == 0 else None) for rank, code in enumerate(document.event_codes)]
    order = case.identifier(document.order_id, None) if document.order_id else None
    subject = Subject(templates(N1), numbers, title_of(case), acts, order)
    for field in ("wishes", "reply_to", "mail_body_professionals", "mail_body_patient", "comment", "category"):
        if getattr(document, field):
            notes.info("cda.write.not_carried", f"content.{field}", "it is said beside a CDA, not in it")
    data = _in_utf8(file, notes) if media_type == "text/plain" else file.data
    head = header(case, subject)
    return (
        f'{head}<component><nonXMLBody><text mediaType="{media_type}" representation="B64">'
        f"{data}</text></nonXMLBody></component></ClinicalDocument>\n"
    ).encode()


def _own_cda(document: Document) -> bytes | None:
    first = document.attachments[0] if document.attachments else None
    if first is None or first.data is None or bare_type(first) not in {"text/xml", "application/xml"}:
        return None
    try:
        content = base64.b64decode(first.data)
    except (binascii.Error, ValueError):
        return None
    return content if is_cda(content) else None


def bare_type(file: Attachment) -> str:
    """Give a media type without parameters, in small letters, under its usual name."""
    bare = file.media_type.partition(";")[0].strip().lower()
    return _SYNONYMS.get(bare, bare)


def _charset(media_type: str) -> str:
    """Give the encoding of a text, UTF-8 when its media type does not say."""
    for parameter in media_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip():
            return value.strip().strip('"')
    return "utf-8"


def _in_utf8(file: Attachment, notes: Notes) -> str | None:
    """Give a text in UTF-8: a CDA cannot say in which encoding its body is."""
    charset = _charset(file.media_type)
    if charset.lower().replace("_", "-") in {"utf-8", "utf8", "us-ascii", "ascii"} or file.data is None:
        return file.data
    try:
        text = base64.b64decode(file.data).decode(charset)
    except (LookupError, ValueError):
        message = "the encoding of the text is not known or not the one declared: its bytes are written as they are"
        notes.warning("cda.write.charset", "content.attachments", message)
        return file.data
    return base64.b64encode(text.encode()).decode("ascii")


def _body(document: Document, notes: Notes) -> tuple[Attachment, str]:
    """Choose the file that becomes the body: the first, else the first of a type that level 1 may hold."""
    if not document.attachments:
        raise WriteRefused("cda.write.no_body", "content.attachments", "the document has no file to put into a CDA")
    fit = [one for one in document.attachments if bare_type(one) in MEDIA_TYPES]
    if not fit:
        message = "a CDA of level 1 holds PDF, text, RTF, JPEG or TIFF: no file of the document is one"
        raise WriteRefused("cda.write.media_type", "content.attachments", message)
    chosen = next((one for one in fit if one.data), None)
    if chosen is None:
        message = "the bytes of the file are not at hand"
        raise WriteRefused("cda.write.no_bytes", "content.attachments", message)
    if len(document.attachments) > 1:
        message = "a CDA of level 1 holds one file: the others were left out"
        notes.error("cda.write.one_file", "content.attachments", message)
    media_type = bare_type(chosen)
    if media_type == "application/pdf":
        note_conformance(chosen.data or "", "content.attachments", notes)
    return chosen, media_type
