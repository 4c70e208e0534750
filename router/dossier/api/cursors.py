"""Opaque cursors: sealed, so that a link holds neither what was searched nor whose; each serves its own reader."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import orjson

from router.dossier.api.outcomes import Refused
from router.journal.sealing import KeyFault, Sealer

PLACE = b"dossier.cursor"
MINUTES = 60
"""How long a link to the next page serves."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: of which search (its parameters), behind which resource, for which reader."""

    type: str
    pairs: tuple[tuple[str, str], ...]
    after: tuple[int, int]
    reader: str
    ends_at: int


def written(sealer: Sealer, cursor: Cursor) -> str:
    """Write a cursor as a text for a URL."""
    content = orjson.dumps([cursor.type, cursor.pairs, cursor.after, cursor.reader, cursor.ends_at])
    return base64.urlsafe_b64encode(sealer.seal(content, PLACE)).decode().rstrip("=")


def read(sealer: Sealer, text: str, kind: str, reader: str, now: int) -> Cursor:
    """Read a cursor back. Raises Refused when it is not one of ours, is another's, or has ended."""
    try:
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        type_, pairs, after, whose, ends_at = orjson.loads(sealer.open(sealed, PLACE))
    except (binascii.Error, ValueError, KeyFault):
        raise Refused(400, "This link to a page is not one of this server's.") from None
    if type_ != kind or whose != reader:
        raise Refused(400, "This link to a page was made for another search.")
    if ends_at < now:
        raise Refused(410, "This link to a page has ended; search again.", code="expired")
    return Cursor(type_, tuple((name, value) for name, value in pairs), (after[0], after[1]), whose, ends_at)
