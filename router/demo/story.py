"""The story of Mme Rose: admitted on a Thursday, followed by her laboratory, discharged on the Monday after."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from connectors.sandbox.adt import CARDIOLOGY, EMERGENCIES
from connectors.sandbox.analyses import HEART, INFLAMMATION, IONOGRAM, KIDNEY, NFS, Panel
from connectors.sandbox.cda import report_document_id
from connectors.sandbox.dmp.others import deposit
from connectors.sandbox.hospital import Hospital, Letter
from connectors.sandbox.laboratory import Laboratory
from connectors.sandbox.mllp import Ack, control_id_of
from connectors.sandbox.oru import under_used_name
from connectors.sandbox.people import BY_USED_NAME, DOUBLE_IPP, ROSE, STRANGER, WITHOUT_INS, Person
from connectors.sandbox.reports import Report, draw_report
from router.demo.scene import InDmp, Scene
from router.demo.stage import Stage
from router.demo.story_mail import MailStory

_THURSDAY = 3
_LETTER = (
    "Chère Consœur, cher Confrère,",
    "",
    "Mme Rose TESTROSE (personne fictive) a été hospitalisée du jeudi au lundi",
    "pour une décompensation cardiaque, dans le service de cardiologie.",
    "",
    "Traitement de sortie : inchangé, furosémide majoré.",
    "À surveiller : poids chaque matin, ionogramme dans une semaine.",
    "Passage infirmier à domicile deux fois par jour.",
)
_CORRECTED = (*_LETTER[:6], "Traitement de sortie : furosémide 40 mg le matin (et non 80 mg).", *_LETTER[7:])
_UNSIGNED = (*_LETTER[:2], "Courrier dicté, non relu.")
_EMERGENCIES = ("Chère Consœur, cher Confrère,", "", "Mme Rose TESTROSE est transférée des urgences en cardiologie.")
_CONSULTATION = ("Dyspnée d'effort, œdèmes des chevilles, poids 64 kg.", "Adressée pour avis cardiologique.")
_NOTE = "Poids : 62,4 kg ce matin, deux kilos de plus en trois jours. Faut-il revoir le furosémide ?"
_UNREADABLE = b"RESULTATS ILLISIBLES\r\nce fichier n'est d'aucun format connu\r\n"


def last_thursday(now: datetime) -> datetime:
    """Give midnight of the last Thursday that lies at least five days back: the whole story is then in the past."""
    day = (now - timedelta(days=5)).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=(day.weekday() - _THURSDAY) % 7)


class Decider(Protocol):
    """Who sits at the identity desk while the story is played."""

    async def resolve_by_insi(self) -> None:
        """Ask INSi about the patient that the newest held Item may be about, and take INSi's person."""

    async def resolve_by_hand(self) -> bool:
        """Attach the newest held Item to the patient it may be about; False to leave it to whoever watches."""


