"""Files from FHIR: inline, or in a Binary of the same content."""

from __future__ import annotations

import base64
import binascii
from hashlib import sha1

from mappings.fhir.reading.source import Source
from mappings.fhir.reading.taking import (
    Node,
    forget,
    said,
    take_element_id,
    take_own_text,
    take_text,
)
from schemas.attachment import Attachment
from schemas.finding import Severity

_SHA1 = 20


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


def attach(form: Node, container: Node, source: Source) -> None:
    """Put the bytes of the Binary that an Attachment points at into the Attachment, when it is in the content."""
    url = said(form, "url")
    entry = source.find({"reference": url}, container) if url and "data" not in form else None
    if entry is None or entry.kind != "Binary":
        return
    data = take_text(entry.resource, "data")
    if data is None:
        return
    entry.read = True
    forget(form, "url")
    form["data"] = data
    if said(entry.resource, "contentType") == said(form, "contentType"):
        forget(entry.resource, "contentType")


def check_hash(form: Node, where: str, source: Source) -> None:
    """Compare the bytes of an Attachment with its SHA-1; bytes that are not those that were hashed are an error."""
    try:
        stated = base64.b64decode(said(form, "hash"), validate=True)
        content = base64.b64decode(said(form, "data"), validate=True)
    except (binascii.Error, ValueError):
        return
    if content and len(stated) == _SHA1 and sha1(content, usedforsecurity=False).digest() != stated:
        source.note(
            Severity.ERROR, "fhir.attachment.hash", where, "the content of a file is not what its hash was made of"
        )
