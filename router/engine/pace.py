"""When the pipeline rests: only while messages arrive far faster than it works, which is a burst."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

BURST = 4.0
"""Messages arrive in a burst when they come this many times faster than the pipeline works."""

REST = 15.0
"""During a burst, the pipeline rests this many times as long as it worked."""

LONGEST_REST = 1.0
"""Seconds."""

WAITING = 256
"""Waiting messages from which it may rest at all."""

MEMORY = 0.9
"""What is kept of the former measure at each batch. One stall of the machine, in one batch of ten, makes no burst:
a load that the pipeline can nearly follow would be left behind by the rest, and then by the next one."""


@dataclass(slots=True)
class _Measure:
    """What happened of late; the older, the less it counts."""

    processed: float = 0.0
    worked: float = 0.0
    arrived: float = 0.0
    passed: float = 0.0

    def note(self, processed: int, worked: float, arrived: int, passed: float) -> None:
        """Add one batch."""
        self.processed = MEMORY * self.processed + processed
        self.worked = MEMORY * self.worked + worked
        self.arrived = MEMORY * self.arrived + arrived
        self.passed = MEMORY * self.passed + passed

    def is_burst(self) -> bool:
        """Whether messages arrive far faster than they are worked on."""
        return self.arrived * self.worked > BURST * self.processed * self.passed


class Pace:
    """Measures both speeds, batch by batch. `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = self._checked = clock()
        self._arrivals = 0
        self._measure = _Measure()

    def worked(self, count: int, arrivals: int, waiting: int) -> float:
        """Note that a batch of `count` messages is done; gives the seconds to rest now, 0.0 for none.

        `arrivals` counts what ever arrived, `waiting` what waits now.
        """
        now = self._clock()
        worked = now - self._began
        self._measure.note(count, worked, arrivals - self._arrivals, now - self._checked)
        self._began = self._checked = now
        self._arrivals = arrivals
        if waiting < WAITING or not self._measure.is_burst():
            return 0.0
        return min(LONGEST_REST, REST * worked)

    def rested(self) -> None:
        """Note that the rest is over: work begins again."""
        self._began = self._clock()