class Story:
    """Plays the scenes one after the other, each sent over a real connection or dropped as a real file."""

    def __init__(self, stage: Stage, thursday: datetime, decider: Decider, seed: int = 1) -> None:
        self._stage = stage
        self._officer = decider
        self._thursday = thursday
        self._moment = thursday
        self._draw = random.Random(seed)
        self._number = 0

    async def play(self) -> AsyncGenerator[Scene, None]:
        """Play; each scene is given once its sender was answered."""
        async with AsyncExitStack() as stack:
            hospital_link = await stack.enter_async_context(self._stage.sender("hopital"))
            laboratory_link = await stack.enter_async_context(self._stage.sender("laboratoire"))
            hospital = Hospital(hospital_link, now=lambda: self._moment)
            laboratory = Laboratory(
                sender=laboratory_link, folder=self._stage.inbox, prefix="LABO", now=lambda: self._moment
            )

            mails = MailStory(self._stage)

            self._clock(-1, 8, 20)
            report = self._report(ROSE, (NFS, INFLAMMATION))
            yield self._dropped("Blood count (HPRIM Médecin file)", laboratory.drop_medecin, report)

            self._clock(-1, 18, 30)
            yield await self._deposited("Report deposited in the DMP")

            self._clock(0, 10, 40)
            stay, ack = await hospital.admit(ROSE, EMERGENCIES)
            yield self._moved("Admission, emergencies (A01)", ack.control_id, ack.code, stay.visit.number)

            self._clock(0, 12, 5)
            report = self._report(ROSE, (IONOGRAM, KIDNEY, INFLAMMATION))
            ionogram = report
            yield await self._sent("Ionogram, kidney, CRP (ORU)", laboratory, report, stay.visit.number)

            self._clock(0, 16, 30)
            stay, ack = await hospital.transfer(stay, CARDIOLOGY)
            yield self._moved("Transfer to cardiology (A02)", ack.control_id, ack.code, stay.visit.number)

            self._clock(0, 17, 30)
            yield mails.letter(ROSE, stay.visit, _EMERGENCIES, self._moment)

            self._clock(1, 7, 45)
            report = self._report(ROSE, (HEART, KIDNEY))
            yield self._dropped("NT-proBNP (HPRIM Santé file)", laboratory.drop_sante, report)

            self._clock(1, 9, 15)
            corrected = ionogram.corrected(
                "K", "5.6", issued_at=self._moment, comment="Résultat contrôlé, corrige 1re édition"
            )
            yield await self._sent("Potassium, corrected (ORU)", laboratory, corrected, stay.visit.number)

            self._clock(1, 18, 0)
            yield mails.report(self._report(ROSE, (INFLAMMATION,)), self._moment)

            self._clock(2, 8, 30)
            report = self._report(ROSE, (NFS, IONOGRAM))
            yield self._dropped("Blood count, ionogram (CR-BIO)", laboratory.drop_cr_bio, report, document=True)

            self._clock(4, 14, 0)
            stay, ack = await hospital.discharge(stay)
            yield self._moved("Discharge, home (A03)", ack.control_id, ack.code, stay.visit.number, "finished")

            self._clock(4, 14, 20)
            letter, ack = await hospital.send_letter(stay, _LETTER)
            yield self._lettered("Discharge letter (MDM)", letter, ack, "Deprecated")

            self._clock(4, 14, 50)
            corrected_letter, ack = await hospital.send_letter(stay, _CORRECTED, corrects=letter)
            yield self._lettered(
                "Letter corrected (MDM^T10)", corrected_letter, ack, "Approved, replaces", replaces=True
            )

            self._clock(4, 15, 0)
            unsigned, ack = await hospital.send_letter(stay, _UNSIGNED, signed=False)
            yield self._lettered("Letter that nobody validated", unsigned, ack, "held")

            self._clock(4, 15, 10)
            report = self._report(STRANGER, (INFLAMMATION,))
            scene = await self._sent("CRP of an unknown person (ORU)", laboratory, report)
            yield replace(scene, state="held", copied=False)

            self._clock(4, 15, 30)
            path = laboratory.drop_bytes("ILLISIBLE.HPR", _UNREADABLE)
            yield self._scene("Laboratory", "File that nobody can read", "depot", path.name, "taken", state="rejected")

            self._clock(4, 16, 0)
            ack = await hospital.merge(ROSE, DOUBLE_IPP)
            yield self._scene("Hospital", "Second IPP merged (A40)", "hopital", ack.control_id, ack.code)

            self._clock(4, 16, 20)
            report = self._report(WITHOUT_INS, (KIDNEY,))
            scene = await self._sent("Kidney; INSi gives the INS (ORU)", laboratory, report)
            await self._officer.resolve_by_insi()
            yield replace(scene, about_rose=False)

            self._clock(4, 16, 40)
            report = self._report(BY_USED_NAME, (NFS,))
            message = under_used_name(laboratory.oru(report, with_ins=False), BY_USED_NAME, "SUD-0001")
            scene = await self._sent_as("Blood count, name of use (ORU)", laboratory, report, message)
            scene = replace(scene, about_rose=False)
            yield scene if await self._officer.resolve_by_hand() else replace(scene, state="held", copied=False)

            self._clock(4, 17, 0)
            yield await mails.note(ROSE, "Prise de poids", _NOTE, self._moment)

    def _clock(self, days: int, hour: int, minute: int) -> None:
        self._moment = self._thursday + timedelta(days=days, hours=hour, minutes=minute)

    def _report(self, person: Person, panels: tuple[Panel, ...]) -> Report:
        self._number += 1
        return draw_report(self._draw, person, self._number, self._moment, panels=panels)

    def _dropped(self, what: str, drop: Callable[[Report], Path], report: Report, *, document: bool = False) -> Scene:
        path = drop(report)
        resources = [("DiagnosticReport", report.report_id, "final")]
        if document:
            resources.append(("DocumentReference", f"urn:oid:{report_document_id(report)}", "current"))
        return self._scene("Laboratory", what, "depot", path.name, "taken", resources=tuple(resources), copied=True)

    async def _sent(self, what: str, laboratory: Laboratory, report: Report, visit: str = "") -> Scene:
        return await self._sent_as(what, laboratory, report, laboratory.oru(report, visit=visit))

    async def _sent_as(self, what: str, laboratory: Laboratory, report: Report, message: bytes) -> Scene:
        ack = await laboratory.send(message)
        status = "corrected" if report.status == "C" else "final"
        return self._scene(
            "Laboratory",
            what,
            "laboratoire",
            control_id_of(message),
            ack.code,
            resources=(("DiagnosticReport", report.report_id, status),),
            copied=True,
        )

    def _moved(self, what: str, control_id: str, answer: str, visit: str, status: str = "in-progress") -> Scene:
        return self._scene("Hospital", what, "hopital", control_id, answer, resources=(("Encounter", visit, status),))

    def _lettered(self, what: str, letter: Letter, ack: Ack, promise: str, *, replaces: bool = False) -> Scene:
        """Tell of a letter by MDM: at the tool, and in the DMP as promised."""
        status = "current, replaces" if replaces else "current"
        document = ("DocumentReference", f"urn:oid:{letter.document_id}", status)
        scene = self._scene("Hospital", what, "hopital", ack.control_id, ack.code, resources=(document,))
        return replace(scene, dmp=InDmp(promise, letter.document_id))

    async def _deposited(self, what: str) -> Scene:
        """Let the general practitioner deposit in the DMP, now, what was written then: the router goes and finds it."""
        dmp = self._stage.outside.dmp
        unique_id = await asyncio.to_thread(
            deposit, dmp.store, ROSE, lines=_CONSULTATION, number="CS00001", at=self._moment, submitted=dmp.now()
        )
        document = ("DocumentReference", f"urn:oid:{unique_id}", "current")
        scene = self._scene("GP", what, "dmp", unique_id, "deposited", resources=(document,))
        return replace(scene, dmp=InDmp("Approved", unique_id))

    def _scene(
        self,
        who: str,
        what: str,
        source: str,
        control_id: str,
        answer: str,
        *,
        state: str = "processed",
        resources: tuple[tuple[str, str, str], ...] = (),
        copied: bool = False,
    ) -> Scene:
        return Scene(self._moment, who, what, source, control_id, answer, state, resources, copied)
