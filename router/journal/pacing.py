"""How many rows one transaction of background work changes: as many as fit in the time that others may wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WANTED_SECONDS = 0.02
"""How long background work may hold the journal's one writer, its commit included: an acknowledgement waits for it."""


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
        self._began: float | None = None

    def begin(self) -> None:
        """Note that a group begins to hold the writer: called in its transaction."""
        self._began = self._clock()

    def end(self) -> None:
        """Note that its transaction is committed, and choose the next group's size; without a `begin`, nothing."""
        if self._began is None:
            return
        self.seconds, self._began = self._clock() - self._began, None
        if self.seconds > self._wanted:
            self.size = max(1, int(self.size * self._wanted / self.seconds))
        elif self.seconds < self._wanted / 2:
            self.size = min(self._most, self.size * 2)

    @contextmanager
    def timed(self) -> Iterator[int]:
        """Time one group of `size` rows, which is given, and choose the next one's."""
        self.begin()
        yield self.size
        self.end()
