"""How much one caller may ask: failed proofs of an address, calls of a key or tool; counted in memory, on this node.

TooMany                  the caller must wait: 429, with the seconds in Retry-After
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from dataclasses import dataclass

from connectors.pace import Clock, TokenBucket

REMEMBERED = 10_000
"""Callers that are counted at a time: who was quiet for longest is forgotten first."""


class TooMany(Exception):
    """Too much was asked; `seconds` until it is worth asking again."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too much was asked")
        self.seconds = math.ceil(seconds)


@dataclass(frozen=True, slots=True)
class WebLimits:
    """What the web server bears of one caller; 0 is any number.

    `proofs_per_minute` are failed sign-ins, keys and tokens of one address; `calls_per_minute` the calls of one API key
    or tool. A minute's share may come at once. `body_seconds` is how long no byte of a request's body may come, ten
    times that the whole of it.
    """

    proofs_per_minute: int = 30
    calls_per_minute: int = 12_000
    body_seconds: float = 30.0


class Quota:
    """So many a minute for each caller, and a minute's share at once after a quiet time. 0 a minute is no limit."""

    def __init__(self, per_minute: int, clock: Clock = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def check(self, who: str) -> None:
        """Raise TooMany when this caller has used up its share; nothing is taken."""
        bucket = self._buckets.get(who)
        if bucket is not None and (wait := bucket.wait()):
            raise TooMany(wait)

    def take(self, who: str) -> None:
        """Take from a caller's share. Raises TooMany when there is none left."""
        if not self._per_minute:
            return
        bucket = self._buckets.get(who)
        if bucket is None:
            if len(self._buckets) >= REMEMBERED:
                self._buckets.popitem(last=False)
            bucket = self._buckets[who] = TokenBucket(self._per_minute / 60, self._per_minute, self._clock)
        self._buckets.move_to_end(who)
        if wait := bucket.refusal():
            raise TooMany(wait)

    def spend(self, who: str) -> None:
        """Take from a caller's share what was already done, if there is any left."""
        try:
            self.take(who)
        except TooMany:
            return  # it is told so the next time that it asks
