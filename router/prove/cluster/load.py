"""The load of a cluster: senders before the balancer, the receiving tool behind it, and what is on its way between."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from connectors.sandbox.people import Person
from router.prove.cluster.flow import TimedLedger
from router.prove.receiver import UnreliableReceiver
from router.prove.senders import Sender, Target
from router.trial.patience import Patience

LOOK = 0.1
"""Seconds between two looks at something that is waited for."""

_ANSWER_SECONDS = 8.0


class Load:
    """Who sends and who receives. `rate` messages a second come over `connections`; the same seed draws the same."""

    def __init__(self, people: Sequence[Person], *, rate: float, connections: int, seed: int) -> None:
        self.ledger = TimedLedger()
        self.receiver = UnreliableReceiver(self.ledger, random.Random(seed + 1))
        self.largest_backlog = 0
        self._people = list(enumerate(people))
        self._pause = connections / rate
        self._connections = connections
        self._seed = seed
        self._senders: list[Sender] = []

    def at(self, rate: float) -> None:
        """Send so many messages a second from now on."""
        for sender in self._senders:
            sender.pause = self._connections / rate

    @asynccontextmanager
    async def flowing(self, address: str) -> AsyncIterator[None]:
        """Send while the block runs; what is under way at its end is still brought to its acknowledgement."""
        enough = asyncio.Event()
        target = Target(address)
        measuring = asyncio.create_task(self._measure(), name="backlog")
        self._senders = [
            Sender(
                target,
                self.ledger,
                mine,
                random.Random(self._seed * 1000 + rank),
                pause=self._pause,
                answer=_ANSWER_SECONDS,
            )
            for rank in range(self._connections)
            if (mine := self._people[rank :: self._connections])
        ]
        senders = [asyncio.create_task(sender.run(enough)) for sender in self._senders]
        try:
            yield
            enough.set()
            await asyncio.gather(*senders)
        finally:
            for task in (measuring, *senders):
                task.cancel()
            await asyncio.gather(measuring, *senders, return_exceptions=True)

    async def arrived(self, seconds: float) -> bool:
        """Wait until all that was acknowledged has arrived; False when nothing new does for so long."""
        seen, patience = -1, Patience(seconds)
        while self.ledger.backlog:
            if len(self.ledger.arrivals) != seen:
                seen = len(self.ledger.arrivals)
                patience.renew()
            if patience.ended:
                return False
            await asyncio.sleep(LOOK)
        return True

    async def _measure(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                self.largest_backlog = max(self.largest_backlog, self.ledger.backlog)
                await asyncio.sleep(LOOK)


async def comes(true: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is true; False when it does not become so in time."""
    patience = Patience(seconds)
    while not true():
        if patience.ended:
            return False
        await asyncio.sleep(LOOK)
    return True
