"""What was on its way to the DMP when the line, or the router, was cut: durable before the first byte leaves.

A submission that may have arrived is looked up before it is sent again. The note is kept until the outcome has had the
time to be recorded, for a router killed in between must not take its own document for another's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from connectors.contracts import Memory

RECORDED = timedelta(seconds=60)
"""After that time an outcome stands in the journal."""


class Doubts:
    """Notes by uniqueId, each with the submission that carried it."""

    def __init__(self, memory: Memory, now: Callable[[], datetime]) -> None:
        self._memory = memory
        self._now = now
        self._settled: dict[str, datetime] = {}

    async def about(self, unique_id: str, lot: str) -> bool:
        """Say whether this submission of a document was begun before, and its end is not known."""
        return await self._memory.recall(_key(unique_id)) == lot.encode()

    async def begin(self, unique_id: str, lot: str) -> None:
        """Note that a submission begins; returns once it is durable."""
        self._settled.pop(unique_id, None)
        await self._memory.keep(_key(unique_id), lot.encode())

    def settled(self, unique_id: str) -> None:
        """Note that its end is known: the note will go once the journal has it."""
        self._settled[unique_id] = self._now()

    async def tidy(self) -> None:
        """Forget what was settled long enough ago."""
        before = self._now() - RECORDED
        for unique_id in [one for one, at in self._settled.items() if at <= before]:
            await self._memory.keep(_key(unique_id), None)
            self._settled.pop(unique_id, None)


def _key(unique_id: str) -> str:
    return f"doubt/{unique_id}"
