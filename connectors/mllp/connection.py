"""One MLLP connection of a source: frames in, submissions, answers out in the order of the frames."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import cast

from connectors.address import peer_host
from connectors.contracts import Inbound, NotAccepted, Receipt, Refusal
from connectors.mllp.codec import (
    AFFIRMATIVE,
    NEGATIVE,
    Event,
    Frame,
    FrameDecoder,
    Garbage,
    LargeFrame,
    Part,
    TooLarge,
    Truncated,
)
from connectors.mllp.reception import LargeReception
from connectors.mllp.station import Station
from connectors.spool import APART
from mappings.hl7v2.header import HeaderCheck, check_header
from schemas.finding import Finding, Severity

GARBAGE_LIMIT = 1024 * 1024
"""Bytes without a single frame after which the peer is taken not to speak MLLP, and left."""

BACKLOG_LIMIT = 2 * 1024 * 1024
"""Bytes of a large message waiting for the disk past which the connection is not read."""

LINGER = 2.0
"""Seconds that a peer gets to read the answer to a message too large, before the connection closes."""


class Slot:
    """The place of one message in the order of answers; `answer` is None until it is known."""

    __slots__ = ("answer",)

    def __init__(self) -> None:
        self.answer: bytes | None = None


class Connection(asyncio.Protocol):
    """Never acknowledges before the receipt, never answers out of order, never lets a peer make it raise."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._settings = station.settings
        self._decoder = FrameDecoder(station.settings.max_frame, station.settings.spool_threshold)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._slots: deque[Slot] = deque()
        self._large: LargeReception | None = None
        self._tail: asyncio.Task[None] | None = None
        self._peer = ""
        self._last_byte = self._loop.time()
        self._message_since: float | None = None
        self._garbage_run = 0
        self._reading = True
        self._writable = True
        self._ending = False
        self._half_closed = False
        self._grace: asyncio.TimerHandle | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._breather: asyncio.TimerHandle | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or close it at once when the settings turn it away."""
        transport = cast("asyncio.Transport", transport)
        self._transport = transport
        self._peer = peer_host(transport.get_extra_info("peername"))
        if self._station.draining:
            # Accepted at the moment at which the source closed: broken off, so that its sender connects anew at once
            # instead of waiting for the answer of a source that reads no more.
            self._ending = True
            transport.abort()
            return
        if (reason := self._station.welcome(self, transport, self._peer)) is not None:
            self._station.turn_away(self._peer, reason)
            self._ending = True
            transport.abort()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Decode and submit; what follows a lost stream is thrown away."""
        self._last_byte = self._loop.time()
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        if self._ending or self._station.draining:
            return
        self._handle(self._decoder.feed(data))
        if self._message_since is None and self._decoder.inside:
            self._message_since = self._last_byte
        if self._decoder.at_end_byte:
            self._grace = self._loop.call_later(self._settings.end_grace, self._fell_silent)

    def eof_received(self) -> bool:
        """Keep our side open for the answers under way, for a peer that only closed its own."""
        self._finish_decoding()
        self._half_closed = True
        transport = self._transport
        return bool(self._slots) and transport is not None and transport.can_write_eof()

    def pause_writing(self) -> None:
        """Stop reading the messages of a peer that does not read its answers."""
        self._writable = False
        self._throttle()

    def resume_writing(self) -> None:
        """Read again."""
        self._writable = True
        self._throttle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the peer; what was submitted goes on to its commit."""
        for timer in (self._grace, self._watchdog, self._breather):
            if timer is not None:
                timer.cancel()
        self._finish_decoding()
        self._abandon_large()
        self._ending = True
        self._transport = None
        self._station.goodbye(self, self._peer)
        if not self.closed.done():
            self.closed.set_result(None)

    # What the station calls

    def stop_reading(self) -> None:
        """Take no new message; the one that is half received is given up."""
        self._throttle()
        self._abandon_large()

    def close(self) -> None:
        """Close once what is written has left."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    # What the decoder says

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if not isinstance(event, Part):
                self._message_since = None
            if isinstance(event, Frame):
                self._garbage_run = 0
                self._frame(event.content)
            elif isinstance(event, Part):
                self._part(event.data)
            elif isinstance(event, LargeFrame):
                self._garbage_run = 0
                self._large_frame(event)
            elif isinstance(event, Garbage):
                self._garbage(event)
            elif isinstance(event, Truncated):
                self._truncated(event)
            else:
                self._too_large(event)

    def _frame(self, content: bytes) -> None:
        if self._settings.release_2 and content in (AFFIRMATIVE, NEGATIVE):
            if content == NEGATIVE:
                self._station.report(
                    "mllp.answer.not_committed", self._peer, "the sender could not keep our acknowledgement"
                )
            return
        header = check_header(content, self._settings.environment)
        after = self._before()
        slot = self._slot()
        if self._station.bucket is not None and not self._in_pace(slot, header):
            return
        if after is None and len(content) <= APART and self._post(slot, header, content):
            self._tail = None
            return
        task = self._start(self._submit(slot, header, content, after))
        self._tail = None if after is None and len(content) <= APART else task

    def _part(self, data: bytes) -> None:
        if self._large is None:
            self._large = LargeReception(self._station.inbox, self._throttle)
        self._large.add(data)
        self._throttle()

    def _large_frame(self, event: LargeFrame) -> None:
        reception, self._large = self._large, None
        assert reception is not None  # noqa: S101 - the decoder gives a part before the end of a large frame
        header = check_header(event.head, self._settings.environment)
        slot = self._slot()
        if self._station.bucket is not None and not self._in_pace(slot, header):
            self._start(reception.abandon())
            return
        self._tail = self._start(self._submit_large(slot, header, reception, self._before()))

    def _garbage(self, event: Garbage) -> None:
        self._station.count("garbage_bytes", event.size)
        self._garbage_run += event.size
        if not event.blank:
            self._station.report("mllp.garbage", self._peer, "bytes outside any MLLP frame were dropped")
        if self._garbage_run > GARBAGE_LIMIT:
            self._station.report(
                "mllp.not_mllp",
                self._peer,
                f"{GARBAGE_LIMIT} bytes and more came without one MLLP frame; the connection was closed",
                Severity.ERROR,
            )
            self._ending = True
            self.abort()

    def _truncated(self, event: Truncated) -> None:
        self._abandon_large()
        self._station.count("truncated")
        self._station.report(
            "mllp.frame.truncated",
            self._peer,
            f"a message was cut after {event.size} bytes: its end never came, and it was not acknowledged",
            Severity.ERROR,
        )

    def _too_large(self, event: TooLarge) -> None:
        """Keep the beginning of the message as a rejected one, answer, and close: the stream is lost."""
        self._abandon_large()
        self._ending = True
        self._station.count("too_large")
        finding = Finding(
            severity=Severity.ERROR,
            code="mllp.frame.too_large",
            where="",
            message=f"the message is longer than {int(self._settings.max_frame)} bytes; only its beginning is kept",
        )
        header = check_header(event.head)._replace(refusal=finding, error_code=207, permanent=True)
        self._start(self._submit(self._slot(), header, event.head, self._before()))

    def _finish_decoding(self) -> None:
        if not (self._ending or self._station.draining or self._half_closed):
            self._handle(self._decoder.finish())

    # Submissions and their answers

    def _slot(self) -> Slot:
        slot = Slot()
        self._slots.append(slot)
        if len(self._slots) >= self._settings.max_in_flight:
            self._throttle()
        return slot

    def _before(self) -> asyncio.Task[None] | None:
        """Give the message that the next one must follow: they may be of one patient.

        Messages are submitted as they come, and the inbox keeps their order; but a long one takes its time to reach
        the disk, so that those behind it go one by one until the line is clear again.
        """
        return self._tail if self._tail is not None and not self._tail.done() else None

    def _start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._station.tasks.add(task)
        task.add_done_callback(self._station.tasks.discard)
        return task

    def _post(self, slot: Slot, header: HeaderCheck, content: bytes) -> bool:
        """Submit a short message without a task; False when the inbox wants it awaited."""
        station = self._station
        if not station.inbox.post(self._inbound(header, content), partial(self._posted, slot, header)):
            return False
        station.posted += 1
        return True

    def _posted(self, slot: Slot, header: HeaderCheck, receipt: Receipt | NotAccepted) -> None:
        self._station.settled()
        self._reply(slot, header, receipt if isinstance(receipt, Receipt) else None)

    def _inbound(self, header: HeaderCheck, content: bytes | Path) -> Inbound:
        finding = header.refusal
        return Inbound(
            content=content,
            received_at=self._station.services.now(),
            control_id=header.control_id,
            message_type=header.message_type,
            peer=self._peer,
            refusal=None if finding is None else Refusal(finding, header.permanent),
        )

    async def _submit_large(
        self,
        slot: Slot,
        header: HeaderCheck,
        reception: LargeReception,
        after: asyncio.Task[None] | None,
    ) -> None:
        try:
            path = await reception.finish()
        except (OSError, NotAccepted):
            self._answer(slot, self._station.not_accepted(header))
            return
        receipt = await self._commit(header, path, after)
        if receipt is None:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        self._reply(slot, header, receipt)

    async def _submit(self, slot: Slot, header: HeaderCheck, content: bytes, after: asyncio.Task[None] | None) -> None:
        self._reply(slot, header, await self._commit(header, content, after))

    async def _commit(
        self, header: HeaderCheck, content: bytes | Path, after: asyncio.Task[None] | None
    ) -> Receipt | None:
        """Submit, once the message that it must follow is committed; None when it could not be kept."""
        if after is not None and not after.done():
            await asyncio.wait((after,))
        try:
            return await self._station.inbox.submit(self._inbound(header, content))
        except NotAccepted:
            return None
        except Exception as failure:
            # Whatever went wrong behind the inbox, the sender must keep its message and the listener must live.
            self._station.report(
                "mllp.submit.failed",
                self._station.name,
                f"{type(failure).__name__} at submission; the message was not acknowledged",
                Severity.ERROR,
            )
            return None

    def _reply(self, slot: Slot, header: HeaderCheck, receipt: Receipt | None) -> None:
        station = self._station
        self._answer(slot, station.not_accepted(header) if receipt is None else station.committed(header, receipt))

    def _answer(self, slot: Slot, answer: bytes) -> None:
        """Send every answer that no earlier message holds back."""
        slot.answer = answer
        slots = self._slots
        ready = []
        while slots and slots[0].answer is not None:
            ready.append(slots[0].answer)
            slots.popleft()
        transport = self._transport
        if transport is None or transport.is_closing():
            self._station.count("unanswered", len(ready))
            return
        if ready:
            transport.write(ready[0] if len(ready) == 1 else b"".join(ready))
            if not self._reading:
                self._throttle()
        if not slots and (self._ending or self._half_closed):
            self._say_goodbye(transport)

    def _say_goodbye(self, transport: asyncio.Transport) -> None:
        """Close after the last answer; a peer that is still sending gets time to read it."""
        if self._half_closed or not transport.can_write_eof():
            transport.close()
        else:
            transport.write_eof()
            self._loop.call_later(LINGER, transport.close)

    # Patience

    def _in_pace(self, slot: Slot, header: HeaderCheck) -> bool:
        """Say whether a message is taken now; one too many is answered so, or its peer is left unread for a while."""
        station = self._station
        assert station.bucket is not None  # noqa: S101 - asked by the caller, who is in the hot path
        if self._settings.over_rate == "refuse":
            wait = station.bucket.refusal()
            if wait:
                self._answer(slot, station.too_fast(header, self._peer, wait))
            return not wait
        wait = station.bucket.debt()
        if wait:
            if self._breather is None:
                station.slowed(self._peer)
            else:
                self._breather.cancel()
            self._breather = self._loop.call_later(wait, self._breathed)
            self._throttle()
        return True

    def _breathed(self) -> None:
        self._breather = None
        self._throttle()

    def _throttle(self) -> None:
        """Read the peer only while there is room for what it sends."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        wanted = (
            self._writable
            and self._breather is None
            and not self._station.draining
            and len(self._slots) < self._settings.max_in_flight
            and (self._large is None or self._large.backlog < BACKLOG_LIMIT)
        )
        if wanted is not self._reading:
            self._reading = wanted
            self._last_byte = self._loop.time()
            if self._message_since is not None:
                self._message_since = self._last_byte
            if wanted:
                transport.resume_reading()
            else:
                transport.pause_reading()

    def _fell_silent(self) -> None:
        self._grace = None
        self._handle(self._decoder.silence())

    def _watch(self) -> None:
        """Give up a message that stopped half way, close a connection that is idle; then look again."""
        idle = self._settings.idle_timeout
        patience = self._settings.frame_timeout
        pause = patience if idle is None else min(patience, idle)
        limit = patience if self._decoder.inside else idle
        now = self._loop.time()
        if self._message_since is not None and self._reading:
            left = self._settings.message_timeout - (now - self._message_since)
            if left <= 0:
                self._drips()
                return
            pause = min(left, pause)
        if limit is not None and self._reading and not self._slots:
            left = limit - (now - self._last_byte)
            if left <= 0:
                self.close()
                return
            pause = min(left, pause)
        self._watchdog = self._loop.call_later(pause, self._watch)

    def _drips(self) -> None:
        """Leave a peer whose message comes so slowly that it may be meant to hold the connection."""
        self._station.report(
            "mllp.too_slow",
            self._peer,
            "a message took longer than message_timeout to arrive; it was not acknowledged, and the connection closed",
            Severity.ERROR,
        )
        self._ending = True
        self.abort()

    def _abandon_large(self) -> None:
        reception, self._large = self._large, None
        if reception is not None:
            self._start(reception.abandon())
