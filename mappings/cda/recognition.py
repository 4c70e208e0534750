"""Tell a CDA document by its bytes."""

from __future__ import annotations

import re

_LOOKED_AT = 64 * 1024
_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?ClinicalDocument[\s>]")
_NAMESPACE = b"urn:hl7-org:v3"
_DOCUMENT = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<")
_WRAPPER = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?(?:stylesheet|transform|html)[\s>]")


def is_cda(content: bytes) -> bool:
    """Say whether a content is a CDA document, alone or in a self-presenting wrapper, by its bytes; nothing is parsed.

    The ClinicalDocument of a wrapper may stand far behind a long stylesheet: the whole content is looked at then.
    """
    head = _narrow(content[:_LOOKED_AT])
    if not _DOCUMENT.match(head) or (_NAMESPACE not in head and not _WRAPPER.search(head)):
        return False
    if _ROOT.search(head):
        return _NAMESPACE in head
    if not _WRAPPER.search(head):
        return False
    return b"ClinicalDocument" in content and _NAMESPACE in content and _ROOT.search(content) is not None


def _narrow(head: bytes) -> bytes:
    """Take the zeros out of UTF-16, so that ASCII is searched for in one way."""
    return head.replace(b"\0", b"").lstrip(b"\xff\xfe") if b"\0" in head[:64] else head
