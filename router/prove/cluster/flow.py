"""When each message was sent, acknowledged and delivered, and how long a fault held the slowest of them up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from router.prove.ledger import Ledger, Mark


@dataclass(slots=True)
class TimedLedger(Ledger):
    """A ledger that also notes the moments, in seconds of `clock`: the first of each kind for each message."""

    clock: Callable[[], float] = time.monotonic
    sent_at: dict[Mark, float] = field(default_factory=dict)
    acknowledged_at: dict[Mark, float] = field(default_factory=dict)
    arrived_at: dict[Mark, float] = field(default_factory=dict)
    _waiting: set[Mark] = field(default_factory=set)

    def sending(self, mark: Mark) -> None:
        """Note one attempt."""
        Ledger.sending(self, mark)
        self.sent_at.setdefault(mark, self.clock())

    def acknowledge(self, mark: Mark) -> None:
        """Note a positive answer."""
        Ledger.acknowledge(self, mark)
        self.acknowledged_at.setdefault(mark, self.clock())
        if mark not in self.arrivals:
            self._waiting.add(mark)

    def arrived(self, key: str, body: bytes) -> set[Mark]:
        """Note a Bundle."""
        marks = Ledger.arrived(self, key, body)
        present = self.clock()
        for mark in marks:
            self.arrived_at.setdefault(mark, present)
        self._waiting -= marks
        return marks

    @property
    def backlog(self) -> int:
        """How many messages were acknowledged and have not arrived yet."""
        return len(self._waiting)


@dataclass(frozen=True, slots=True)
class Held:
    """What a stretch of time did to the messages on their way: seconds, and how many were held up past `limit`."""

    longest: float
    acknowledgement: float
    messages: int
    beyond: int


def held_up(ledger: TimedLedger, begin: float, end: float, *, since: float, limit: float) -> Held:
    """Measure the messages that were on their way between `begin` and `end`.

    `longest` is the greatest time from a message's first sending to its arrival, `acknowledgement` to its positive
    answer; what was sent before `since` counts from `since`: the moment from which the cluster is expected to work.
    A message that never arrived counts until now.
    """
    present = ledger.clock()
    longest = acknowledgement = 0.0
    messages = beyond = 0
    for mark, sent in ledger.sent_at.items():
        arrived = ledger.arrived_at.get(mark, present)
        if sent >= end or arrived <= begin:
            continue
        messages += 1
        from_here = max(sent, since)
        longest = max(longest, arrived - from_here)
        acknowledgement = max(acknowledgement, ledger.acknowledged_at.get(mark, present) - from_here)
        beyond += arrived - from_here > limit
    return Held(round(longest, 2), round(acknowledgement, 2), messages, beyond)
