"""Fences: a node that was replaced without noticing can commit nothing any more.

Each time a lane is given to a node it comes with a greater number. The node that takes it writes the number to the
journal; whatever is written for the lane afterwards says the number that it was prepared under, and is refused when the
journal's is another one. The check is made in the transaction that writes, and those are serial: there is no moment at
which both the former node and the new one could write.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection, func, insert, select, update

from router.journal import tables
from router.journal.unit import Question, Unit

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Operation(Protocol[R_co]):
    """A change of the journal (`router.journal.operations.Operation`, which is made of what is here)."""

    def apply(self, unit: Unit) -> R_co:
        """Apply it."""


@dataclass(frozen=True, slots=True)
class Fence:
    """A taking of a lane. Of two takings the one with the greater (`epoch`, `count`) is the newer.

    `epoch` is when the counter began (nanoseconds since 1970), `count` how often the lane was given since.
    """

    lane: str
    epoch: int
    count: int

    def is_newer_than(self, other: Fence) -> bool:
        """Say whether this taking came after another one of the same lane."""
        return (self.epoch, self.count) > (other.epoch, other.count)


Fences = Mapping[int, Fence]
"""Under which taking each message was read, or each Delivery sent, by its number; empty on a single machine."""


@dataclass(frozen=True, slots=True)
class TakeLane:
    """Make a node the one that may write for a lane; `now` is microseconds."""

    fence: Fence
    node: str
    now: int

    def apply(self, unit: Unit) -> bool:
        """Write the fence. False when the journal has a newer one, or this one by another node: it is not ours."""
        fence, column = self.fence, tables.lane_fence.c
        found = unit.connection.execute(
            select(column.epoch, column.fence, column.node).where(column.lane == fence.lane)
        ).one_or_none()
        values = {"epoch": fence.epoch, "fence": fence.count, "node": self.node[:120], "taken_at": self.now}
        if found is None:
            unit.connection.execute(insert(tables.lane_fence).values(lane=fence.lane, **values))
            return True
        there = Fence(fence.lane, found.epoch, found.fence)
        if there == fence:
            return bool(found.node == self.node[:120])
        if not fence.is_newer_than(there):
            return False
        unit.connection.execute(update(tables.lane_fence).where(column.lane == fence.lane).values(values))
        return True


class NoLongerOurs(Exception):
    """The lane under whose taking this was to be done is another node's: nothing of it was done."""


@dataclass(frozen=True, slots=True)
class Under(Generic[R]):
    """Any operation, done only if the taking of a lane still holds."""

    operation: Operation[R]
    fence: Fence

    def apply(self, unit: Unit) -> R:
        """Apply it. Raises NoLongerOurs."""
        if fenced(unit, [self.fence]):
            raise NoLongerOurs(self.fence.lane)
        return self.operation.apply(unit)


def fenced(unit: Unit, fences: Collection[Fence]) -> frozenset[Fence]:
    """Give the takings that no longer hold: the journal knows another one of their lane, or none.

    Without fences nothing is asked.
    """
    if not fences:
        return frozenset()
    there = {(lane, epoch, count) for lane, epoch, count in unit.query(*takings_of(fences))}
    return frozenset(fence for fence in fences if (fence.lane, fence.epoch, fence.count) not in there)


def takings_of(fences: Iterable[Fence]) -> Question:
    """Ask under which taking each lane of these is now."""
    lanes = sorted({fence.lane for fence in fences})
    return f"{_FENCES}({', '.join(['?'] * len(lanes))})", tuple(lanes)


def fences(connection: Connection) -> list[Fence]:
    """Give the newest taking of each lane that the journal knows."""
    column = tables.lane_fence.c
    return [Fence(*row) for row in connection.execute(select(column.lane, column.epoch, column.fence))]


def newest_epoch(connection: Connection) -> int:
    """Give the greatest epoch of all lanes, 0 when none was ever taken: whoever counts anew must begin after it."""
    return connection.execute(select(func.max(tables.lane_fence.c.epoch))).scalar() or 0


_FENCES = "SELECT lane, epoch, fence FROM lane_fence WHERE lane IN "
