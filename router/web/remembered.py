"""What people searched for, kept on our side for a while: an address holds a random word, never a person's name."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

KEPT = 2_000
SECONDS = 8 * 3600.0


class Searches:
    """Texts by a random key, each for the session that typed it. Used from the event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[bytes, str, float]] = OrderedDict()

    def keep(self, session: bytes, text: str) -> str:
        """Remember a text, and give the key to ask for it with."""
        key = secrets.token_urlsafe(9)
        self._kept[key] = (session, text, self._clock() + SECONDS)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return key

    def recall(self, session: bytes, key: str) -> str | None:
        """Give the text of a key, or None when it is another session's or too old."""
        owner, text, until = self._kept.get(key, (b"", "", 0.0))
        return text if owner == session and self._clock() < until else None
