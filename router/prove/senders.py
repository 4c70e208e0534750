"""Senders of a proof: each owns some patients and one connection, and never gives a message up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from connectors.sandbox.analyses import INFLAMMATION, KIDNEY
from connectors.sandbox.laboratory import paris_now
from connectors.sandbox.mllp import MllpSender, NoAnswer
from connectors.sandbox.oru import oru
from connectors.sandbox.people import Person
from connectors.sandbox.reports import draw_report
from router.prove.ledger import Ledger, Mark, report_id

_SHORTEST_REST = 0.02
_LONGEST_REST = 0.5
_ANSWER_SECONDS = 15.0


@dataclass(slots=True)
class Target:
    """Where the router listens now: it changes when the router is started anew."""

    address: str


class Sender:
    """One connection. Messages of one patient are sent one after the other, each until it is acknowledged.

    A message is the same bytes at each attempt, under the same MSH-10. The next one of a patient is only made once the
    one before was acknowledged: the order of reception is therefore the order of the sequence. `pause` is the mean
    rest between two messages, `answer` how long an acknowledgement is waited for, in seconds.
    """

    def __init__(
        self,
        target: Target,
        ledger: Ledger,
        patients: Sequence[tuple[int, Person]],
        draw: random.Random,
        *,
        pause: float = 0.0,
        answer: float = _ANSWER_SECONDS,
    ) -> None:
        self._target = target
        self._ledger = ledger
        self._patients = patients
        self._draw = draw
        self.pause = pause
        self._answer = answer
        self._places: dict[int, int] = {}
        self._link: tuple[str, MllpSender] | None = None

    async def run(self, enough: asyncio.Event) -> None:
        """Send until `enough` is set; the message under way is then still brought to its acknowledgement."""
        try:
            while not enough.is_set():
                number, person = self._draw.choice(self._patients)
                self._places[number] = self._places.get(number, 0) + 1
                mark = (number, self._places[number])
                await self._deliver(mark, self._message(mark, person))
                if self.pause:
                    await asyncio.sleep(self._draw.uniform(0.0, 2 * self.pause))
        finally:
            await self._hang_up()

    def _message(self, mark: Mark, person: Person) -> bytes:
        report = draw_report(self._draw, person, mark[1], paris_now(), panels=(KIDNEY, INFLAMMATION))
        return oru(replace(report, report_id=report_id(mark)), control_id=f"P{mark[0]:04d}{mark[1]:06d}")

    async def _deliver(self, mark: Mark, message: bytes) -> None:
        rest = _SHORTEST_REST
        while True:
            self._ledger.sending(mark)
            try:
                ack = await (await self._connected()).send(message)
            except NoAnswer:
                await self._hang_up()
            else:
                if ack.accepted:
                    self._ledger.acknowledge(mark)
                    return
                if not ack.worth_resending:
                    self._ledger.refused[mark] = ack.code
                    return
            await asyncio.sleep(rest)
            rest = min(2 * rest, _LONGEST_REST)

    async def _connected(self) -> MllpSender:
        if self._link is None or self._link[0] != self._target.address:
            await self._hang_up()
            address = self._target.address
            self._link = (address, MllpSender.to(address, timeout=self._answer))
        return self._link[1]

    async def _hang_up(self) -> None:
        if self._link is not None:
            await self._link[1].close()
            self._link = None
