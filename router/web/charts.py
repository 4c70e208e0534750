"""Small charts as numbers ready to draw: the templates only write them into SVG, without a line of script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from router.journal.queries_rates import Bin
from router.watch.profile import Usually
from router.web.formatting import Formats
from router.web.history import Period

HEIGHT = 100
"""Units from the foot to the head of a chart; its width is one unit a stretch."""

DAY_MINUTES = 24 * 60
MOST_LABELS = 8


@dataclass(frozen=True, slots=True)
class Column:
    """One stretch, with its sentence for the hover and its row for a screen reader. `usual` is empty when not known."""

    rank: int
    period: str
    received: str
    delivered: str
    failed: str
    usual: str

    @property
    def is_quiet(self) -> bool:
        """Whether nothing happened, and nothing usually does: not worth a row."""
        return {self.received, self.delivered, self.failed} == {"0"} and self.usual in {"", "0"}


@dataclass(frozen=True, slots=True)
class Chart:
    """Delivered and failed stacked as areas, received as a line, its usual range as a band; one y axis from 0 to `top`.

    `delivered`, `failed`, `received` and `usual` are SVG path data in a box of `width` × `HEIGHT`. `marks` are the
    labels of the x axis with the rank of the stretch that they begin.
    """

    period: Period
    width: int
    top: int
    delivered: str
    failed: str
    received: str
    usual: str
    columns: tuple[Column, ...]
    marks: tuple[tuple[int, str], ...]
    total_received: int
    total_delivered: int
    total_failed: int
    total_usual: str

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened in the whole time."""
        return not (self.total_received or self.total_delivered or self.total_failed)


def chart_of(period: Period, bins: Sequence[Bin], usual: Sequence[Usually | None], formats: Formats) -> Chart:
    """Lay out a curve; `usual` says of each stretch what it usually brings."""
    known = [one for one in usual if one is not None]
    highs = [one.high for one in known]
    top = nice(max([*(max(one.received, one.delivered + one.failed) for one in bins), *(round(h) for h in highs), 0]))
    delivered = [one.delivered for one in bins]
    stacked = [one.delivered + one.failed for one in bins]
    columns = [
        Column(
            rank,
            _period(period, one, formats),
            formats.number(one.received),
            formats.number(one.delivered),
            formats.number(one.failed),
            _range(usually, formats),
        )
        for rank, (one, usually) in enumerate(zip(bins, usual, strict=True))
    ]
    band = known and len(known) == len(bins)
    return Chart(
        period,
        max(1, len(bins)),
        top,
        _area(delivered, [0] * len(bins), top),
        _area(stacked, delivered, top) if any(one.failed for one in bins) else "",
        _line([one.received for one in bins], top),
        _area(highs, [one.low for one in known], top) if band else "",
        tuple(columns),
        tuple(_marks(period, bins, formats)),
        sum(one.received for one in bins),
        sum(delivered),
        sum(one.failed for one in bins),
        formats.number(round(sum(one.mean for one in known))) if band else "",
    )


def _period(period: Period, one: Bin, formats: Formats) -> str:
    start, end = formats.local(one.start), formats.local(one.start + one.minutes * 60_000_000)
    day = "" if period is Period.DAY else f"{formats.weekday(start)} {formats.day(start)} "
    return f"{day}{start:%H:%M} – {end:%H:%M}"


def _range(usually: Usually | None, formats: Formats) -> str:
    """Write a range: whole numbers, one of them when both are the same."""
    if usually is None:
        return ""
    low, high = formats.number(round(usually.low)), formats.number(round(usually.high))
    return high if low == high else f"{low} – {high}"


def _marks(period: Period, bins: Sequence[Bin], formats: Formats) -> list[tuple[int, str]]:
    """Label the x axis: every three hours of a day, every day of a week, some days of a month."""
    marks, before = [], None
    for rank, one in enumerate(bins):
        start = formats.local(one.start)
        if period is Period.DAY:
            if start.minute == 0 and start.hour % 3 == 0:
                marks.append((rank, f"{start:%H:%M}"))
        elif before is not None and start.date() != before.date():
            named = period is Period.WEEK
            marks.append((rank, f"{formats.weekday(start)} {start.day}" if named else formats.day(start)))
        before = start
    step = -(-len(marks) // MOST_LABELS) if period is Period.MONTH else 1
    return marks[:: max(1, step)]


def sparkline(counts: Sequence[int]) -> str:
    """Give the path of a small curve in a box as wide as it has counts and 20 high; empty when all are nought."""
    top = max(counts, default=0)
    if top == 0:
        return ""
    points = [f"{rank} {20 - 18 * count / top:.1f}" for rank, count in enumerate(counts)]
    return "M" + " L".join(points)


def nice(most: int) -> int:
    """Give the least round number that is not under `most`: 1, 2, 4, 5, 6, 8 or 10 times a power of ten."""
    if most <= 4:
        return 4
    power = 1
    while True:
        for step in (1, 2, 4, 5, 6, 8):
            if step * power >= most:
                return step * power
        power *= 10


def _steps(counts: Sequence[float], top: int) -> list[str]:
    """Give the corners of a stepped curve: each stretch is as wide as it is long."""
    corners = []
    for rank, count in enumerate(counts):
        height = HEIGHT - HEIGHT * count / top
        corners += [f"{rank} {height:.2f}", f"{rank + 1} {height:.2f}"]
    return corners


def _line(counts: Sequence[int], top: int) -> str:
    return "M" + " L".join(_steps(counts, top)) if counts else ""


def _area(upper: Sequence[float], lower: Sequence[float], top: int) -> str:
    if not upper:
        return ""
    return "M" + " L".join([*_steps(upper, top), *reversed(_steps(lower, top))]) + " Z"
