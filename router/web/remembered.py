"""What is kept on our side for a while by a random word: an address never holds a person's name, nor what INSi said."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

KEPT = 2_000
SECONDS = 8 * 3600.0

T = TypeVar("T")


class Remembered(Generic[T]):
    """Things by a random key, each for the session that it belongs to. Used from the event loop only."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, kept: int = KEPT, seconds: float = SECONDS
    ) -> None:
        self._clock = clock
        self._most = kept
        self._seconds = seconds
        self._kept: OrderedDict[str, tuple[bytes, T, float]] = OrderedDict()

    def keep(self, session: bytes, thing: T) -> str:
        """Remember something, and give the key to ask for it with."""
        key = secrets.token_urlsafe(9)
        self._kept[key] = (session, thing, self._clock() + self._seconds)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return key

    def recall(self, session: bytes, key: str) -> T | None:
        """Give what a key stands for, or None when it is another session's or too old."""
        found = self._kept.get(key)
        if found is None:
            return None
        owner, thing, until = found
        return thing if owner == session and self._clock() < until else None


Searches = Remembered[str]
"""What people searched for."""
