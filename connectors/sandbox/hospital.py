"""A hospital's administrative system: admissions, transfers, discharges and identities as ADT over MLLP."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from connectors.sandbox.adt import CARDIOLOGY, EMERGENCIES, GERIATRICS, Movement, Unit, Visit, adt
from connectors.sandbox.cda import LETTER_TYPE, discharge_letter, oid_of
from connectors.sandbox.laboratory import paris_now
from connectors.sandbox.mdm import mdm
from connectors.sandbox.mllp import Ack, MllpSender, NoAnswer, send_until_answered
from connectors.sandbox.people import Person, population


@dataclass(frozen=True, slots=True)
class Stay:
    """A patient's stay as the hospital holds it: who, which visit, the last movement."""

    person: Person
    visit: Visit
    last: Movement


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter as the hospital numbers it: the first version under its number, later ones under `number/version`."""

    series: str
    version: int = 1

    @property
    def number(self) -> str:
        """The number of this version."""
        return self.series if self.version == 1 else f"{self.series}/{self.version}"

    @property
    def document_id(self) -> str:
        """The id of the document, an OID."""
        return oid_of(self.number)

    def next(self) -> Letter:
        """Give the next version."""
        return replace(self, version=self.version + 1)


class Hospital:
    """A hospital with its numbering of messages, visits and movements; each call sends one ADT and gives its ACK.

    Numbers count on from `first`: two hospitals that talk to the same router need different ones.

    Messages are sent again, the same bytes, until they are answered. Raises NoAnswer, from every call, when patience
    ends: the stay is then unchanged, and the same event may be sent again.
    """

    def __init__(
        self, sender: MllpSender, *, prefix: str = "ADT", first: int = 0, now: Callable[[], datetime] = paris_now
    ) -> None:
        self._sender = sender
        self._prefix = prefix
        self._now = now
        self._number = first

    async def admit(
        self, person: Person, unit: Unit = EMERGENCIES, *, at: datetime | None = None, event: str = "A01"
    ) -> tuple[Stay, Ack]:
        """Admit a person (A01), or register an outpatient (A04)."""
        moment = at or self._now()
        rank = self._next()
        visit = Visit(f"SEJ{rank:07d}", f"DOS{rank:07d}", moment, patient_class="I" if event == "A01" else "O")
        stay = Stay(person, visit, Movement(f"MVT{rank:07d}", moment, unit))
        return stay, await self._send(event, stay)

    async def transfer(self, stay: Stay, unit: Unit, *, at: datetime | None = None) -> tuple[Stay, Ack]:
        """Transfer to another unit (A02)."""
        moment = at or self._now()
        movement = Movement(f"MVT{self._next():07d}", moment, unit, previous=stay.last.unit)
        moved = replace(stay, last=movement)
        return moved, await self._send("A02", moved)

    async def discharge(self, stay: Stay, *, at: datetime | None = None) -> tuple[Stay, Ack]:
        """Discharge (A03)."""
        moment = at or self._now()
        movement = replace(stay.last, identifier=f"MVT{self._next():07d}", at=moment, previous=None)
        ended = replace(stay, visit=replace(stay.visit, discharged_at=moment), last=movement)
        return ended, await self._send("A03", ended)

    async def cancel_admission(self, stay: Stay) -> Ack:
        """Cancel the admission (A11): the movement that it names is the admission's."""
        return await self._send("A11", stay)

    async def send_letter(
        self, stay: Stay, lines: Sequence[str], *, corrects: Letter | None = None, signed: bool = True
    ) -> tuple[Letter, Ack]:
        """Send the discharge letter of a stay, a CDA in an MDM; gives the letter and the answer.

        One that `corrects` a letter is its next version, in an MDM^T10. One that is not `signed` is not as it must be.
        """
        letter = Letter(f"LET{self._next():07d}") if corrects is None else corrects.next()
        at = self._now()
        cda = discharge_letter(
            stay.person,
            stay.visit,
            lines,
            number=letter.number,
            at=at,
            version=letter.version,
            replaces=corrects.number if corrects is not None else None,
            signed=signed,
        )
        message = mdm(
            stay.person,
            stay.visit,
            stay.last,
            cda,
            document_id=letter.document_id,
            kind=LETTER_TYPE,
            control_id=self._control_id(),
            at=at,
            replaces=corrects.document_id if corrects is not None else "",
        )
        return letter, await send_until_answered(self._sender, message)

    async def register(self, person: Person) -> Ack:
        """Announce an identity (A28)."""
        return await self._send_identity("A28", person)

    async def update(self, person: Person) -> Ack:
        """Update an identity (A31)."""
        return await self._send_identity("A31", person)

    async def merge(self, survivor: Person, absorbed_ipp: str) -> Ack:
        """Merge an IPP into a person's own (A40)."""
        return await self._send_identity("A40", survivor, absorbed=absorbed_ipp)

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _control_id(self) -> str:
        return f"{self._prefix}-{self._next():08d}"

    async def _send(self, event: str, stay: Stay) -> Ack:
        control_id = self._control_id()
        person, visit, movement = stay.person, stay.visit, stay.last
        message = adt(event, person, control_id=control_id, at=self._now(), visit=visit, movement=movement)
        return await send_until_answered(self._sender, message)

    async def _send_identity(self, event: str, person: Person, absorbed: str = "") -> Ack:
        message = adt(event, person, control_id=self._control_id(), at=self._now(), absorbed=absorbed)
        return await send_until_answered(self._sender, message)


@dataclass(frozen=True, slots=True)
class HospitalSettings:
    """What a hospital that runs by itself needs.

    `mllp` is `HOST:PORT`, `every` the mean seconds between events, `rhythm` what they are multiplied by at each moment.
    """

    mllp: str
    every: float = 8.0
    rhythm: Callable[[], float] = lambda: 1.0
    seed: int = 1
    prefix: str = "ADT"
    first: int = 0
    people: Sequence[Person] = field(default_factory=lambda: population(20))


async def run(settings: HospitalSettings, *, now: Callable[[], datetime] = paris_now) -> None:
    """Admit, transfer and discharge people until cancelled; an event without answer is played again later."""
    draw = random.Random(settings.seed)
    present: dict[str, Stay] = {}
    async with MllpSender.to(settings.mllp) as sender:
        hospital = Hospital(sender, prefix=settings.prefix, first=settings.first, now=now)
        while True:
            await asyncio.sleep(settings.rhythm() * draw.expovariate(1 / settings.every))
            person = draw.choice(settings.people)
            try:
                await _next_event(hospital, draw, present, person)
            except NoAnswer:
                continue


async def _next_event(hospital: Hospital, draw: random.Random, present: dict[str, Stay], person: Person) -> None:
    """Play the next plausible event of a person; `present` is updated only once the event was answered."""
    stay = present.get(person.ipp)
    if stay is None:
        admitted, _ = await hospital.admit(person)
        present[person.ipp] = admitted
    elif draw.random() < 0.4:
        choices = [unit for unit in (CARDIOLOGY, GERIATRICS) if unit != stay.last.unit]
        moved, _ = await hospital.transfer(stay, draw.choice(choices))
        present[person.ipp] = moved
    else:
        await hospital.discharge(stay)
        del present[person.ipp]
