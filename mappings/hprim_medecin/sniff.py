"""Recognise HPRIM Médecin by its content, never by its extension (hprim 1)."""

from __future__ import annotations

import re

from mappings.charsets import ANY_LINE_END
from mappings.french_time import find_day, read_day

HEAD, TAIL = 65_536, 4_096
"""How much of a content is looked at: its beginning, and its end where the tags are."""

_TAG = re.compile(rb"(?:^|[\r\n])[ \t]*\*{4}(?:LAB|FIN|FINFICHIER)\*{4}[ \t]*(?=[\r\n\x1a]|$)", re.IGNORECASE)
_RES = re.compile(rb"(?:^|[\r\n])[ \t]*RES\|[^\r\n]*\|", re.IGNORECASE)
_OTHERS = re.compile(rb"%PDF|PK\x03\x04|(?:MSH|FHS|BHS)[^\w\s]")
_MARKUP = re.compile(rb"<")
_MAIL_HEADER = re.compile(rb"(?:From |[A-Za-z][A-Za-z-]{1,40}:[ \t])")
_OTHER_HPRIM = re.compile(rb"H([^\w\s])[^\r\n]{3,5}\1[^\r\n]*\1H2\.\d")


def sniff(content: bytes) -> float:
    """Say from 0 to 1 how surely a content is HPRIM Médecin: tags, else coded lines, else a header with two dates."""
    head = _ascii(content[:HEAD])
    start = head.lstrip()
    if _OTHERS.match(start) or _OTHER_HPRIM.match(start):
        return 0.0
    tail = _ascii(content[-TAIL:]) if len(content) > HEAD else b""
    if _TAG.search(head) or _TAG.search(tail):
        # A patient's number may begin as mail or markup does: the tags then only make it likely.
        return 0.5 if _MAIL_HEADER.match(start) or _MARKUP.match(start) else 0.95
    if _MARKUP.match(start):
        return 0.0
    if _RES.search(head):
        return 0.6
    return _by_dates(head)


def _ascii(content: bytes) -> bytes:
    """Give bytes in which signs can be looked for: without byte order mark, and without the zeros of UTF-16."""
    for mark in (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"):
        content = content.removeprefix(mark)
    return content.replace(b"\0", b"") if b"\0" in content else content


def _by_dates(head: bytes) -> float:
    lines = [line.strip() for line in ANY_LINE_END.split(head[:4096].decode("latin-1"))]
    while len(lines) > 7 and not lines[0] and not read_day(lines[6]):
        del lines[0]
    if len(lines) < 7 or max(map(len, lines[:7])) > 250:
        return 0.0
    born = read_day(lines[6]) is not None
    if len(lines) < 10:
        return 0.25 if born else 0.0
    return 0.4 if born and (not lines[9] or find_day(lines[9]) is not None) else 0.0
