"""Live pages: one look a second at whether anything changed, shared by all; what changed is asked for by the pages.

The journal's own version is read (SQLite's `data_version`, PostgreSQL's next transaction number), so that changes by
other processes are seen as well, and an idle router costs nothing but that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection

from router.journal.store import JournalFault, translated
from router.web.context import WebContext

SECONDS = 1.0
"""Between two looks."""

ECHOES = frozenset({3, 8})
"""Quiet looks after a change at which pages are refreshed once more: figures that cost much come a little late."""

REFRESH = 20
"""Looks after which pages are refreshed although nothing changed: «12 s ago» does not stay true."""

STREAM_SECONDS = 600
"""A stream ends after this long; the browser comes back, and is asked again who it is."""

MOST_STREAMS = 200


class Live:
    """Tells streams that something changed."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._streams: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="web-live")
        self._connection: Connection | None = None
        self.looks = 0

    @property
    def is_full(self) -> bool:
        """Whether no further stream is taken."""
        return len(self._streams) >= MOST_STREAMS

    async def stream(self) -> AsyncIterator[bytes]:
        """Give server-sent events: `changed` when a page should look again."""
        changed = asyncio.Event()
        self._streams.add(changed)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(), name="web live")
        loop = asyncio.get_running_loop()
        until = loop.time() + STREAM_SECONDS
        try:
            yield b"retry: 2000\n: connected\n\n"
            while loop.time() < until and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SECONDS):
                        await changed.wait()
                if changed.is_set():
                    changed.clear()
                    yield b"event: changed\ndata: 1\n\n"
        finally:
            self._streams.discard(changed)

    @property
    def _stopping(self) -> bool:
        return self._context.stopping is not None and self._context.stopping.is_set()

    async def _watch(self) -> None:
        """Look for changes as long as somebody listens."""
        loop = asyncio.get_running_loop()
        last: object = None
        quiet = since_change = 0
        try:
            while self._streams and not self._stopping:
                try:
                    version: object = await loop.run_in_executor(self._thread, self._version)
                except JournalFault:
                    version = None  # the pages that are asked for will say what is wrong
                self.looks += 1
                quiet, since_change = quiet + 1, since_change + 1
                if version != last:
                    since_change = 0
                if version != last or since_change in ECHOES or quiet >= REFRESH:
                    if last is not None:
                        for stream in self._streams:
                            stream.set()
                    last, quiet = version, 0
                await asyncio.sleep(SECONDS)
        finally:
            with contextlib.suppress(RuntimeError):  # `close` was called: it disconnects itself
                self._thread.submit(self._disconnect)

    def _version(self) -> object:
        flows = tuple((flow.name, flow.state, flow.detail, flow.paused) for flow in self._context.flows())
        with translated():
            if self._connection is None:
                connection = self._context.store.engine.connect()
                self._connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            statement = (
                "PRAGMA data_version"
                if self._context.store.place.is_sqlite
                else "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
            )
            try:
                return self._connection.exec_driver_sql(statement).scalar(), flows
            except BaseException:
                self._connection.invalidate()
                self._disconnect()
                raise

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Let the thread and its connection go."""
        self._thread.submit(self._disconnect)
        self._thread.shutdown(wait=False)
