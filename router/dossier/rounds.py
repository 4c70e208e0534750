"""What the dossier does by itself: rounds that go on as long as there is work, then wait to be woken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from router.journal.operations import Operation
from router.journal.store import JournalFault

R = TypeVar("R")


class Writes(Protocol):
    """The journal's writer."""

    def submit(self, operation: Operation[R]) -> Awaitable[R]:
        """Submit an operation."""


async def go_round(
    once: Callable[[], Awaitable[bool]],
    changed: asyncio.Event,
    trouble: Callable[[str], None],
    *,
    idle: float,
    retry: float | None = None,
) -> None:
    """Call `once` until cancelled: again at once while it was busy, else when `changed` is set or after `idle` seconds.

    A journal that fails is told to `trouble`; it is asked again after `retry` seconds whatever changes, or, without, as
    when there was nothing to do.
    """
    while True:
        changed.clear()
        try:
            busy = await once()
        except JournalFault as fault:
            trouble(str(fault))
            busy = retry is not None
            if retry is not None:
                await asyncio.sleep(retry)
        if not busy:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(idle):
                    await changed.wait()
