"""Walking down a table that no index shortens, slice by slice, within a time: how long each slice may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

FIRST_SLICE, LAST_SLICE = 500, 4_000
"""Rows that one statement looks at: pages from the disk take a hundred times as long as those at hand, so that a long
slice would outlast the budget by far."""

Clock = Callable[[], float]


def paced(
    top: int, floor: int, clock: Clock, budget: float, *, first: int = FIRST_SLICE, last: int = LAST_SLICE
) -> Iterator[tuple[int, int]]:
    """Give (low, top) of ever older slices of numbers, `top` left out, until `floor` or until the time is up.

    A slice is up to twice as long as the one before, and no longer than its pace lets fit in the time that is left.
    `budget` is in seconds.
    """
    deadline, size = clock() + budget, first
    while top > floor:
        low = max(floor, top - size)
        started = clock()
        yield low, top
        ended = clock()
        if ended >= deadline:
            return
        fits = int(size * (deadline - ended) / max(ended - started, 1e-6))
        top, size = low, max(first, min(size * 2, last, fits))
