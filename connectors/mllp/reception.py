"""A large message on its way from one connection to its spool file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from connectors.contracts import Inbox, NotAccepted
from connectors.spool import SpoolFile


class LargeReception:
    """Writes parts to disk in their order, beside the event loop; `backlog` bytes wait for it.

    The first failure (disk full) is kept until `finish`; the parts that follow are dropped, for the connection must
    still be read to the end of the frame.
    """

    def __init__(self, inbox: Inbox, progressed: Callable[[], None]) -> None:
        self._inbox = inbox
        self._progressed = progressed
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._spool: SpoolFile | None = None
        self._failure: Exception | None = None
        self.backlog = 0
        self._writer = asyncio.get_running_loop().create_task(self._write())

    def add(self, data: bytes) -> None:
        """Give the next part."""
        self.backlog += len(data)
        self._parts.put_nowait(data)

    async def finish(self) -> Path:
        """Wait for all parts to be on stable storage; raises NotAccepted or OSError when they could not be."""
        self._parts.put_nowait(None)
        await self._writer
        if self._failure is None and self._spool is not None:
            try:
                return await self._spool.commit()
            except OSError as failure:
                self._failure = failure
        await self._discard()
        raise self._failure or NotAccepted("no part of the message was written")

    async def abandon(self) -> None:
        """Forget the message: its end never came."""
        self._parts.put_nowait(None)
        await self._writer
        await self._discard()

    async def _write(self) -> None:
        while (data := await self._parts.get()) is not None:
            if self._failure is None:
                try:
                    if self._spool is None:
                        self._spool = SpoolFile(self._inbox.spool())
                    await self._spool.write(data)
                except (OSError, NotAccepted) as failure:
                    self._failure = failure
                    await self._discard()
            self.backlog -= len(data)
            self._progressed()

    async def _discard(self) -> None:
        if self._spool is not None:
            await self._spool.discard()
