"""Mails as a hospital and a laboratory send them through MSSanté, by the standard library and not by our own writer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from connectors.sandbox.adt import Visit
from connectors.sandbox.cda import LETTER_TYPE, discharge_letter, oid_of
from connectors.sandbox.hprim import hprim_medecin
from connectors.sandbox.mail_people import DOMAIN, HOSPITAL, LABORATORY, ROUTER
from connectors.sandbox.people import HOSPITAL_NAME, Person
from connectors.sandbox.reports import LABORATORY_NAME, Report
from connectors.sandbox.xdm import xdm

_TITLE = "Lettre de liaison à la sortie de l'établissement de santé"
_LABEL = 40
"""Characters of a document's label in a subject."""


def hospital_mail(person: Person, visit: Visit, lines: Sequence[str], *, number: str, at: datetime) -> bytes:
    """Write the mail of a hospital: a letter as IHE_XDM.ZIP, with a reading notification asked for.

    `number` names mail and letter; the id of the document is `oid_of(number)`.
    """
    cda = discharge_letter(person, visit, lines, number=number, at=at)
    mail = _mail(Address(HOSPITAL_NAME, addr_spec=HOSPITAL), number, at)
    named = f"{person.birth_name} {person.given_name} {person.birth_date:%d/%m/%Y}"
    mail["Subject"] = f"XDM/1.0/DDM+{LETTER_TYPE[1][:_LABEL]} {named}"
    mail["X-MSS-CODECDA"] = LETTER_TYPE[0]
    mail["X-MSS-INS"] = "O"
    mail["Disposition-Notification-To"] = HOSPITAL
    mail.set_content("Bonjour,\n\nVeuillez trouver ci-joint un document.\n\nCordialement\n")
    archive = xdm(cda, person, document_id=oid_of(number), title=_TITLE, began=visit.admitted_at, at=at)
    mail.add_attachment(archive, maintype="application", subtype="zip", filename="IHE_XDM.ZIP")
    return mail.as_bytes(policy=SMTP)


def laboratory_mail(report: Report, *, number: str) -> bytes:
    """Write the mail of a laboratory: a report as an HPRIM Médecin file, as laboratories did before MSSanté too."""
    mail = _mail(Address(LABORATORY_NAME, addr_spec=LABORATORY), number, report.issued_at)
    mail["Subject"] = f"HNET.1/MSG/{number}"
    mail.set_content("Bonjour,\n\nVeuillez trouver ci-joint un compte rendu.\n\nCordialement\n")
    content = hprim_medecin(report)
    mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=f"{number}.hpm")
    return mail.as_bytes(policy=SMTP)


def message_id(number: str) -> str:
    """Give the Message-ID of the mail of this number."""
    return f"<{number.lower()}@{DOMAIN}>"


def _mail(sender: Address, number: str, at: datetime) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = ROUTER
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = message_id(number)
    return mail
