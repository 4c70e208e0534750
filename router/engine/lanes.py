"""Lanes: the order of one destination's Deliveries, one queue a patient, and when each may be tried again.

A lane sends one Delivery at a time. One that must be retried parks its lane, and nobody else's; one of a paused route
closes its lane behind what came before it, until the lanes are read anew. Pure bookkeeping: no I/O, no clock of its
own.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice

PARKED_KEPT = 50
"""Deliveries of a parked lane that stay in memory; the others are read from the journal when it moves again."""


@dataclass(slots=True)
class Entry:
    """A Delivery to send: what its row says. Times are microseconds."""

    id: int
    lane: int
    identity: str
    media_type: str
    filename: str
    blob: str | None
    created_at: int
    attempts: int = 0
    attempts_before: int = 0
    next_attempt_at: int | None = None
    route: str = ""


@dataclass(slots=True)
class Lane:
    """One patient's Deliveries to one destination, in order."""

    key: int
    queue: deque[Entry] = field(default_factory=deque)
    busy: bool = False
    parked_until: int | None = None
    queued_ready: bool = False
    overflow: bool = False
    closed: bool = False


class Lanes:
    """All lanes of a destination."""

    def __init__(self) -> None:
        self._lanes: dict[int, Lane] = {}
        self._ready: deque[Lane] = deque()
        self._parked: list[tuple[int, int]] = []
        self.count = 0
        self.paused: AbstractSet[str] = frozenset()

    def __len__(self) -> int:
        return self.count

    def add(self, entry: Entry) -> None:
        """Put a Delivery at the end of its lane."""
        lane = self._lanes.get(entry.lane)
        if lane is None:
            lane = self._lanes[entry.lane] = Lane(entry.lane)
        if entry.route in self.paused:
            # Nothing of this patient may overtake it; it waits in the journal, and takes no room here.
            lane.closed = True
        if lane.closed:
            return
        if lane.overflow or (lane.parked_until is not None and len(lane.queue) >= PARKED_KEPT):
            lane.overflow = True
            return
        lane.queue.append(entry)
        self.count += 1
        if entry.next_attempt_at is not None and len(lane.queue) == 1 and not lane.busy:
            self._park(lane, entry.next_attempt_at)
        else:
            self._offer(lane)

    def _offer(self, lane: Lane) -> None:
        if lane.queue and not lane.busy and lane.parked_until is None and not lane.queued_ready:
            lane.queued_ready = True
            self._ready.append(lane)

    def _park(self, lane: Lane, until: int) -> None:
        lane.parked_until = until
        heapq.heappush(self._parked, (until, lane.key))

    def take(self) -> Entry | None:
        """Give the next Delivery to send; its lane is busy until `done` or `retry`."""
        while self._ready:
            lane = self._ready.popleft()
            lane.queued_ready = False
            if lane.busy or lane.parked_until is not None or not lane.queue:
                continue
            lane.busy = True
            self.count -= 1
            return lane.queue.popleft()
        return None

    def next_ones(self, count: int) -> Iterator[Entry]:
        """Give what `take` will give next, as far as that can be said: the heads of lanes that are ready."""
        for lane in islice(self._ready, count):
            if lane.queue and not lane.busy:
                yield lane.queue[0]

    def done(self, entry: Entry) -> bool:
        """Let the lane go on. True when the rest of it must be read from the journal (`refill`)."""
        lane = self._lanes[entry.lane]
        lane.busy = False
        if lane.queue:
            self._offer(lane)
        elif lane.overflow:
            lane.overflow = False
            return True
        elif not lane.closed:
            del self._lanes[entry.lane]
        return False

    def retry(self, entry: Entry, until: int) -> None:
        """Put the Delivery back at the head of its lane, and park the lane until then (microseconds)."""
        lane = self._lanes[entry.lane]
        lane.busy = False
        if entry.route in self.paused:
            self.count -= len(lane.queue)
            lane.queue.clear()
            lane.closed = True
            return
        lane.queue.appendleft(entry)
        self.count += 1
        while len(lane.queue) > PARKED_KEPT:
            lane.queue.pop()
            self.count -= 1
            lane.overflow = True
        self._park(lane, until)

    def unpark(self, now: int) -> None:
        """Let go on the lanes whose time has come."""
        while self._parked and self._parked[0][0] <= now:
            until, key = heapq.heappop(self._parked)
            lane = self._lanes.get(key)
            if lane is not None and lane.parked_until == until:
                lane.parked_until = None
                self._offer(lane)

    def next_unpark(self) -> int | None:
        """Say when the next parked lane may go on."""
        return self._parked[0][0] if self._parked else None

    def parked(self) -> int:
        """Count parked lanes."""
        return sum(1 for lane in self._lanes.values() if lane.parked_until is not None)

    def forget(self) -> None:
        """Forget what waits, to read it anew; lanes that are sending keep their place."""
        self._lanes = {key: Lane(key, busy=True) for key, lane in self._lanes.items() if lane.busy}
        self._ready.clear()
        self._parked.clear()
        self.count = 0
