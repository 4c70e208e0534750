"""Waiting for a while that counts only the time in which we were awake."""

from __future__ import annotations

import time
from collections.abc import Callable

_LONGEST_STEP = 1.0


class Patience:
    """A time limit for something that is looked at again and again.

    Between two looks at most one second counts: a machine that was suspended, or so busy that nothing ran, does not use
    the patience up.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._used = 0.0
        self._last = clock()

    @property
    def ended(self) -> bool:
        """Look: True once the limit is used up."""
        now = self._clock()
        self._used += min(now - self._last, _LONGEST_STEP)
        self._last = now
        return self._used >= self._seconds

    def renew(self) -> None:
        """Begin anew, because something moved."""
        self._used = 0.0
        self._last = self._clock()
