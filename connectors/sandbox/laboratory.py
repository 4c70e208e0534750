"""A town laboratory: results over MLLP, and HPRIM files dropped into a shared folder."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from connectors.sandbox.cda import cr_bio
from connectors.sandbox.hprim import hprim_medecin, hprim_sante
from connectors.sandbox.mllp import Ack, MllpSender, NoAnswer, send_until_answered
from connectors.sandbox.oru import oru
from connectors.sandbox.people import Person, population
from connectors.sandbox.reports import Report, draw_report

PARIS = ZoneInfo("Europe/Paris")


def paris_now() -> datetime:
    """Give the legal time in France."""
    return datetime.now(UTC).astimezone(PARIS)


def drop(folder: Path, name: str, content: bytes) -> Path:
    """Put a file into a folder so that nobody ever sees half of it: written under a hidden name, synced, renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f".{name}.part"
    with hidden.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return hidden.replace(folder / name)


class Laboratory:
    """A laboratory with its numbering: control ids, report ids and file names never repeat.

    They count on from `first`, and control ids and names begin with `prefix`: two laboratories that talk to the same
    router need different ones. `sender` is where ORU go (None: it sends none), `folder` where HPRIM files go (None: it
    drops none).
    """

    def __init__(
        self,
        *,
        sender: MllpSender | None = None,
        folder: Path | None = None,
        seed: int = 1,
        prefix: str = "LABO",
        first: int = 0,
        now: Callable[[], datetime] = paris_now,
    ) -> None:
        self._sender = sender
        self._folder = folder
        self._draw = random.Random(seed)
        self._prefix = prefix
        self._now = now
        self._number = first

    def report(self, person: Person) -> Report:
        """Draw a new report about a person, issued now."""
        self._number += 1
        return draw_report(self._draw, person, self._number, self._now())

    def oru(self, report: Report, *, visit: str = "", with_ins: bool = True) -> bytes:
        """Write the ORU of a report, under a new control id."""
        self._number += 1
        return oru(report, control_id=f"{self._prefix}-{self._number:08d}", visit=visit, with_ins=with_ins)

    async def send(self, message: bytes) -> Ack:
        """Send a message until it is answered; raises NoAnswer when patience ends."""
        if self._sender is None:
            raise NoAnswer("this laboratory has no MLLP connection")
        return await send_until_answered(self._sender, message)

    async def send_report(self, report: Report, *, visit: str = "") -> Ack:
        """Send a report as ORU^R01."""
        return await self.send(self.oru(report, visit=visit))

    def drop_medecin(self, report: Report) -> Path:
        """Drop a report as an HPRIM Médecin file; gives its path."""
        return self._drop(".hpm", lambda _: hprim_medecin(report))

    def drop_sante(self, report: Report) -> Path:
        """Drop a report as an HPRIM Santé file; gives its path."""
        return self._drop(".hpr", lambda name: hprim_sante(report, name))

    def drop_cr_bio(self, report: Report) -> Path:
        """Drop a report as a CR-BIO document (CDA); gives its path."""
        return self._drop(".xml", lambda _: cr_bio(report))

    def drop_bytes(self, name: str, content: bytes) -> Path:
        """Drop any content under a name of the caller's."""
        if self._folder is None:
            raise ValueError("this laboratory has no folder")
        return drop(self._folder, name, content)

    def _drop(self, suffix: str, write: Callable[[str], bytes]) -> Path:
        self._number += 1
        name = f"{self._prefix[:4]}{self._number:04d}{suffix}".upper()
        return self.drop_bytes(name, write(name))


@dataclass(frozen=True, slots=True)
class LaboratorySettings:
    """What a laboratory that runs by itself needs.

    `mllp` is `HOST:PORT`; without it only files are dropped. `every` is the mean interval in seconds between two
    reports, `rhythm` what it is multiplied by at each moment; `people` the patients it draws from.
    """

    mllp: str | None = None
    folder: Path | None = None
    every: float = 5.0
    rhythm: Callable[[], float] = lambda: 1.0
    seed: int = 1
    prefix: str = "LABO"
    first: int = 0
    people: Sequence[Person] = field(default_factory=lambda: population(20))


async def run(settings: LaboratorySettings, *, now: Callable[[], datetime] = paris_now) -> None:
    """Send reports until cancelled, by MLLP or by file as settings allow, at exponential intervals.

    A receiver that does not answer is tried again for ever, as a laboratory would: nothing is given up.
    """
    draw = random.Random(settings.seed)
    sender = MllpSender.to(settings.mllp) if settings.mllp else None
    laboratory = Laboratory(
        sender=sender, folder=settings.folder, seed=settings.seed, prefix=settings.prefix, first=settings.first, now=now
    )
    try:
        while True:
            await asyncio.sleep(settings.rhythm() * draw.expovariate(1 / settings.every))
            report = laboratory.report(draw.choice(settings.people))
            if sender is not None and (settings.folder is None or draw.random() < 0.6):
                await _until_answered(laboratory, laboratory.oru(report))
            else:
                draw.choice((laboratory.drop_medecin, laboratory.drop_sante, laboratory.drop_cr_bio))(report)
    finally:
        if sender is not None:
            await sender.close()


async def _until_answered(laboratory: Laboratory, message: bytes) -> Ack:
    while True:
        try:
            return await laboratory.send(message)
        except NoAnswer:
            continue
