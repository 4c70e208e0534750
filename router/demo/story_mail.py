"""What comes and leaves by MSSanté in the story: a hospital's letter, a laboratory's file, a note to the GP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from connectors.sandbox.adt import Visit
from connectors.sandbox.cda import oid_of
from connectors.sandbox.correspondence import hospital_mail, laboratory_mail, message_id
from connectors.sandbox.liaison import note_bundle, post_note
from connectors.sandbox.mail_people import HOSPITAL, LABORATORY, ROUTER
from connectors.sandbox.mail_store import INBOX
from connectors.sandbox.people import PRESCRIBER, Person
from connectors.sandbox.reports import Report
from router.demo.scene import Mailed, Scene
from router.demo.stage import Stage


class MailStory:
    """Sends mails to the router's mailbox, and the tool's notes to the router; each gives the scene it is."""

    def __init__(self, stage: Stage, prefix: str = "MSS") -> None:
        self._stage = stage
        self._prefix = prefix
        self._number = 0

    def letter(self, person: Person, visit: Visit, lines: Sequence[str], at: datetime) -> Scene:
        """Mail a hospital's letter in an XDM; the hospital wants to know that it was processed."""
        number = self._next()
        control_id = self._deliver(hospital_mail(person, visit, lines, number=number, at=at), HOSPITAL)
        return Scene(
            at,
            "Hospital",
            "Emergencies' letter (mail, XDM)",
            "messagerie",
            control_id,
            "mailed",
            resources=(("DocumentReference", f"urn:oid:{oid_of(number)}", "current"),),
            mail=Mailed("filed, answered", message_id=message_id(number)),
        )

    def report(self, report: Report, at: datetime) -> Scene:
        """Mail a laboratory's report as an HPRIM Médecin file, as to the platform of 2008."""
        number = self._next()
        control_id = self._deliver(laboratory_mail(report, number=number), LABORATORY)
        return Scene(
            at,
            "Laboratory",
            "CRP (mail, .hpm attached)",
            "messagerie",
            control_id,
            "mailed",
            resources=(("DiagnosticReport", report.report_id, "final"),),
            copied=True,
            mail=Mailed("filed", message_id=message_id(number)),
        )

    async def note(self, person: Person, subject: str, text: str, at: datetime) -> Scene:
        """Post a note as the coordination tool; it leaves to the general practitioner, who reads it."""
        number = self._next()
        note = note_bundle(person, PRESCRIBER, subject, text, number=number, at=at)
        url = self._stage.listening.sources["dossier"]
        status = await post_note(url, self._stage.notes_key, note, number=number)
        return Scene(
            at,
            "Coordination",
            "Note to the GP (FHIR)",
            "dossier",
            number,
            str(status),
            mail=Mailed("at the GP, acknowledged", words=text),
        )

    def _next(self) -> str:
        self._number += 1
        return f"{self._prefix}{self._number:05d}"

    def _deliver(self, content: bytes, sender: str) -> str:
        """Put a mail into the router's mailbox; gives the name under which the journal knows it."""
        store = self._stage.outside.operator.store
        mail = store.deliver(ROUTER, content, sender)
        folder = store.accounts[ROUTER].create(INBOX)
        return f"{ROUTER}/{INBOX}/{folder.validity}/{mail.uid}"
