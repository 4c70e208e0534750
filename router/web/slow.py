"""Figures that take longer to count than a page may take: counted apart, kept for a while, and waited for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

KEPT = 24


@dataclass(slots=True)
class _Counted(Generic[T]):
    task: asyncio.Task[T]
    began: float


class Slow(Generic[T]):
    """Results by name, each counted once at a time. Used from the event loop only.

    A result is good for `seconds`; a page waits for one for at most `patience` seconds.
    """

    def __init__(
        self, seconds: float = 300.0, patience: float = 0.1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.patience = patience
        self._seconds = seconds
        self._clock = clock
        self._kept: dict[str, _Counted[T]] = {}

    async def get(self, name: str, count: Callable[[], Awaitable[T]]) -> tuple[T | None, float]:
        """Give a result, or None while it is being counted; and for how many seconds it has been.

        Raises what counting raised, once: the next one to ask has it counted anew.
        """
        kept = self._kept.get(name)
        if kept is None or (kept.task.done() and self._clock() - kept.began >= self._seconds):
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            kept = self._kept[name] = _Counted(asyncio.ensure_future(_awaited(count)), self._clock())
        await asyncio.wait({kept.task}, timeout=self.patience)
        if not kept.task.done():
            return None, self._clock() - kept.began
        if kept.task.cancelled() or kept.task.exception() is not None:
            self._kept.pop(name, None)
        return kept.task.result(), 0.0


async def _awaited(count: Callable[[], Awaitable[T]]) -> T:
    return await count()
