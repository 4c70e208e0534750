"""One destination's Deliveries: sent in order by patient, several patients at once, retried, at last set aside."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence, Set as AbstractSet
from datetime import datetime
from typing import Any
from uuid import uuid4

from connectors.contracts import Delivered, Destination, Hold, Outcome, Parcel, Refused, Retry
from router.config.model import RetrySection
from router.engine.backing_off import delay, state_after
from router.engine.clock import micros
from router.engine.contents import Contents
from router.engine.gate import Gate, Held, Judgement
from router.engine.lanes import Entry, Lanes
from router.engine.owning import SendLanes
from router.engine.waiting import Waiting
from router.journal.attempts import RecordAttempt, RecordAttempts
from router.journal.fencing import Fence
from router.journal.operations import Queued
from router.journal.store import JournalFault, Store
from router.journal.tables import DeliveryState
from router.journal.writer import Writer
from schemas.finding import Finding

WINDOW = 20_000
"""Deliveries of one destination kept in memory (without their bytes); the others wait in the journal."""

UNRECORDED = 512
"""Outcomes that may wait for their commit before no further Delivery is started."""

UNSURE = 100_000
"""Microseconds after which it is looked again whether a lane is owned that could not be confirmed."""

GRACE = 0.5
"""Seconds within which what is being sent in a lane that goes to another node may end; then it is cut off."""


class Dispatcher:
    """Sends one destination's Deliveries. `trouble` is told of what an administrator must know.

    `observed` is told of attempts once they are committed; `traced` gives the header that hands a trace on, of a
    Delivery and the number of its attempt. Both are None where nobody wants them. `owned` are the lanes that this node
    sends, None when it sends all: in a cluster the journal alone says what waits, as any node may have queued it.
    """

    def __init__(
        self,
        name: str,
        destination: Destination,
        store: Store,
        writer: Writer,
        *,
        concurrency: int,
        retry: RetrySection,
        now: Callable[[], datetime],
        trouble: Callable[[str], None],
        chance: random.Random | None = None,
        paused: bool = False,
        gate: Gate | None = None,
        observed: Callable[[Sequence[RecordAttempt]], None] | None = None,
        owned: SendLanes | None = None,
    ) -> None:
        self.name = name
        self._destination = destination
        self._store = store
        self._lanes = Lanes()
        self._contents = Contents(store, open_only=owned is not None, ahead=self._lanes.next_ones)
        self._waiting = Waiting(store, name, self._contents.knows)
        self._owned = owned
        self._under: dict[int, tuple[Entry, Fence]] = {}
        self._writer = writer
        self._concurrency = concurrency
        self._retry = retry
        self._now = now
        self._trouble = trouble
        self._chance = chance or random.Random()
        self._gate = gate
        self._observed = observed
        self._traced: Callable[[int, int], str] | None = None
        self._cursor = 0
        self._more = True
        self._missed = False
        self._reloading = False
        self._sending: dict[int, asyncio.Task[None]] = {}
        self._recording: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._unrecorded: list[RecordAttempt] = []
        self._unrecorded_count = 0
        self._wake = asyncio.Event()
        self._down_until: int | None = None
        self._failures = 0
        self.paused = paused
        self._resumed_at = 0
        self.down_detail = ""
        self.sent = 0
        self.last_sent_at: int | None = None
        self.last_failure = ""
        self.last_failure_at: int | None = None

    # --- what the engine tells ------------------------------------------------------------------------------------

    def resting(self) -> bool:
        """Say whether nothing may leave for now: it is paused, or was just found closed."""
        closed = self._down_until is not None and micros(self._now()) < self._down_until
        return self.paused or closed

    def enqueue(self, queued: Sequence[Queued]) -> None:
        """Take Deliveries just committed; those that do not fit are read from the journal in their turn."""
        if self._owned is not None:
            # What another node queued before them is to be read first: only their bytes are kept from here.
            for one in queued:
                if self._owned.fence_of(one.lane) is not None:
                    self._keep(one)
            self.look()
            return
        for one in queued:
            prepared = one.prepared
            if self._more or self._reloading or len(self._lanes) >= WINDOW:
                self._more = self._missed = True
                break
            entry = Entry(
                one.delivery_id,
                one.lane,
                prepared.identity,
                prepared.media_type,
                prepared.filename,
                prepared.blob,
                micros(self._now()),
                route=prepared.route,
            )
            self._keep(one)
            self._lanes.add(entry)
            self._cursor = one.delivery_id
        self._wake.set()

    def _keep(self, queued: Queued) -> None:
        sealed = queued.prepared.sealed_content
        if sealed is not None and not queued.prepared.has_attachments:
            self._contents.keep(queued.delivery_id, sealed)

    def look(self) -> None:
        """Look in the journal for what was queued after all that is known: another node may have done so."""
        self._more = self._missed = True
        self._wake.set()

    async def lose(self, number: int) -> None:
        """Forget a lane that goes to another node, and end what is being sent in it: it sends it again, from the row.

        What ends within `GRACE` is recorded, if the journal still takes it.
        """
        self.reload()
        assert self._owned is not None  # noqa: S101 - only a node of a cluster loses lanes
        count = self._owned.count
        sending = [entry for entry, _ in self._under.values() if entry.lane % count == number]
        tasks = [self._sending[entry.id] for entry in sending if entry.id in self._sending]
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)
        for entry in sending:
            if (task := self._sending.get(entry.id)) is not None and task in tasks:
                task.cancel()
                self._let_go(entry)
        await asyncio.sleep(0)  # what was just settled is handed to the writer at the end of the loop's turn
        if self._recording:
            await asyncio.wait(list(self._recording), timeout=GRACE)

    def _let_go(self, entry: Entry) -> None:
        """Send this Delivery no more, and leave its row as it is."""
        self._sending.pop(entry.id, None)
        self._under.pop(entry.id, None)
        if self._lanes.done(entry):
            self._refilling(entry)
        self._wake.set()

    def reload(self) -> None:
        """Read anew what waits: a person replayed or cancelled something."""
        self._reloading = True
        self._wake.set()

    def _forget(self) -> None:
        self._reloading = False
        self._lanes.forget()
        self._contents.forget()
        self._cursor = 0
        self._more = self._missed = True
        self._down_until = None

    def pause(self) -> None:
        """Start nothing more; what is under way goes on."""
        self.paused = True

    def resume(self) -> None:
        """Go on after a pause; what waited for it is not given up for its age."""
        self.paused = False
        self._resumed_at = micros(self._now())
        self._wake.set()

    def hold_back(self, routes: AbstractSet[str]) -> None:
        """Send nothing of these routes, nor what comes after it for the same patient; all others go on."""
        if routes == self._lanes.paused:
            return
        self._lanes.paused = frozenset(routes)
        self.reload()

    def trace_by(self, traced: Callable[[int, int], str] | None) -> None:
        """Hand on with each attempt the trace of its message; `traced` gives the header, of a Delivery and attempt."""
        self._traced = traced

    def rebind(self, destination: Destination, *, concurrency: int, retry: RetrySection) -> None:
        """Send what waits, as it stands, through another Destination; the former closes once its own has ended."""
        former, self._destination = self._destination, destination
        self._concurrency, self._retry = concurrency, retry
        self._reached()
        task = asyncio.create_task(_close_after(former, list(self._sending.values())))
        self._closing.add(task)
        task.add_done_callback(self._closed_former)
        self._wake.set()

    def _closed_former(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._trouble(f"a former connection could not be closed ({type(problem).__name__})")

    def judge_by(self, gate: Gate | None) -> None:
        """Judge by another Gate from now on."""
        self._gate = gate

    @property
    def down(self) -> bool:
        """Whether the destination cannot be reached at present."""
        return bool(self.down_detail)

    @property
    def under_way(self) -> int:
        """Deliveries being sent."""
        return len(self._sending)

    @property
    def parked(self) -> int:
        """Patients whose Deliveries wait for a retry."""
        return self._lanes.parked()

    # --- the loop -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send for ever; on cancellation nothing new is started (`drain` waits for what is under way)."""
        while True:
            self._wake.clear()
            if self._reloading and not self._recording and not self._unrecorded:
                # Not before what was sent is recorded: the rows would still say that it is to be sent.
                self._forget()
            if self._more and len(self._lanes) < WINDOW // 2:
                await self._load()
            self._pump()
            await self._sleep()

    async def _sleep(self) -> None:
        if self._more and not self._reloading and len(self._lanes) < WINDOW // 2:
            return  # the journal has more, and there is room
        due = [at for at in (self._lanes.next_unpark(), self._down_until) if at is not None]
        wait = None if not due or self.paused else max(0.0, (min(due) - micros(self._now())) / 1_000_000)
        try:
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            return

    def _pump(self) -> None:
        now = micros(self._now())
        if self.paused or self._reloading or (self._down_until is not None and now < self._down_until):
            return
        self._lanes.unpark(now)
        # After the destination could not be reached, one Delivery alone tries the door.
        limit = 1 if self.down_detail else self._concurrency
        while len(self._sending) < limit and self._unrecorded_count < UNRECORDED:
            entry = self._lanes.take()
            if entry is None:
                return
            if self._owned is not None:
                fence = self._owned.fence_of(entry.lane)
                if fence is None:
                    self._let_go(entry)
                    continue
                if not self._owned.still_owned(fence):
                    self._lanes.retry(entry, now + UNSURE)
                    continue
                self._under[entry.id] = (entry, fence)
            self._sending[entry.id] = asyncio.create_task(self._send(entry))

    async def _load(self) -> None:
        self._missed = False
        # What is being sent while the journal is read puts itself back: read as well, it would be there twice.
        busy = set(self._sending)
        if self._owned is None:
            entries = await self._rows(self._waiting.after, self._cursor, WINDOW // 2)
        else:
            ours = self._owned.numbers()
            entries = await self._rows(self._waiting.of_lanes, self._owned.count, ours, self._cursor, WINDOW // 2)
        if entries is None:
            return
        for entry in entries:
            self._cursor = entry.id
            if entry.id not in busy:
                self._lanes.add(entry)
        if len(entries) < WINDOW // 2 and not self._missed:
            self._more = False

    async def _refill(self, lane: int, after: int) -> None:
        for entry in await self._rows(self._waiting.of_lane, lane, after, WINDOW // 20) or ():
            if entry.id <= self._cursor and entry.id not in self._sending:
                self._lanes.add(entry)
        self._wake.set()

    async def _rows(self, read: Callable[..., list[Entry]], *what: Any) -> list[Entry] | None:
        try:
            return await asyncio.to_thread(read, *what)
        except JournalFault as fault:
            self._trouble(str(fault))
            await asyncio.sleep(1.0)
            return None

    # --- one sending ----------------------------------------------------------------------------------------------

    async def _send(self, entry: Entry) -> None:
        started = micros(self._now())
        outcome: Outcome | Held
        findings: Sequence[Finding] = ()
        try:
            loaded = await self._contents.of(entry)
            insisted = entry.attempts > 0 and await asyncio.to_thread(self._waiting.was_held, entry.id)
            trace = await asyncio.to_thread(self._traced, entry.id, entry.attempts + 1) if self._traced else ""
        except (JournalFault, OSError) as problem:
            self._trouble(f"a delivery's content cannot be read ({type(problem).__name__})")
            outcome = Retry("its content cannot be read from the journal")
        else:
            if loaded is None:
                self._let_go(entry)  # it was stopped by another node since it was read
                return
            parcel = Parcel(
                delivery_id=entry.id,
                identity=entry.identity,
                content=loaded.content,
                media_type=entry.media_type,
                filename=entry.filename,
                attempt=entry.attempts - entry.attempts_before + 1,
                attachments=loaded.attachments,
                insisted=insisted,
                traceparent=trace,
            )
            judgement = await self._gate.judge(entry, parcel) if self._gate is not None else Judgement()
            findings = judgement.findings
            outcome = judgement.held or await self._sent(parcel)
            if isinstance(outcome, Hold):
                findings = (*findings, *outcome.findings)
        if self._owned is not None and self._under.get(entry.id, (None,))[0] is not entry:
            return  # it was let go, and the connector did not heed that
        self._settle(entry, outcome, started, findings)

    async def send_apart(self, content: bytes) -> Outcome:
        """Send something of the router's own that is no Delivery (an alarm), once."""
        identity = str(uuid4())
        return await self._sent(Parcel(0, identity, content, "message/rfc822", f"{identity}.eml", 1))

    async def _sent(self, parcel: Parcel) -> Outcome:
        try:
            return await self._destination.send(parcel)
        except Exception as defect:
            # The contract says that a destination never raises: a third party's may all the same.
            return Retry(f"defect in the connector ({type(defect).__name__})")

    def _settle(self, entry: Entry, outcome: Outcome | Held, started: int, findings: Sequence[Finding]) -> None:
        ended = micros(self._now())
        entry.attempts += 1
        if isinstance(outcome, Delivered):
            state = DeliveryState.ACKNOWLEDGED if outcome.acknowledged else DeliveryState.DELIVERED
            word = state.value
            self.sent += 1
            self.last_sent_at = ended
        elif isinstance(outcome, Refused):
            state, word = DeliveryState.DEAD, "refused"
        elif isinstance(outcome, Held | Hold):
            state, word = DeliveryState.HELD, "held"
        else:
            word = "retry" if outcome.reached else "unreachable"
            if not outcome.reached:
                entry.attempts_before += 1  # a closed door is not an attempt of this Delivery
            state = state_after(entry, outcome, self._retry, now=ended, resumed_at=self._resumed_at)
        if isinstance(outcome, Delivered | Refused) or (isinstance(outcome, Retry) and outcome.reached):
            self._reached()
        if not isinstance(outcome, Delivered | Held | Hold):
            self.last_failure, self.last_failure_at = outcome.detail, ended
        again: int | None = None
        if state is DeliveryState.RETRYING and isinstance(outcome, Retry):
            again = ended + delay(entry, outcome, self._retry, closed=self._failures, chance=self._chance)
            entry.next_attempt_at = again
        learn_at: int | None = None
        if isinstance(outcome, Delivered) and outcome.learn_after is not None:
            learn_at = ended + int(outcome.learn_after * 1_000_000)
        operation = RecordAttempt(
            entry.id,
            entry.attempts,
            started,
            ended,
            word,
            outcome.detail,
            outcome.answer,
            state,
            entry.attempts_before,
            again,
            findings,
            outcome.references if isinstance(outcome, Delivered | Retry) else (),
            learn_at,
        )
        # The record is queued before the lane moves: whatever follows on this lane is committed after it.
        self._unrecorded.append(operation)
        self._unrecorded_count += 1
        if len(self._unrecorded) == 1:
            asyncio.get_running_loop().call_soon(self._record_soon)
        self._sending.pop(entry.id, None)
        if again is None:
            self._contents.drop(entry.id)
            if self._lanes.done(entry):
                self._refilling(entry)
        else:
            unreached = isinstance(outcome, Retry) and not outcome.reached
            if unreached and isinstance(outcome, Retry):
                self._closed(outcome.detail, again)
            self._lanes.retry(entry, again)
        self._wake.set()

    def _refilling(self, entry: Entry) -> None:
        task = asyncio.create_task(self._refill(entry.lane, entry.id))
        self._recording.add(task)
        task.add_done_callback(self._recorded)

    def _closed(self, detail: str, until: int) -> None:
        self._failures += 1
        self.down_detail = detail
        self._down_until = until

    def _reached(self) -> None:
        self._failures = 0
        self.down_detail = ""
        self._down_until = None

    def _record_soon(self) -> None:
        under = (
            {one.delivery_id: self._under.pop(one.delivery_id)[1] for one in self._unrecorded} if self._owned else {}
        )
        operation, self._unrecorded = RecordAttempts(self._unrecorded, under), []
        task = asyncio.create_task(self._record(operation))
        self._recording.add(task)
        task.add_done_callback(self._recorded)

    async def _record(self, operation: RecordAttempts) -> None:
        while True:
            try:
                gone = await self._writer.submit(operation)
            except JournalFault as fault:
                self._trouble(str(fault))
                await asyncio.sleep(1.0)
                continue
            self._unrecorded_count -= len(operation.attempts)
            if operation.refused and self._owned is not None:
                self._owned.refused(operation.refused)
                self.reload()
            if self._observed is not None:
                self._observed(operation.attempts)
            if gone:
                self.reload()
            return

    def _recorded(self, task: asyncio.Task[None]) -> None:
        self._recording.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._trouble(f"a delivery's outcome could not be recorded ({type(problem).__name__})")
        self._wake.set()

    async def drain(self, seconds: float) -> None:
        """Wait for what is under way, at most so long; what is cut off is sent again after the next start."""
        if self._sending:
            await asyncio.wait(list(self._sending.values()), timeout=seconds)
        for task in list(self._sending.values()):
            task.cancel()
        await asyncio.sleep(0)  # what was just settled is handed to the writer at the end of the loop's turn
        if self._recording:
            await asyncio.wait(list(self._recording), timeout=seconds)
        if self._closing:
            await asyncio.wait(list(self._closing), timeout=seconds)
        await self._destination.close()


async def _close_after(destination: Destination, sending: Sequence[asyncio.Task[None]]) -> None:
    if sending:
        await asyncio.wait(sending)
    await destination.close()
