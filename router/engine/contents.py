"""The bytes of Deliveries: kept from their commit, or read from the journal, several at once.

What is asked for within one turn of the loop is read at once, together with what comes next: a question costs as much
for one as for many.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, select

from router.engine.lanes import Entry
from router.journal import tables
from router.journal.operations import PARCEL_DETAIL_PLACE, PARCEL_PLACE
from router.journal.sealing import Sealer
from router.journal.store import Store

_READ = select(
    tables.delivery_content.c.delivery_id,
    tables.delivery_content.c.sealed_content,
    tables.delivery_content.c.sealed_detail,
).where(tables.delivery_content.c.delivery_id.in_(bindparam("ids", expanding=True)))


_READ_OPEN = _READ.join(tables.delivery, tables.delivery.c.id == tables.delivery_content.c.delivery_id).where(
    tables.delivery.c.state.in_([state.value for state in tables.OPEN_DELIVERIES])
)


KEPT_BYTES = 8 * 1024 * 1024
"""Sealed bytes kept in memory, so that a first sending need not read them back."""

KEPT_SECONDS = 30.0
"""What was kept for longer makes room, when there is none: its turn does not come soon."""

AHEAD = 64
"""Deliveries read with one question at most, beyond those that were asked for."""

FRESH_SECONDS = 0.2
"""Where several nodes write, how long it is believed that a Delivery waits, as it did when it was read."""


class Loaded(NamedTuple):
    """The bytes of a Delivery and the files that travel beside."""

    content: bytes
    attachments: Mapping[str, bytes]


class _Kept(NamedTuple):
    sealed: bytes
    read_at: float


class _Read(NamedTuple):
    """What one question brought: what was asked for, None for what waits no longer; sealed bytes of what comes next."""

    asked: Sequence[Loaded | None]
    ahead: Mapping[int, bytes]


class Contents:
    """Keeps and loads contents. `open_only`: of Deliveries that wait no longer none is given.

    Where several nodes write, one may stop what another has in its memory: it is asked for with the bytes, again once
    they were read more than `FRESH_SECONDS` ago, unless no other node is there. `ahead` gives what will be asked for
    next, of so many at most.
    """

    def __init__(
        self,
        store: Store,
        *,
        open_only: bool = False,
        ahead: Callable[[int], Iterable[Entry]] = lambda _: (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._open_only = open_only
        self._ahead = ahead
        self._clock = clock
        self._sealer = store.sealer.clone()
        self._asked: list[tuple[Entry, asyncio.Future[Loaded | None]]] = []
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._bytes = 0

    def keep(self, number: int, sealed: bytes, read_at: float | None = None) -> None:
        """Keep the sealed bytes of a Delivery that was committed here, or read, just now; unless there is no room."""
        now = self._clock()
        while self._kept and self._bytes + len(sealed) > KEPT_BYTES:
            oldest = next(iter(self._kept))
            if self._kept[oldest].read_at > now - KEPT_SECONDS:
                return
            self.drop(oldest)
        self.drop(number)
        self._kept[number] = _Kept(sealed, now if read_at is None else read_at)
        self._bytes += len(sealed)

    def knows(self, number: int) -> bool:
        """Whether its bytes are kept; it is on the disk then."""
        return number in self._kept

    def drop(self, number: int) -> None:
        """Keep the bytes of a Delivery no longer."""
        kept = self._kept.pop(number, None)
        if kept is not None:
            self._bytes -= len(kept.sealed)

    def forget(self) -> None:
        """Keep nothing any more."""
        self._kept.clear()
        self._bytes = 0

    def _at_hand(self, number: int) -> bytes | None:
        kept = self._kept.get(number)
        if kept is None:
            return None
        if self._open_only and self._store.others_write and self._clock() - kept.read_at > FRESH_SECONDS:
            return None
        return kept.sealed

    async def of(self, entry: Entry) -> Loaded | None:
        """Give the content of one Delivery; None when only open ones are wanted, and it is none any more."""
        sealed = self._at_hand(entry.id)
        if sealed is not None:
            return Loaded(self._sealer.open(sealed, PARCEL_PLACE), {})
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Loaded | None] = loop.create_future()
        self._asked.append((entry, future))
        if len(self._asked) == 1:
            loop.call_soon(self._start)
        return await future

    def _start(self) -> None:
        asked, self._asked = self._asked, []
        ahead = [entry.id for entry in self._ahead(AHEAD) if self._at_hand(entry.id) is None]
        read_at = self._clock()
        reading = asyncio.get_running_loop().run_in_executor(None, self._read, [entry for entry, _ in asked], ahead)

        def finish(done: asyncio.Future[_Read]) -> None:
            problem = asyncio.CancelledError() if done.cancelled() else done.exception()
            for rank, (_, future) in enumerate(asked):
                if future.done():
                    continue
                if problem is not None:
                    future.set_exception(problem)
                else:
                    future.set_result(done.result().asked[rank])
            if problem is None:
                for number, sealed in done.result().ahead.items():
                    self.keep(number, sealed, read_at)

        reading.add_done_callback(finish)

    def _read(self, entries: list[Entry], ahead: list[int]) -> _Read:
        sealer = self._store.sealer.clone()
        with self._store.reading() as connection:
            reading = _READ_OPEN if self._open_only else _READ
            ids = [*(one.id for one in entries), *ahead]
            rows = {row.delivery_id: row for row in connection.execute(reading, {"ids": ids})}
        loaded: list[Loaded | None] = []
        for entry in entries:
            if self._open_only and entry.id not in rows:
                loaded.append(None)
                continue
            row: Any = rows[entry.id]
            if entry.blob is not None:
                content = self._store.blobs.get(entry.blob)
            else:
                content = sealer.open(row.sealed_content, PARCEL_PLACE)
            loaded.append(Loaded(content, _attachments(row, sealer)))
        # One that has files beside it, or is a file itself, is read when its turn comes.
        found = [rows[number] for number in ahead if number in rows and rows[number].sealed_content is not None]
        return _Read(loaded, {row.delivery_id: row.sealed_content for row in found if not _attachments(row, sealer)})


def _attachments(row: Any, sealer: Sealer) -> dict[str, bytes]:
    if row.sealed_detail is None:
        return {}
    detail = orjson.loads(sealer.open(row.sealed_detail, PARCEL_DETAIL_PLACE))
    return {name: base64.b64decode(data) for name, data in detail.get("attachments", {}).items()}
