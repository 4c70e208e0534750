"""What became of a message, for a source that waits for it: a file goes to `error` when it was rejected.

A socket's peer has its answer at the commit and waits for nothing more; only sources that ask pay for this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson
from sqlalchemy import bindparam, select

from router.journal import tables
from router.journal.operations import REPORT_PLACE, PreparedMessage
from router.journal.store import Store
from router.journal.tables import MessageState
from schemas.finding import Finding, Severity

_STATE = (
    select(tables.message.c.state, tables.reading.c.sealed_report)
    .join(tables.reading, tables.reading.c.message_id == tables.message.c.id, isouter=True)
    .where(tables.message.c.id == bindparam("number"))
)

WITHOUT_REASON = Finding(
    severity=Severity.ERROR, code="message.rejected", where="message", message="the message could not be read"
)


class Outcomes:
    """Waits for messages to be read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[int, list[asyncio.Future[Finding | None]]] = {}

    async def of(self, message_id: int) -> Finding | None:
        """Wait until a message was read; gives the Finding for which it was rejected, None when it was not."""
        future: asyncio.Future[Finding | None] = asyncio.get_running_loop().create_future()
        # Before looking: what is committed in between is told to the future.
        self._waiting.setdefault(message_id, []).append(future)
        try:
            settled, finding = await asyncio.to_thread(self._look, message_id)
            return finding if settled else await future
        finally:
            waiting = self._waiting.get(message_id, [])
            if future in waiting:
                waiting.remove(future)
            if not waiting:
                self._waiting.pop(message_id, None)

    async def held(self, message_id: int) -> bool:
        """Say whether a message waits for a person."""
        return await asyncio.to_thread(self._is_held, message_id)

    def _is_held(self, message_id: int) -> bool:
        with self._store.reading() as connection:
            row = connection.execute(_STATE, {"number": message_id}).one_or_none()
        return row is not None and row.state == MessageState.HELD.value

    def settled(self, messages: Sequence[PreparedMessage]) -> None:
        """Tell those who wait what was just committed."""
        if not self._waiting:
            return
        for message in messages:
            for future in self._waiting.get(message.message_id, ()):
                if not future.done():
                    rejected = message.state is MessageState.REJECTED
                    future.set_result((message.rejection or WITHOUT_REASON) if rejected else None)

    async def look_again(self) -> None:
        """Look at what is waited for: another node may have read it. Raises JournalFault."""
        for number in list(self._waiting):
            settled, finding = await asyncio.to_thread(self._look, number)
            for future in self._waiting.get(number, ()) if settled else ():
                if not future.done():
                    future.set_result(finding)

    def _look(self, message_id: int) -> tuple[bool, Finding | None]:
        with self._store.reading() as connection:
            row = connection.execute(_STATE, {"number": message_id}).one_or_none()
        if row is None or row.state == MessageState.RECEIVED.value:
            return row is None, None
        if row.state != MessageState.REJECTED.value:
            return True, None
        if row.sealed_report is None:
            return True, WITHOUT_REASON
        report = orjson.loads(self._store.sealer.clone().open(row.sealed_report, REPORT_PLACE))
        return True, first_error([Finding.model_validate(one) for one in report["findings"]])


def first_error(findings: Sequence[Finding]) -> Finding:
    """Give the first error among findings."""
    return next((one for one in findings if one.severity is Severity.ERROR), WITHOUT_REASON)
