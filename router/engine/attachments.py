"""Large attachments of Items: moved to the blob store before an Item is kept, brought back before it is written."""

from __future__ import annotations

import base64
import hashlib

from router.journal.blobs import LARGE, BlobStore
from schemas.attachment import Attachment
from schemas.document import Document
from schemas.item import Item
from schemas.lab import LabReport
from schemas.note import LiaisonNote


def without_data(item: Item, blobs: BlobStore) -> Item:
    """Move large attachments to the blob store; the Item then names them by their digest."""
    content = item.content
    if not isinstance(content, LabReport | Document | LiaisonNote) or not any(
        attachment.data is not None and len(attachment.data) > LARGE for attachment in content.attachments
    ):
        return item
    kept = tuple(_stored(attachment, blobs) for attachment in content.attachments)
    return item.model_copy(update={"content": content.model_copy(update={"attachments": kept})})


def _stored(attachment: Attachment, blobs: BlobStore) -> Attachment:
    if attachment.data is None or len(attachment.data) <= LARGE:
        return attachment
    plain = base64.b64decode(attachment.data)
    blobs.put(plain)
    digest = hashlib.sha256(plain).hexdigest()
    return attachment.model_copy(update={"data": None, "sha256": digest, "size": len(plain)})


def blobs_of(item: Item, blobs: BlobStore) -> str | None:
    """Name the blobs of an Item's attachments, separated by blanks; None when it has none."""
    content = item.content
    if not isinstance(content, LabReport | Document | LiaisonNote):
        return None
    digests = [one.sha256 for one in content.attachments if one.data is None and one.sha256 is not None]
    return " ".join(blobs.name_of(bytes.fromhex(digest)) for digest in digests) or None


def with_data(item: Item, blobs: BlobStore) -> Item:
    """Bring attachments back from the blob store, for a writer."""
    content = item.content
    if not isinstance(content, LabReport | Document | LiaisonNote) or all(
        attachment.data is not None or attachment.sha256 is None for attachment in content.attachments
    ):
        return item
    whole = tuple(_loaded(attachment, blobs) for attachment in content.attachments)
    return item.model_copy(update={"content": content.model_copy(update={"attachments": whole})})


def _loaded(attachment: Attachment, blobs: BlobStore) -> Attachment:
    if attachment.data is not None or attachment.sha256 is None:
        return attachment
    plain = blobs.get(blobs.name_of(bytes.fromhex(attachment.sha256)))
    return attachment.model_copy(update={"data": base64.b64encode(plain).decode()})
