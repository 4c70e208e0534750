"""The letter that her hospital sends by MSSanté when she leaves."""

from __future__ import annotations

from mails import attached, mail, text
from xdm_archives import CONFIDENTIALITY, cda, classification, entry, xdm

from connectors.sandbox.mail_people import HOSPITAL, ROUTER


def mailed_letter(*labels: str, number: str = "1.2.250.1.999.67.1") -> bytes:
    """The hospital's mail with the letter of discharge, under further confidentiality codes."""
    content = cda(number)
    marks = "".join(classification(CONFIDENTIALITY, one, "1.2.250.1.213.1.1.4.13", one) for one in labels)
    archive = xdm(document=content, listed=entry(content, unique_id=number, inside=marks))
    return mail(
        text("Veuillez trouver ci-joint la lettre."),
        attached(archive, "IHE_XDM.ZIP", "application/zip"),
        From=f"Hopital fictif <{HOSPITAL}>",
        To=ROUTER,
        Subject="XDM/1.0/DDM+Lettre de liaison",
        Message_ID=f"<{number}@sandbox.mssante.invalid>",
    )
