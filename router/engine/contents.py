"""Reading the bytes of Deliveries from the journal: what is asked for within one turn of the loop is read at once."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, select

from router.engine.lanes import Entry
from router.journal import tables
from router.journal.operations import PARCEL_DETAIL_PLACE, PARCEL_PLACE
from router.journal.store import Store

_READ = select(
    tables.delivery_content.c.delivery_id,
    tables.delivery_content.c.sealed_content,
    tables.delivery_content.c.sealed_detail,
).where(tables.delivery_content.c.delivery_id.in_(bindparam("ids", expanding=True)))


_READ_OPEN = _READ.join(tables.delivery, tables.delivery.c.id == tables.delivery_content.c.delivery_id).where(
    tables.delivery.c.state.in_([state.value for state in tables.OPEN_DELIVERIES])
)


class Loaded(NamedTuple):
    """The bytes of a Delivery and the files that travel beside."""

    content: bytes
    attachments: Mapping[str, bytes]


class Contents:
    """Loads contents in groups. `open_only`: of Deliveries that wait no longer none is given.

    Where several nodes write, one may stop what another has in its memory: it is asked for with the bytes.
    """

    def __init__(self, store: Store, *, open_only: bool = False) -> None:
        self._store = store
        self._open_only = open_only
        self._sealer = store.sealer.clone()
        self._asked: list[tuple[Entry, asyncio.Future[Loaded | None]]] = []

    async def of(self, entry: Entry) -> Loaded | None:
        """Give the content of one Delivery; None when only open ones are wanted, and it is none any more."""
        if entry.sealed is not None:
            return Loaded(self._sealer.open(entry.sealed, PARCEL_PLACE), {})
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Loaded | None] = loop.create_future()
        self._asked.append((entry, future))
        if len(self._asked) == 1:
            loop.call_soon(self._start)
        return await future

    def _start(self) -> None:
        asked, self._asked = self._asked, []
        reading = asyncio.get_running_loop().run_in_executor(None, self._read, [entry for entry, _ in asked])

        def finish(done: asyncio.Future[list[Loaded | None]]) -> None:
            problem = asyncio.CancelledError() if done.cancelled() else done.exception()
            for rank, (_, future) in enumerate(asked):
                if future.done():
                    continue
                if problem is not None:
                    future.set_exception(problem)
                else:
                    future.set_result(done.result()[rank])

        reading.add_done_callback(finish)

    def _read(self, entries: list[Entry]) -> list[Loaded | None]:
        sealer = self._store.sealer.clone()
        with self._store.reading() as connection:
            reading = _READ_OPEN if self._open_only else _READ
            rows = {row.delivery_id: row for row in connection.execute(reading, {"ids": [one.id for one in entries]})}
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
            attachments: dict[str, bytes] = {}
            if row.sealed_detail is not None:
                detail = orjson.loads(sealer.open(row.sealed_detail, PARCEL_DETAIL_PLACE))
                attachments = {name: base64.b64decode(data) for name, data in detail.get("attachments", {}).items()}
            loaded.append(Loaded(content, attachments))
        return loaded
