"""Recognise a mail by the names of its first header fields."""

from __future__ import annotations

import re

_LOOKED_AT = 32 * 1024
_FIELD = re.compile(rb"([A-Za-z][A-Za-z0-9-]{1,60})[ \t]*:")
_KNOWN = frozenset(
    {
        b"return-path",
        b"delivered-to",
        b"received",
        b"from",
        b"to",
        b"cc",
        b"subject",
        b"date",
        b"message-id",
        b"mime-version",
        b"content-type",
        b"reply-to",
        b"references",
        b"in-reply-to",
        b"x-mss-nil",
    }
)
_SURE, _LIKELY = 3, 2


def sniff(content: bytes) -> float:
    """Say from 0 to 1 how surely a content is a mail: nothing but fields before the first blank line, several known."""
    head = content[:_LOOKED_AT].lstrip(b"\r\n")
    known: set[bytes] = set()
    lines = head.split(b"\n")
    if len(head) == _LOOKED_AT:
        lines = lines[:-1]
    for rank, line in enumerate(lines):
        if not line.strip():
            break
        if line[:1] in b" \t" and rank:
            continue
        found = _FIELD.match(line)
        if found is None:
            if rank == 0 and line.startswith(b"From "):
                continue
            return 0.0
        known.add(found[1].lower())
    count = len(known & _KNOWN)
    if count >= _SURE:
        return 0.95
    return 0.6 if count >= _LIKELY else 0.0
