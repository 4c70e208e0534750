"""One MLLP connection of a destination: a message out, its answer in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from connectors.contracts import Delivered, Outcome, Refused, Retry
from connectors.mllp.codec import (
    AFFIRMATIVE,
    COMMIT_ACK,
    NEGATIVE,
    Event,
    Frame,
    FrameDecoder,
    TooLarge,
    enframe,
)
from connectors.mllp.settings import MllpDestinationSettings
from mappings.hl7v2.ack import AckReading, read_ack

END_GRACE = 0.2
"""Seconds to wait for the 0x0D of an answer's end before doing without it."""


class Line(asyncio.Protocol):
    """Carries one message at a time. An answer that names another message is ignored and counted."""

    def __init__(
        self,
        settings: MllpDestinationSettings,
        unmatched: Callable[[], None],
        lost: Callable[[Line], None],
    ) -> None:
        self._settings = settings
        self._unmatched = unmatched
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._decoder = FrameDecoder(settings.max_answer, settings.max_answer)
        self._transport: asyncio.Transport | None = None
        self._outcome: asyncio.Future[Outcome] | None = None
        self._expected = ""
        self._grace: asyncio.TimerHandle | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()

    @property
    def usable(self) -> bool:
        """The connection is up, and nothing is half read on it."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and not self._decoder.inside

    async def exchange(self, content: bytes, control_id: str) -> Outcome:
        """Send a message and wait for its answer; without one, the connection is closed.

        A late answer to this message must never be taken for the answer to the next one.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            return Retry("the peer closed the connection before it was used")
        self._outcome = self._loop.create_future()
        self._expected = control_id.strip()
        transport.write(enframe(content))
        try:
            async with asyncio.timeout(self._settings.answer_timeout):
                return await self._outcome
        except TimeoutError:
            self.abort()
            return Retry(f"no acknowledgement within {self._settings.answer_timeout:g} s")
        finally:
            self._outcome = None

    def close(self) -> None:
        """Close after what is being written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Decode and judge."""
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        self._handle(self._decoder.feed(data))
        if self._decoder.at_end_byte:
            self._grace = self._loop.call_later(END_GRACE, self._fell_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the message that waits; whether it was received, nobody knows."""
        if self._grace is not None:
            self._grace.cancel()
        self._handle(self._decoder.finish())
        self._transport = None
        self._conclude(Retry("the peer closed the connection before it acknowledged"))
        self._lost(self)
        if not self.closed.done():
            self.closed.set_result(None)

    def _fell_silent(self) -> None:
        self._grace = None
        self._handle(self._decoder.silence())

    # Answers

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Frame):
                self._frame(event.content)
            elif isinstance(event, TooLarge):
                self._conclude(Retry("the answer is too long to be an acknowledgement", event.head[:1024]))
                self.abort()

    def _frame(self, content: bytes) -> None:
        if self._settings.release_2:
            if content == AFFIRMATIVE:
                if not self._settings.wait_for_answer:
                    self._conclude(Delivered("committed by the receiver (MLLP release 2)"))
                return
            if content == NEGATIVE:
                self._conclude(Retry("the receiver could not keep it (MLLP release 2)"))
                return
            if self._transport is not None:
                self._transport.write(COMMIT_ACK)
        reading = read_ack(content)
        if reading is None:
            self._conclude(Retry("the answer is no HL7 acknowledgement", content))
            self.abort()
        elif self._names_another(reading):
            self._unmatched()
        else:
            self._conclude(outcome_of(reading, content))

    def _names_another(self, reading: AckReading) -> bool:
        """Compare MSA-2 with our MSH-10; a receiver that could not even read MSH-10 leaves it empty."""
        named = reading.control_id.strip()
        return self._outcome is None or bool(named and self._expected and named != self._expected)

    def _conclude(self, outcome: Outcome) -> None:
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(outcome)


def outcome_of(reading: AckReading, content: bytes) -> Outcome:
    """Make the Outcome of an acknowledgement (fact sheet hl7v2-fr §2.1).

    AE and CE are final; AR and CR are not, unless for the type, event, mode or version (ERR-3 200 to 203). The
    peer's own words stay in the answer: they may hold health data.
    """
    detail = str(reading.code)
    if reading.error_codes:
        detail += " with ERR-3 " + ", ".join(str(code) for code in reading.error_codes[:5])
    if reading.positive:
        return Delivered(detail, content, acknowledged=True)
    return Refused(detail, content) if reading.permanent else Retry(detail, content)
