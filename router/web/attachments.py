"""Files inside an Item: listed without their bytes, and given back from the Item itself, the blob store, or a CDA."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from schemas.attachment import Attachment
from schemas.document import Document
from schemas.item import Item
from schemas.lab import LabReport
from schemas.note import LiaisonNote

if TYPE_CHECKING:
    from router.journal.view import View

File = tuple[str, str, bytes]
"""A file's name, media type and bytes."""

Viewing = Literal["", "pdf", "image"]
"""How a page shows a file in place; empty for those that are only downloaded."""

UNKNOWN_TYPE = "application/octet-stream"

_VIEWINGS: dict[str, Viewing] = {"application/pdf": "pdf", "image/png": "image", "image/jpeg": "image"}
_SIGNATURES = {"application/pdf": b"%PDF-", "image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A file as the page lists it; `rank` asks for it."""

    rank: int
    title: str
    media_type: str
    size: int | None

    @property
    def viewing(self) -> Viewing:
        """How the page shows it."""
        return viewing(self.media_type)


def viewing(media_type: str) -> Viewing:
    """Say how a page shows files of a media type."""
    return _VIEWINGS.get(plain_type(media_type), "")


def plain_type(media_type: str) -> str:
    """Give a media type in lower case, without its parameters."""
    return media_type.partition(";")[0].strip().lower()


def is_what_it_says(media_type: str, content: bytes) -> bool:
    """Say whether a file that may be shown in place begins as its media type does.

    A browser never guesses, because it is told not to; this keeps a file of another kind from a viewer's code.
    """
    signature = _SIGNATURES.get(plain_type(media_type))
    return signature is not None and content.startswith(signature)


def files_of(item: Item) -> tuple[Attachment, ...]:
    """Give an Item's files, in the order that `rank` counts."""
    content = item.content
    return content.attachments if isinstance(content, LabReport | Document | LiaisonNote) else ()


def attachments_of(item: Item) -> tuple[Shown, ...]:
    """List an Item's files."""
    return tuple(
        Shown(rank, one.title or one.filename or "", one.media_type, _size(one))
        for rank, one in enumerate(files_of(item))
    )


def attachment(view: View, item: Item, rank: int) -> File | None:
    """Give a file's name, media type and bytes; None when there is no such file.

    Raises FileNotFoundError when its bytes are no longer in the blob store.
    """
    found = files_of(item)
    if not 0 <= rank < len(found):
        return None
    one = found[rank]
    name = one.filename or one.title or f"attachment-{rank + 1}"
    if one.data is not None:
        content = carried(one)
        # Given as it was sent, rather than not at all.
        return (name, one.media_type, content) if content is not None else (name, UNKNOWN_TYPE, one.data.encode())
    if one.sha256 is not None:
        return name, one.media_type, view.blobs.get(view.blobs.name_of(bytes.fromhex(one.sha256)))
    return None


def carried(one: Attachment) -> bytes | None:
    """Decode the bytes that a file carries itself; None when they are elsewhere, or are not base64."""
    if one.data is None:
        return None
    try:
        return base64.b64decode(one.data, validate=True)
    except binascii.Error:
        return None


def media(view: View, item: Item, rank: int, number: int) -> File | None:
    """Give a file that is inside a CDA that an Item carries; None when there is no such file.

    Raises FormatError when the attachment is no CDA, FileNotFoundError when its bytes are gone.
    """
    from mappings.cda.media import media_content

    found = attachment(view, item, rank)
    inner = media_content(found[2], number) if found is not None else None
    if found is None or inner is None:
        return None
    stem = re.sub(r"\.xml$", "", found[0], flags=re.IGNORECASE)
    return f"{stem}-{number + 1}", inner[0], inner[1]


def _size(one: Attachment) -> int | None:
    if one.size is not None or one.data is None:
        return one.size
    return len(one.data) * 3 // 4 - one.data[-2:].count("=")
