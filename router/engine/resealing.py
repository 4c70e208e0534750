"""The engine's part of a change of the master key: what an older key sealed is sealed anew, beside the traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from router.engine.clock import micros
from router.journal.operations import Operation
from router.journal.sealing import KeyFault
from router.journal.store import JournalFault, Store
from router.keeping.resealing import Resealing, resting

R = TypeVar("R")

LOOK_SECONDS = 5.0
"""How often it is looked whether a change has begun."""

REST = 3.0
"""How long it rests after a group, in times of what the group took: a quarter of one processor at most."""


class Resealer:
    """Carries changes of the master key out, one group at a time."""

    def __init__(
        self,
        store: Store,
        submit: Callable[[Operation[bool]], Awaitable[bool]],
        now: Callable[[], datetime],
        trouble: Callable[[str], None],
    ) -> None:
        self._store = store
        self._submit = submit
        self._now = now
        self._trouble = trouble
        self._resealing = Resealing(store)

    async def run(self) -> None:
        """Look from time to time whether a change is under way, and carry it out."""
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                more = await self.step()
            except (JournalFault, KeyFault) as fault:
                self._trouble(str(fault))
                more = False
            await asyncio.sleep((loop.time() - started) * REST if more else LOOK_SECONDS)

    async def step(self) -> bool:
        """Seal one group anew; gives whether there may be more at once."""
        rotation = await asyncio.to_thread(self._resealing.under_way)
        if rotation is None or resting(rotation, micros(self._now())):
            return False
        group = await asyncio.to_thread(self._resealing.group, rotation.position)
        over = await self._submit(self._resealing.keep(rotation, group, micros(self._now())))
        self._resealing.pace.end()
        return not over
