"""Files that travel inside or beside a message."""

from __future__ import annotations

from schemas.base import Base64Text, Frozen


class Attachment(Frozen):
    """A file: its bytes in `data` (base64), or in the blob store under `sha256` when the router has put them there.

    `filename` is what the sender wrote: a label, never a path. `size` is in bytes of the decoded content.
    """

    media_type: str
    title: str | None = None
    filename: str | None = None
    size: int | None = None
    sha256: str | None = None
    data: Base64Text | None = None
