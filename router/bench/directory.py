"""What the directory costs: indexing an extraction of so many lines, and looking up in it. No server runs.

The extraction is fictitious and drawn from a seed. Memory is that of a process which does nothing else.
"""

from __future__ import annotations

import multiprocessing
import random
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from connectors.annuaire.building import build
from connectors.annuaire.directory import Directory, Query
from connectors.sandbox.extracts import write_extract
from connectors.sandbox.people import COMMUNES, NAMES

LOOK_UPS = 300


@dataclass(frozen=True, slots=True)
class LookUp:
    """Milliseconds of one kind of look-up."""

    name: str
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class DirectoryFigures:
    """What was measured: seconds of the first import and of one that compares, greatest memory in MB."""

    lines: int
    megabytes: int
    first_seconds: float
    again_seconds: float
    peak_memory: int
    index_megabytes: int
    look_ups: tuple[LookUp, ...]

    def as_json(self) -> dict[str, object]:
        """Give it for JSON."""
        return asdict(self)


def measure_directory(lines: int, *, say: Callable[[str], None]) -> DirectoryFigures:
    """Write an extraction of so many lines, index it twice, look up in it."""
    with tempfile.TemporaryDirectory(prefix="passerelle-bench-") as made:
        folder = Path(made)
        extract = folder / "extraction.txt"
        say(f"writing {lines} lines")
        write_extract(extract, lines)
        say("indexing, then indexing again")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            first, again, peak = pool.apply(_imported, (folder / "index", extract))
        say("looking up")
        directory = Directory(folder / "index")
        figures = DirectoryFigures(
            lines,
            extract.stat().st_size >> 20,
            first,
            again,
            peak,
            sum(path.stat().st_size for path in (folder / "index").iterdir()) >> 20,
            tuple(_look_ups(directory, lines)),
        )
        directory.close()
        return figures


def _imported(index: Path, extract: Path) -> tuple[float, float, int]:
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        build(index, [extract], now=lambda: datetime.now(UTC))
        seconds.append(round(time.perf_counter() - began, 2))
    return seconds[0], seconds[1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _look_ups(directory: Directory, lines: int) -> list[LookUp]:
    draw = random.Random(1)
    kinds: dict[str, Callable[[], object]] = {
        "RPPS": lambda: directory.person(f"999{draw.randrange(lines):08d}"),
        "name": lambda: directory.search(Query(draw.choice(NAMES)[:4])),
        "name and commune": lambda: directory.search(Query(draw.choice(NAMES), draw.choice(COMMUNES)[2])),
        "postal code": lambda: directory.search(Query("", draw.choice(COMMUNES)[1])),
    }
    found = []
    for name, look in kinds.items():
        times = []
        for _ in range(LOOK_UPS):
            began = time.perf_counter()
            look()
            times.append((time.perf_counter() - began) * 1000)
        times.sort()
        found.append(LookUp(name, round(times[LOOK_UPS // 2], 2), round(times[int(LOOK_UPS * 0.99)], 2)))
    return found


def print_directory(figures: DirectoryFigures, console: Console) -> None:
    """Print them."""
    console.print(
        f"{figures.lines} lines ({figures.megabytes} MB) indexed in {figures.first_seconds} s, "
        f"again with comparison in {figures.again_seconds} s; at most {figures.peak_memory} MB of memory, "
        f"index {figures.index_megabytes} MB"
    )
    table = Table("look-up", "p50 ms", "p99 ms", box=SIMPLE_HEAD, pad_edge=False)
    for one in figures.look_ups:
        table.add_row(one.name, f"{one.p50:.2f}", f"{one.p99:.2f}")
    console.print(table)
