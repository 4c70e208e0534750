"""The one writer of a process: a thread that groups what is submitted into transactions that share one sync.

While one transaction is being synced, the next one gathers: the more is submitted at once, the fewer syncs a message
costs. Whoever submits learns the result only after the commit.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from router.journal.appending import AppendMessage, append_messages, questions_of_appends
from router.journal.attempts import RecordAttempts
from router.journal.operations import CommitReadings, Operation
from router.journal.store import JournalFault, Repeated, Store, WriteSession
from router.journal.unit import Question, Unit

R = TypeVar("R")

ACTIVE_SECONDS = 0.05
"""Messages are arriving when one was appended within this time."""

LINGER_SECONDS = 0.01
"""While messages arrive, what nobody waits for at the other end (readings, outcomes) waits this long at most to share
their sync: an acknowledgement then never waits for a transaction that has none of them."""

GATHER_SECONDS = 0.004
"""How long a message waits for company at most."""

COMPANY = 8
"""Messages in one transaction beyond which waiting for more saves little."""

FADING = 0.97
"""How fast it is forgotten how many messages came together."""

RESENDING_SECONDS = 30.0
"""After a resend, messages are looked up before they are inserted for this long."""

GROUP = 512
"""Operations in one transaction at most: bounds the time that the first of them waits."""

Told = Callable[[Any], None]
"""Called in the event loop with an operation's result, or with the exception that it ended in."""

_Entry = tuple[Operation[Any], "asyncio.Future[Any] | Told"]


class Writer:
    """Groups operations into commits. Start it inside a running event loop; `stop` drains what was submitted."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sealer = store.sealer.clone()
        self._session = WriteSession(store)
        self._fresh: list[_Entry] = []
        self._queue: deque[_Entry] = deque()
        self._wake = threading.Condition()
        self._wanted = 0
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._work, name="journal-writer", daemon=True)
        self._appends = 0
        self._last_append = 0.0
        self._together = 1.0
        self._look_first_until = 0.0
        self.commits = 0
        self.operations = 0

    def start(self) -> None:
        """Start the thread; results are delivered to the event loop that calls this."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Commit what was submitted, then end the thread."""
        self._hand_over()
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    @property
    def depth(self) -> int:
        """How many operations wait for a transaction."""
        return len(self._queue) + len(self._fresh)

    def submit(self, operation: Operation[R]) -> asyncio.Future[R]:
        """Queue an operation; the future ends after the commit, with its result or the JournalFault."""
        if self._loop is None or self._stopping:
            raise JournalFault("the journal is closing; send again once the router is back")
        future: asyncio.Future[R] = self._loop.create_future()
        self._enter(operation, cast("asyncio.Future[Any]", future))
        return future

    def submit_told(self, operation: Operation[Any], told: Told) -> None:
        """Queue an operation and be told after the commit: what a future and its waiter would cost is saved."""
        if self._loop is None or self._stopping:
            raise JournalFault("the journal is closing; send again once the router is back")
        self._enter(operation, told)

    def _enter(self, operation: Operation[Any], waiter: asyncio.Future[Any] | Told) -> None:
        self._fresh.append((operation, waiter))
        if len(self._fresh) == 1 and self._loop is not None:
            # What one turn of the loop brings is handed over at once: each wake-up of a thread costs both of them.
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        fresh, self._fresh = self._fresh, []
        if not fresh:
            return
        appends = sum(1 for operation, _ in fresh if isinstance(operation, AppendMessage))
        with self._wake:
            self._queue.extend(fresh)
            self._appends += appends
            if self._appends >= self._wanted or len(self._queue) >= GROUP:
                self._wake.notify()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._stopping:
                    self._wanted = 0
                    self._wake.wait()
                if not self._queue:
                    break
                self._linger()
                group = [self._queue.popleft() for _ in range(min(GROUP, len(self._queue)))]
                appends = sum(1 for operation, _ in group if isinstance(operation, AppendMessage))
                self._appends -= appends
            if appends:
                self._last_append = time.monotonic()
                self._together = max(float(appends), self._together * FADING)
            self._settle(group)
        self._session.close()

    def _linger(self) -> None:
        """Wait a little for company, while messages are arriving.

        What carries no message waits for one; a message waits for as many as lately came together (a lone sender's
        for none), because a transaction costs as much for one as for eight.
        """
        start = time.monotonic()
        if start - self._last_append > ACTIVE_SECONDS:
            return
        self._wanted = max(1, min(COMPANY, int(self._together)))
        deadline = start + (GATHER_SECONDS if self._appends else LINGER_SECONDS)
        while self._appends < self._wanted and not self._stopping and len(self._queue) < GROUP:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._wake.wait(left)

    def _settle(self, group: list[_Entry]) -> None:
        try:
            results = self._commit([operation for operation, _ in group])
        except JournalFault as fault:
            if type(fault) is not JournalFault or len(group) == 1:
                self._answer([(future, fault) for _, future in group])
                return
            self._one_by_one(group)
        except Exception as defect:
            # A defect in one operation must not fail those that happened to share its transaction.
            if len(group) == 1:
                self._answer([(group[0][1], defect)])
                return
            self._one_by_one(group)
        else:
            self._answer([(future, result) for (_, future), result in zip(group, results, strict=True)])

    def _one_by_one(self, group: list[_Entry]) -> None:
        for entry in group:
            self._settle([entry])

    def _commit(self, operations: list[Operation[Any]]) -> list[Any]:
        try:
            return self._apply(operations, look_first=time.monotonic() < self._look_first_until)
        except Repeated:
            # A sender resends: there will be more.
            self._look_first_until = time.monotonic() + RESENDING_SECONDS
            return self._apply(operations, look_first=True)

    def _apply(self, operations: list[Operation[Any]], *, look_first: bool) -> list[Any]:
        appends = [operation for operation in operations if isinstance(operation, AppendMessage)]
        questions = _foreseen(operations, appends, look_first=look_first) if self._session.foresees else []
        with self._session.transaction(questions) as connection:
            unit = Unit(connection, self._sealer, self._session.last_ids, self._session.answers)
            appended = iter(append_messages(unit, appends, look_first=look_first) if appends else ())
            results = [
                next(appended) if isinstance(operation, AppendMessage) else operation.apply(unit)
                for operation in operations
            ]
            self._session.at_last(unit.write)
        self.commits += 1
        self.operations += len(operations)
        return results

    def _answer(self, answers: list[tuple[asyncio.Future[Any] | Told, Any]]) -> None:
        assert self._loop is not None  # noqa: S101 - `submit` refused everything until the loop was known
        try:
            self._loop.call_soon_threadsafe(_set_results, answers)
        except RuntimeError:
            # The loop has ended: nobody waits for these answers any more, and what was committed stays committed.
            return


def _foreseen(
    operations: Sequence[Operation[Any]], appends: Sequence[AppendMessage], *, look_first: bool
) -> list[Question]:
    """Give what operations will ask, where it can be said before the transaction begins: of those of every message."""
    questions = dict.fromkeys(questions_of_appends(appends, look_first=look_first) if appends else ())
    for operation in operations:
        if isinstance(operation, CommitReadings | RecordAttempts):
            questions |= dict.fromkeys(operation.questions())
    return list(questions)


def _set_results(answers: list[tuple[asyncio.Future[Any] | Told, Any]]) -> None:
    for future, answer in answers:
        if not isinstance(future, asyncio.Future):
            future(answer)
        elif future.done():
            continue
        elif isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)
