"""winmail.dat (TNEF, MS-OXTNEF): what Outlook makes of a mail for Outlook. The names of its attachments are read."""

from __future__ import annotations

import struct

from mappings.mail.headers import decode_declared

TYPES = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_MAGIC = b"\x78\x9f\x3e\x22"
_HEAD = struct.Struct("<BII")
_TITLE = 0x00018010
_MOST = 1000


def is_tnef(content: bytes) -> bool:
    """Say whether a content is TNEF, by its first bytes."""
    return content.startswith(_MAGIC)


def attached_names(content: bytes) -> list[str]:
    """List the names of the attachments inside, as far as the stream can be followed."""
    names: list[str] = []
    at = len(_MAGIC) + 2
    for _ in range(_MOST):
        if at + _HEAD.size > len(content):
            break
        _, attribute, length = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        if at + length + 2 > len(content):
            break
        if attribute == _TITLE:
            raw = content[at : at + length].split(b"\0", 1)[0]
            names.append(decode_declared(raw, "cp1252")[0])
        at += length + 2
    return names
