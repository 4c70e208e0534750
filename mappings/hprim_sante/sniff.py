"""Recognise HPRIM Santé by its content (hprim 1)."""

from __future__ import annotations

import re

HEAD = 8_192
_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")
_HEADER = re.compile(rb"(?:^|(?<=[\r\n]))\s*H([^\w\s])([^\r\n]{3,8}?)\1([^\r\n]*)")
_VERSION = re.compile(rb"H2\.\d")
_CONTEXTS = frozenset({b"ADM", b"ORM", b"ORA", b"REG", b"ORU", b"FAC", b"ERR"})


def sniff(content: bytes) -> float:
    """Say from 0 to 1 how surely a content is HPRIM Santé: a segment H, its delimiters, context and version."""
    head = content[:HEAD]
    for mark in _MARKS:
        head = head.removeprefix(mark)
    head = head.replace(b"\0", b"") if b"\0" in head else head
    if head.lstrip().startswith((b"MSH", b"%PDF", b"<")):
        return 0.0
    found = _HEADER.search(head)
    if found is None:
        return 0.0
    marks = found[1] + found[2]
    if len(marks) not in {4, 5} or len(set(marks)) < len(marks) or any(chr(mark).isalnum() for mark in marks):
        return 0.0
    fields = found[3].split(found[1])
    version = len(fields) > 10 and _VERSION.match(fields[10].strip()) is not None
    context = len(fields) > 4 and fields[4].strip().upper() in _CONTEXTS
    first = found.start() == 0 or not head[: found.start()].strip()
    sure = {(True, True): 1.0, (True, False): 0.8, (False, True): 0.7}.get((version, context), 0.0)
    return sure if first else sure * 0.6
