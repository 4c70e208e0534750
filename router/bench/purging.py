"""How long an acknowledgement's commit takes while a journal is purged, beside how long it takes otherwise.

One sender appends a message each `EVERY` seconds, as an MLLP source does, and waits for its commit: what is measured is
the time from the submission to the committed receipt, with nothing between that and the journal.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select, text

from router.engine.clock import micros
from router.engine.housekeeping import Housekeeping
from router.journal import tables
from router.journal.operations import AppendMessage
from router.journal.preload import append_settled
from router.journal.sealing import make_key_file
from router.journal.store import JournalPlace, Store, open_store
from router.journal.writer import Writer

EVERY = 0.01
QUIET_SECONDS = 10.0
GROUP = 5_000


@dataclass(frozen=True, slots=True)
class PurgeFigures:
    """Milliseconds of commits without and during a purge, and how fast the purge was."""

    messages: int
    quiet: tuple[float, float, float]
    purging: tuple[float, float, float]
    seconds: float
    erased: int
    size: int

    @property
    def rate(self) -> float:
        """Messages erased a second."""
        return self.erased / self.seconds if self.seconds else 0.0


def measure_purge(folder: Path, messages: int, url: str = "", *, index: bool = True) -> PurgeFigures:
    """Fill an empty journal, measure, purge it wholly, measure meanwhile.

    `index` False takes the index away by which an erased Item finds its tokens, as journals were before.
    """
    place = JournalPlace.at(folder, url)
    folder.mkdir(parents=True, exist_ok=True)
    if not place.key_file.exists():
        make_key_file(place.key_file)
    store = open_store(place)
    try:
        if not index:
            with store.writing() as connection:
                connection.execute(text("DROP INDEX ix_item_token_item"))
        done = 0
        while done < messages:
            append_settled(store, min(GROUP, messages - done), tokens=8)
            done += GROUP
        return asyncio.run(_measure(store, messages))
    finally:
        store.close()


async def _measure(store: Store, messages: int) -> PurgeFigures:
    writer = Writer(store)
    writer.start()
    clock = datetime.now(UTC)
    keeping = Housekeeping(store, writer, 1, lambda: clock + timedelta(0))
    quiet = await _append(store, writer, asyncio.create_task(asyncio.sleep(QUIET_SECONDS)))
    started = time.perf_counter()
    purging = asyncio.create_task(keeping.run())
    during = await _append(store, writer, purging)
    seconds = time.perf_counter() - started
    await writer.stop()
    with store.reading() as connection:
        left = connection.execute(select(func.count()).where(tables.message.c.control_id.like("PRELOAD%"))).scalar_one()
    return PurgeFigures(messages, _figures(quiet), _figures(during), seconds, messages - left, keeping.group_size)


async def _append(store: Store, writer: Writer, while_: asyncio.Task[None]) -> list[float]:
    taken: list[float] = []
    sealer, content = store.sealer.clone(), b"MSH|" + b"x" * 1400
    while not while_.done():
        at = micros(datetime.now(UTC))
        identity = sealer.digest(b"message", str(time.perf_counter_ns()).encode())
        started = time.perf_counter()
        await writer.submit(
            AppendMessage(
                source="bench",
                received_at=at,
                control_id=f"BENCH{started}",
                message_type="ORU^R01",
                peer="127.0.0.1",
                identity=identity,
                content=content,
                size=len(content),
                blob=None,
            )
        )
        taken.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(EVERY)
    await while_
    return taken


def _figures(taken: list[float]) -> tuple[float, float, float]:
    ordered = sorted(taken) or [0.0]
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1]
