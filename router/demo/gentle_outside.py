"""Quiet traffic of MSSanté and the DMP: letters, files of laboratories, notes, deposits of others."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx

from connectors.sandbox.adt import Visit
from connectors.sandbox.dmp.others import deposit
from connectors.sandbox.hospital import Hospital
from connectors.sandbox.laboratory import paris_now
from connectors.sandbox.mail_store import MailboxFull
from connectors.sandbox.mllp import NoAnswer
from connectors.sandbox.people import Person
from connectors.sandbox.reports import draw_report
from router.demo.stage import Stage
from router.demo.story_mail import MailStory

EVERY = 25.0
"""Mean seconds between two of these, by day."""

_NUMBERS_FROM = 900_000
"""Far from the numbers of the hospital and the laboratory that live beside."""
_LINES = ("Chère Consœur, cher Confrère,", "", "Évolution favorable, traitement inchangé.", "À revoir dans un mois.")
_NOTES = (
    "Passage du matin : poids stable, pas d'œdème.",
    "Pilulier incomplet ce soir, à vérifier au prochain passage.",
    "Tension 15/8 au repos, un peu essoufflée à l'effort.",
)


class Correspondence:
    """Who writes letters, files and notes once the story is told."""

    def __init__(self, stage: Stage, hospital: Hospital, draw: random.Random) -> None:
        self._stage = stage
        self._hospital = hospital
        self._mails = MailStory(stage, prefix="VIEMSS")
        self._draw = draw
        self._number = _NUMBERS_FROM
        self._deck: list[Callable[[Person], Awaitable[None]]] = []

    async def next(self) -> None:
        """Send one, each kind once a round. Raises NoAnswer, httpx.HTTPError or MailboxFull when it is not taken."""
        if not self._deck:
            self._deck = [self._letter, self._letter_by_mail, self._file, self._note, self._deposit]
            self._draw.shuffle(self._deck)
        await self._deck.pop()(self._draw.choice(self._stage.people))

    async def _letter(self, person: Person) -> None:
        """Discharge somebody, with a letter that goes to the DMP; the corrected one follows now and then."""
        stay, _ = await self._hospital.admit(person, at=paris_now() - timedelta(days=3))
        stay, _ = await self._hospital.discharge(stay)
        letter, _ = await self._hospital.send_letter(stay, _LINES)
        if self._draw.random() < 0.25:
            await self._hospital.send_letter(stay, (*_LINES, "Posologie corrigée."), corrects=letter)

    async def _letter_by_mail(self, person: Person) -> None:
        now = paris_now()
        self._number += 1
        name = f"{self._number:07d}"
        visit = Visit(f"SEJ{name}", f"DOS{name}", now - timedelta(days=2), discharged_at=now)
        self._mails.letter(person, visit, _LINES, now)

    async def _file(self, person: Person) -> None:
        self._number += 1
        now = paris_now()
        self._mails.report(draw_report(self._draw, person, self._number, now), now)

    async def _note(self, person: Person) -> None:
        await self._mails.note(person, "Visite à domicile", self._draw.choice(_NOTES), paris_now())

    async def _deposit(self, person: Person) -> None:
        """Let a practitioner deposit a report in somebody's DMP: the router goes and finds it."""
        dmp = self._stage.outside.dmp
        await asyncio.to_thread(deposit, dmp.store, person, lines=_LINES, at=dmp.now())


async def correspond(stage: Stage, draw: random.Random, rhythm: Callable[[], float]) -> None:
    """Write for ever; what is not taken is left, and something else is written later."""
    async with stage.sender("hopital") as link:
        hospital = Hospital(link, prefix="VIELET", first=_NUMBERS_FROM)
        correspondence = Correspondence(stage, hospital, draw)
        while True:
            await asyncio.sleep(rhythm() * draw.expovariate(1 / EVERY))
            try:
                await correspondence.next()
            except (NoAnswer, httpx.HTTPError, MailboxFull):
                continue
