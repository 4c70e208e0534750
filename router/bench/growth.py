"""`passerelle bench --journal-rows`: what every page reads of a journal of very many messages, and of one yet larger.

A journal on PostgreSQL is filled by the database itself (`router.bench.rows`); every page and search is opened, each of
its statements explained. Then the planner is told that there are many times as many rows, and all is opened again: a
plan that would change shows now. What would be read then is not measured; how deep the indexes would be is worked out.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from sqlalchemy import inspect, text

from router.bench.addresses import searches
from router.bench.rows import REAL_PEOPLE, TABLES, fill_rows, imagine
from router.bench.statements import Asked, walk
from router.journal.sealing import make_key_file
from router.journal.store import JournalPlace, Store, connect, open_store
from router.trial.process import TrialFault

WANTED_ROWS = 25_000
"""Rows that one statement of a page may look at, however long the journal is: caps and slices of walks are below."""

PEOPLE_SHARE = 20


@dataclass(frozen=True, slots=True)
class PageCost:
    """What one page asks: statements, their time together, blocks of 8 kB and rows that they looked at."""

    name: str
    statements: int
    milliseconds: float
    blocks: int
    rows: int


@dataclass(frozen=True, slots=True)
class IndexSize:
    """One index: its size, and how many pages lie one above the other, now and in the imagined journal."""

    name: str
    megabytes: float
    depth: int
    depth_imagined: int


@dataclass(frozen=True, slots=True)
class GrowthFigures:
    """The whole result.

    `unbounded` are statements that read a growing table from end to end, or more rows than `WANTED_ROWS`; `imagined_*`
    is the same with the planner's belief in `imagined` messages.
    """

    messages: int
    imagined: int
    fill_seconds: float
    megabytes: float
    bytes_per_message: float
    pages: tuple[PageCost, ...]
    indexes: tuple[IndexSize, ...]
    unbounded: tuple[str, ...]
    imagined_unbounded: tuple[str, ...]

    @property
    def bounded(self) -> bool:
        """Whether no page reads more as the journal grows."""
        return not self.unbounded and not self.imagined_unbounded

    def as_json(self) -> dict[str, object]:
        """Give it for JSON."""
        return {**asdict(self), "bounded": self.bounded}


def measure_growth(
    messages: int, imagined: int, url: str, say: Callable[[str], None] = lambda _: None
) -> GrowthFigures:
    """Fill an empty PostgreSQL database and open every page on it. Raises TrialFault when that cannot be done."""
    if not url:
        raise TrialFault("give an empty PostgreSQL database with --url: its planner is what is looked at")
    with tempfile.TemporaryDirectory(prefix="passerelle-growth-") as folder:
        place = JournalPlace.at(Path(folder), url)
        make_key_file(place.key_file)
        _must_be_empty(place)
        store = open_store(place)
        try:
            began = time.perf_counter()
            fill_rows(store, messages, int(time.time() * 1_000_000), say)
            seconds = time.perf_counter() - began
            say("opening every page")
            asked = look(store, messages)
            indexes = tuple(_indexes(store, imagined / messages))
            say(f"opening every page with the plans of {imagined:,} messages")
            imagine(store, imagined / messages)
            later = look(store, messages)
            size = _size(store)
        finally:
            store.close()
    return GrowthFigures(
        messages,
        imagined,
        round(seconds, 1),
        round(size / 1e6, 1),
        round(size / messages, 1),
        tuple(pages_of(asked)),
        indexes,
        tuple(unbounded(asked)),
        tuple(unbounded(later)),
    )


def _must_be_empty(place: JournalPlace) -> None:
    engine = connect(place)
    try:
        if inspect(engine).get_table_names():
            raise TrialFault("the database holds tables: give an empty one")
    finally:
        engine.dispose()


def look(store: Store, messages: int) -> list[Asked]:
    """Open every page of a journal that `fill_rows` filled."""
    known = min(max(50, messages // PEOPLE_SHARE), REAL_PEOPLE)
    return asyncio.run(walk(store, messages, datetime.now(UTC), searches(messages, known)))


def unbounded(asked: Sequence[Asked]) -> Iterator[str]:
    """Give the statements whose cost grows with the journal: `page: why: statement`, each once."""
    seen = set()
    for one in asked:
        if one.reading is None or one.shape in seen:
            continue
        whole = sorted(set(one.reading.scanned) & set(TABLES))
        why = f"reads all of {', '.join(whole)}" if whole else ""
        if not why and one.reading.rows > WANTED_ROWS:
            why = f"looks at {one.reading.rows:,} rows"
        if why:
            seen.add(one.shape)
            yield f"{one.page}: {why}: {one.shape}"


def pages_of(asked: Sequence[Asked]) -> Iterator[PageCost]:
    """Add up what each page asked."""
    by_page: dict[str, list[Asked]] = {}
    for one in asked:
        by_page.setdefault(one.page, []).append(one)
    for name, those in by_page.items():
        readings = [one.reading for one in those if one.reading is not None]
        yield PageCost(
            name,
            len(those),
            round(sum(one.seconds for one in those) * 1000, 1),
            sum(reading.blocks for reading in readings),
            sum(reading.rows for reading in readings),
        )


def depth(pages: int, per_page: float) -> int:
    """Say how many pages a search goes through in a B-tree with so many leaves, each with so many entries."""
    return 1 if pages <= 1 else 1 + math.ceil(math.log(pages) / math.log(max(2.0, per_page)))


def _indexes(store: Store, times: float) -> Iterator[IndexSize]:
    wanted = text(
        "SELECT index.relname, index.relpages, index.reltuples, pg_relation_size(index.oid) AS size FROM pg_class index"
        " JOIN pg_index ON indexrelid = index.oid WHERE indrelid = ANY(CAST(:tables AS regclass[])) ORDER BY size DESC"
    )
    with store.reading() as connection:
        for row in connection.execute(wanted, {"tables": list(TABLES)}):
            per_page = row.reltuples / max(1, row.relpages)
            deep = depth(row.relpages, per_page), depth(int(row.relpages * times), per_page)
            yield IndexSize(row.relname, round(row.size / 1e6, 1), *deep)


def _size(store: Store) -> int:
    with store.reading() as connection:
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


def print_growth(figures: GrowthFigures, console: Console) -> None:
    """Print the pages that read most, the indexes, and what grows."""
    title = (
        f"{figures.messages:,} messages, {figures.megabytes:,.0f} MB ({figures.bytes_per_message:,.0f} bytes each, "
        f"narrow), filled in {figures.fill_seconds:,.0f} s"
    )
    table = Table("page", title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in ("statements", "ms", "blocks", "rows"):
        table.add_column(column, justify="right")
    for page in sorted(figures.pages, key=lambda one: -one.milliseconds)[:20]:
        table.add_row(page.name, str(page.statements), f"{page.milliseconds:.0f}", f"{page.blocks:,}", f"{page.rows:,}")
    console.print(table)
    table = Table("index", box=SIMPLE_HEAD)
    for column in ("MB", "depth", f"at {figures.imagined:,}"):
        table.add_column(column, justify="right")
    for index in figures.indexes[:12]:
        table.add_row(index.name, f"{index.megabytes:,.0f}", str(index.depth), str(index.depth_imagined))
    console.print(table)
    for told, those in (("now", figures.unbounded), (f"at {figures.imagined:,}", figures.imagined_unbounded)):
        for one in those:
            console.print(f"GROWS ({told}): {one}", markup=False)
    if figures.bounded:
        console.print(f"no page reads more as the journal grows, nor by the plans of {figures.imagined:,} messages")
