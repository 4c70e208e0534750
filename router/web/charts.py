"""Small charts as numbers ready to draw: the templates only write them into SVG, without a line of script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from router.journal.queries_rates import Bin
from router.web.formatting import Formats

HEIGHT = 100
"""Units from the foot to the head of a chart; its width is one unit a stretch."""


@dataclass(frozen=True, slots=True)
class Column:
    """One stretch of the day, with its sentence for the hover and its row for a screen reader."""

    rank: int
    period: str
    received: str
    delivered: str
    failed: str


@dataclass(frozen=True, slots=True)
class DayChart:
    """The last 24 hours: delivered and failed stacked as areas, received as a line, one y axis from 0 to `top`.

    `areas` and `line` are SVG path data in a box of `width` × `HEIGHT`. `hours` are the labels of the x axis with
    their place in thousandths of its width.
    """

    width: int
    top: int
    delivered: str
    failed: str
    received: str
    columns: tuple[Column, ...]
    hours: tuple[tuple[int, str], ...]
    total_received: int
    total_delivered: int
    total_failed: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened in the whole day."""
        return not (self.total_received or self.total_delivered or self.total_failed)


def day_chart(bins: Sequence[Bin], formats: Formats) -> DayChart:
    """Lay out the day's curve."""
    top = nice(max((max(one.received, one.delivered + one.failed) for one in bins), default=0))
    delivered = [one.delivered for one in bins]
    stacked = [one.delivered + one.failed for one in bins]
    minutes = bins[0].minutes if bins else 15
    columns, hours = [], []
    for rank, one in enumerate(bins):
        start, end = formats.local(one.start), formats.local(one.start + minutes * 60_000_000)
        figures = (formats.number(count) for count in (one.received, one.delivered, one.failed))
        columns.append(Column(rank, f"{start:%H:%M} – {end:%H:%M}", *figures))
        if start.minute == 0 and start.hour % 3 == 0:
            hours.append((rank, f"{start:%H:%M}"))
    return DayChart(
        max(1, len(bins)),
        top,
        _area(delivered, [0] * len(bins), top),
        _area(stacked, delivered, top) if any(one.failed for one in bins) else "",
        _line([one.received for one in bins], top),
        tuple(columns),
        tuple(hours),
        sum(one.received for one in bins),
        sum(delivered),
        sum(one.failed for one in bins),
    )


def sparkline(counts: Sequence[int]) -> str:
    """Give the path of a small curve in a box as wide as it has counts and 20 high; empty when all are nought."""
    top = max(counts, default=0)
    if top == 0:
        return ""
    points = [f"{rank} {20 - 18 * count / top:.1f}" for rank, count in enumerate(counts)]
    return "M" + " L".join(points)


def nice(most: int) -> int:
    """Give the least round number that is not under `most`: 1, 2, 4, 5 or 10 times a power of ten."""
    if most <= 4:
        return 4
    power = 1
    while True:
        for step in (1, 2, 4, 5, 8):
            if step * power >= most:
                return step * power
        power *= 10


def _steps(counts: Sequence[int], top: int) -> list[str]:
    """Give the corners of a stepped curve: each stretch is as wide as it is long."""
    corners = []
    for rank, count in enumerate(counts):
        height = HEIGHT - HEIGHT * count / top
        corners += [f"{rank} {height:.2f}", f"{rank + 1} {height:.2f}"]
    return corners


def _line(counts: Sequence[int], top: int) -> str:
    return "M" + " L".join(_steps(counts, top)) if counts else ""


def _area(upper: Sequence[int], lower: Sequence[int], top: int) -> str:
    if not upper:
        return ""
    return "M" + " L".join([*_steps(upper, top), *reversed(_steps(lower, top))]) + " Z"
