"""How many rows one transaction of background work changes: as many as fit in the time that others may wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WANTED_SECONDS = 0.02
"""How long background work may hold the journal's one writer: an acknowledgement waits that long at most for it."""


class Pace:
    """A group's size, adapted to what the last group took. `most` bounds it, and with it what one statement names."""

    def __init__(
        self,
        first: int = 20,
        most: int = 500,
        *,
        wanted: float = WANTED_SECONDS,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.size = first
        self.seconds = 0.0
        self._most = most
        self._wanted = wanted
        self._clock = clock

    @contextmanager
    def timed(self) -> Iterator[int]:
        """Time one group of `size` rows, which is given, and choose the next one's."""
        size, started = self.size, self._clock()
        yield size
        self.seconds = self._clock() - started
        if self.seconds > self._wanted:
            self.size = max(1, int(size * self._wanted / self.seconds))
        elif self.seconds < self._wanted / 2:
            self.size = min(self._most, size * 2)
