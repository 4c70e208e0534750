"""The CDA documents in the bytes of a delivery: the bytes themselves, or what a message or archive carries."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence

from mappings.cda import is_cda
from mappings.contracts import FormatError, ReadContext
from mappings.registry import format_named
from schemas.document import Document
from schemas.item import Item
from schemas.lab import LabReport
from schemas.note import LiaisonNote


def carried_documents(content: bytes, format_name: str, beside: Sequence[bytes] = ()) -> Iterator[bytes]:
    """Give every CDA document of a content written in a format, and of the files that travel beside it.

    Raises FormatError when our own reader does not understand the content: nothing is known of it then.
    """
    if is_cda(content):
        yield content
    else:
        yield from documents_of(format_named(format_name).read(content, ReadContext()).items)
    for file in beside:
        if is_cda(file):
            yield file


def documents_of(items: Sequence[Item]) -> Iterator[bytes]:
    """Give the CDA documents that Items carry as attachments, each once."""
    seen: set[bytes] = set()
    for item in items:
        if not isinstance(item.content, Document | LabReport | LiaisonNote):
            continue
        for attachment in item.content.attachments:
            if attachment.data is None:
                continue
            try:
                content = base64.b64decode(attachment.data)
            except binascii.Error:
                raise FormatError("validation.attachment", "", "an attachment is not base64") from None
            if is_cda(content) and content not in seen:
                seen.add(content)
                yield content
