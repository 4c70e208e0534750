"""The observer: takes the numbers of what was committed, reads the rows a moment later, and tells those who listen.

The way of a message only ever appends a number to a list; where nobody listens there is no observer at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import select

from router.config.model import ObserveSection
from router.journal import tables
from router.journal.attempts import RecordAttempt
from router.journal.prepared import PreparedMessage
from router.journal.store import JournalFault, Store
from router.observe.happened import Happening, attempts_made, messages_read
from router.observe.logs import MessageLog
from router.observe.names import TraceNames

SECONDS = 0.5
"""How often what happened is told."""

MOST = 100_000
"""Numbers that wait at most; what is beyond is counted and not told."""


class Listener(Protocol):
    """One who is told. `tell` and `close` run in a thread, one call at a time."""

    def tell(self, happened: Sequence[Happening]) -> None:
        """Take what happened. Raises OSError when it could not be passed on."""

    def close(self) -> None:
        """Let go of what is held."""


class Observer:
    """Used from the event loop; `trouble` is told, in a sentence, when something could not be told."""

    def __init__(self, store: Store, listeners: Sequence[Listener], trouble: Callable[[str], None]) -> None:
        self._store = store
        self._listeners = listeners
        self._trouble = trouble
        self._read: list[int] = []
        self._tried: list[tuple[int, int]] = []
        self.lost = 0

    def read(self, messages: Sequence[PreparedMessage]) -> None:
        """Note messages that were read and committed."""
        if len(self._read) > MOST:
            self.lost += len(messages)
        else:
            self._read.extend(one.message_id for one in messages)

    def tried(self, attempts: Sequence[RecordAttempt]) -> None:
        """Note attempts that were recorded."""
        if len(self._tried) > MOST:
            self.lost += len(attempts)
        else:
            self._tried.extend((one.delivery_id, one.number) for one in attempts)

    async def run(self) -> None:
        """Tell for ever."""
        while True:
            await asyncio.sleep(SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Tell what has gathered."""
        read, self._read = self._read, []
        tried, self._tried = self._tried, []
        if self.lost:
            self._trouble(f"{self.lost} event(s) came faster than they could be told to the log or the collector")
            self.lost = 0
        if read or tried:
            for problem in await asyncio.to_thread(self._tell, read, tried):
                self._trouble(problem)

    async def close(self) -> None:
        """Tell what is left, and end."""
        await self.flush()
        for listener in self._listeners:
            await asyncio.to_thread(listener.close)

    def _tell(self, read: Sequence[int], tried: Sequence[tuple[int, int]]) -> list[str]:
        """Tell the listeners, in a thread; gives what went wrong, in sentences."""
        try:
            with self._store.reading() as connection:
                happened = [*messages_read(connection, read), *attempts_made(connection, tried)]
        except JournalFault as fault:
            return [str(fault)]
        problems = []
        for listener in self._listeners:
            try:
                listener.tell(happened)
            except OSError as problem:
                problems.append(str(problem))
        return problems


def observer_of(section: ObserveSection, store: Store, version: str, trouble: Callable[[str], None]) -> Observer | None:
    """Make the observer that a configuration asks for, None when it asks for none."""
    listeners: list[Listener] = []
    if section.log_format == "json":
        listeners.append(MessageLog())
    if section.otlp:
        # Loaded only where it is wanted: the library weighs more than the rest of the way.
        from router.observe.tracing import Collector

        listeners.append(Collector(section.otlp, store.sealer.clone(), version))
    return Observer(store, listeners, trouble) if listeners else None


def traceparent(store: Store, delivery_id: int, attempt: int) -> str:
    """Give the header that hands the trace of a Delivery's message on; empty when the journal cannot say."""
    wanted = select(tables.delivery.c.message_id).where(tables.delivery.c.id == delivery_id)
    try:
        with store.reading() as connection:
            message_id = connection.execute(wanted).scalar()
    except JournalFault:
        return ""
    return "" if message_id is None else TraceNames(store.sealer.clone()).traceparent(message_id, delivery_id, attempt)
