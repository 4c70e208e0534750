"""How fast things may go: calls to a national service, and none for a while after troubles; messages of a sender."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Clock = Callable[[], float]
"""Seconds that only grow (`time.monotonic`)."""

Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Throttle:
    """Spaces calls evenly: each takes the next place in time, and waits for it."""

    per_minute: float
    clock: Clock
    sleep: Sleep = asyncio.sleep
    _next: float = field(default=float("-inf"))

    async def turn(self, patience: float) -> bool:
        """Wait for one's turn; False, at once and without taking a place, when it is more than `patience` away."""
        now = self.clock()
        wait = max(0.0, self._next - now)
        if wait > patience:
            return False
        self._next = max(self._next, now) + 60.0 / self.per_minute
        if wait > 0:
            await self.sleep(wait)
        return True


@dataclass(slots=True)
class Breaker:
    """Opens after `failures` troubles in a row; once `seconds` have passed, one call tries, the others still wait."""

    failures: int
    seconds: float
    clock: Clock
    _count: int = 0
    _until: float = field(default=float("-inf"))
    _trying: bool = False

    @property
    def remaining(self) -> float:
        """Seconds for which no call is let through."""
        return max(0.0, self._until - self.clock())

    def enter(self) -> bool:
        """Ask to call; whoever is let through must then say `good`, `bad` or `left`."""
        if self.remaining > 0:
            return False
        if self._count >= self.failures:
            if self._trying:
                return False
            self._trying = True
        return True

    def good(self) -> None:
        """Note that the service answered."""
        self._count, self._trying, self._until = 0, False, float("-inf")

    def bad(self, seconds: float | None = None) -> None:
        """Count a trouble; `seconds` opens at once for that long, whatever went before."""
        self._trying = False
        self._count = max(self._count + 1, self.failures if seconds is not None else 0)
        if self._count >= self.failures:
            self._until = self.clock() + (self.seconds if seconds is None else seconds)

    def left(self) -> None:
        """Leave without a word: the call was not made, or given up."""
        self._trying = False


class TokenBucket:
    """Lets `rate` things a second through, and `burst` of them at once after a quiet time.

    `refusal` is for who can be told to come again, `debt` for who cannot and is made to wait instead.
    """

    def __init__(self, rate: float, burst: int, clock: Clock) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._since = clock()

    def refusal(self) -> float:
        """Take a token; gives 0.0, or the seconds after which there is one, and then none was taken."""
        self._fill()
        if self._tokens < 1.0:
            return (1.0 - self._tokens) / self._rate
        self._tokens -= 1.0
        return 0.0

    def debt(self) -> float:
        """Take a token though there may be none; gives the seconds until the debt is paid, 0.0 without one."""
        self._fill()
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self._rate)

    def wait(self) -> float:
        """Give the seconds until there is a token, 0.0 when there is one; none is taken."""
        self._fill()
        return max(0.0, (1.0 - self._tokens) / self._rate)

    @property
    def is_full(self) -> bool:
        """Whether nothing was taken for so long that a new bucket would be the same."""
        self._fill()
        return self._tokens >= self._burst

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._since) * self._rate)
        self._since = now
