"""Mails seen before, under other numbers: a server that renumbers a folder must not make them come twice.

A mail is the same when its Message-ID and its bytes are. It keeps the control id under which it was first submitted,
so that the journal itself recognises it. Remembered in buckets of fixed size, the oldest entries giving way: about the
last 260,000 mails, whatever becomes of the mailbox.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import orjson

from connectors.contracts import Memory

BUCKETS = 4096
DEPTH = 64


@dataclass(frozen=True, slots=True)
class Known:
    """Under which control id to submit a mail; `reused` when another content came under the same Message-ID."""

    control_id: str
    repeated: bool = False
    reused: bool = False


class Doubles:
    """The mails of one source."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def recognise(self, message_id: str, digest: bytes, control_id: str) -> Known:
        """Give the control id of a mail, remembered before it is submitted: a kill in between changes nothing."""
        name = hashlib.sha256(message_id.encode("utf-8", "replace") if message_id else digest).digest()
        key = f"seen/{int.from_bytes(name[:4], 'big') % BUCKETS}"
        kept = await self._memory.recall(key)
        entries: list[list[str]] = orjson.loads(kept) if kept else []
        mark = name[:12].hex()
        same = [entry for entry in entries if entry[0] == mark]
        exact = digest[:16].hex()
        for _, content, first in same:
            if content == exact:
                return Known(first, repeated=first != control_id)
        entries.append([mark, exact, control_id])
        await self._memory.keep(key, orjson.dumps(entries[-DEPTH:]))
        return Known(control_id, reused=bool(same))
