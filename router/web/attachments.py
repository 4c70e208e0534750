"""Files inside an Item: listed without their bytes, and given back from the Item itself or from the blob store."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from router.journal.view import View
from schemas.attachment import Attachment
from schemas.document import Document
from schemas.item import Item
from schemas.lab import LabReport


@dataclass(frozen=True, slots=True)
class Shown:
    """A file as the page lists it; `rank` asks for it."""

    rank: int
    title: str
    media_type: str
    size: int | None


def attachments_of(item: Item) -> tuple[Shown, ...]:
    """List an Item's files."""
    return tuple(
        Shown(rank, one.title or one.filename or "", one.media_type, _size(one))
        for rank, one in enumerate(_files(item))
    )


def attachment(view: View, item: Item, rank: int) -> tuple[str, str, bytes] | None:
    """Give a file's name, media type and bytes; None when there is no such file.

    Raises FileNotFoundError when its bytes are no longer in the blob store.
    """
    found = _files(item)
    if not 0 <= rank < len(found):
        return None
    one = found[rank]
    name = one.filename or one.title or f"attachment-{rank + 1}"
    if one.data is not None:
        try:
            return name, one.media_type, base64.b64decode(one.data, validate=True)
        except binascii.Error:
            return name, "application/octet-stream", one.data.encode()  # given as it was sent, rather than not at all
    if one.sha256 is not None:
        return name, one.media_type, view.blobs.get(view.blobs.name_of(bytes.fromhex(one.sha256)))
    return None


def _files(item: Item) -> tuple[Attachment, ...]:
    content = item.content
    return content.attachments if isinstance(content, LabReport | Document) else ()


def _size(one: Attachment) -> int | None:
    if one.size is not None or one.data is None:
        return one.size
    return len(one.data) * 3 // 4 - one.data[-2:].count("=")
