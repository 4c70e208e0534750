"""The floor, a process of its own: `python -m router.bench.floor FILE`.

A plain asyncio MLLP server that appends each message to one SQLite table (WAL, synchronous=FULL) through one writer
thread that groups commits, and acknowledges after the commit. It parses nothing, routes nothing, encrypts nothing: what
it reaches on a machine is what durable acknowledgement alone costs there, and the yardstick for a router.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import threading
from collections import deque
from typing import NamedTuple

_END = b"\x1c\r"
_SCHEMA = "CREATE TABLE message (id INTEGER PRIMARY KEY, control_id TEXT NOT NULL, content BLOB NOT NULL)"
_INSERT = "INSERT INTO message (control_id, content) VALUES (?, ?)"
_ACK = b"\x0bMSH|^~\\&|FLOOR|FLOOR|||20260305093000||ACK^R01^ACK|%b|T|2.5\rMSA|AA|%b\r\x1c\r"


class _Waiting(NamedTuple):
    committed: asyncio.Future[None]
    control_id: str
    content: bytes


class GroupedAppend:
    """One writer thread: all that waits when a transaction begins shares its sync."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Waiting] = deque()
        self._wake = threading.Condition()
        threading.Thread(target=self._work, daemon=True).start()

    def submit(self, control_id: str, content: bytes) -> asyncio.Future[None]:
        """Queue one message; the future ends after its commit."""
        committed = self._loop.create_future()
        with self._wake:
            self._queue.append(_Waiting(committed, control_id, content))
            self._wake.notify()
        return committed

    def _work(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            database.execute(f"PRAGMA {pragma}").close()
        database.execute(_SCHEMA)
        while True:
            with self._wake:
                while not self._queue:
                    self._wake.wait()
                group = [self._queue.popleft() for _ in range(len(self._queue))]
            database.execute("BEGIN IMMEDIATE")
            database.executemany(_INSERT, [(waiting.control_id, waiting.content) for waiting in group])
            database.execute("COMMIT")
            self._loop.call_soon_threadsafe(_release, group)


def _release(group: list[_Waiting]) -> None:
    for waiting in group:
        waiting.committed.set_result(None)


async def _serve(path: str) -> None:
    append = GroupedAppend(path)

    async def acknowledge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                content = (await reader.readuntil(_END))[1:-2]
                control_id = content.split(b"|", 10)[9]
                await append.submit(control_id.decode("latin-1"), content)
                writer.write(_ACK % (control_id, control_id))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(acknowledge, "127.0.0.1", 0)
    sys.stdout.write(json.dumps({"port": server.sockets[0].getsockname()[1]}) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
