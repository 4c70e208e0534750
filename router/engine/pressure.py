"""Back-pressure: how much is acknowledged and not yet processed, and when sources have to wait for the pipeline.

A burst is acknowledged at the speed of the journal, far above that of the pipeline: that is what a journal is for. Past
`limit` waiting messages, acknowledgements come at the pipeline's own speed, so that the backlog stops growing.
"""

from __future__ import annotations

import asyncio


class Pressure:
    """Counts waiting messages, wakes the pipeline, and holds sources back above the limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._room = asyncio.Event()
        self._room.set()
        self.arrived = asyncio.Event()
        self.last_committed = 0
        self.waiting = 0
        self.arrivals = 0

    @property
    def full(self) -> bool:
        """Whether sources are held back."""
        return not self._room.is_set()

    async def admit(self) -> None:
        """Wait until there is room for one more message."""
        if not self._room.is_set():
            await self._room.wait()

    def committed(self, message_id: int) -> None:
        """Note that a message was committed."""
        self.waiting += 1
        self.arrivals += 1
        self.last_committed = max(self.last_committed, message_id)
        self.arrived.set()
        if self.waiting >= self._limit:
            self._room.clear()

    def started_with(self, waiting: int, last_committed: int) -> None:
        """Note what a previous run left."""
        self.waiting = waiting
        self.last_committed = max(self.last_committed, last_committed)
        if waiting:
            self.arrived.set()

    def recount(self, waiting: int) -> None:
        """Note how many messages wait, as the journal says: other nodes receive, and read."""
        self.waiting = waiting
        if waiting < self._limit:
            self._room.set()
        else:
            self._room.clear()

    def processed(self, count: int) -> None:
        """Note that messages went through the pipeline."""
        self.waiting = max(0, self.waiting - count)
        if self.waiting < self._limit:
            self._room.set()
