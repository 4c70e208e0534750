"""Files as ED: their type and their base64, given through as it is."""

from __future__ import annotations

import re

from mappings.hl7v2.pen import Pen
from schemas.attachment import Attachment
from schemas.finding import Severity

_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=]")
_KINDS = {"application/pdf": ("application", "pdf"), "text/xml": ("TEXT", "XML"), "text/plain": ("TEXT", "plain")}


def encapsulated(pen: Pen, attachment: Attachment, *, text: str = "TEXT") -> str | None:
    """Write a file as an ED; None, with a Finding, when its bytes are not at hand. `text` is how ED-2 says text."""
    if attachment.data is None or _NOT_BASE64.search(attachment.data):
        pen.note(Severity.ERROR, "hl7v2.write.no_bytes", "the bytes of an attachment are not there to be sent")
        return None
    family, _, subtype = attachment.media_type.partition("/")
    kind, sub = _KINDS.get(attachment.media_type, (family, subtype))
    kind = text if kind == "TEXT" else kind
    return f"^{pen.text(kind)}^{pen.text(sub)}^Base64^{attachment.data}"
