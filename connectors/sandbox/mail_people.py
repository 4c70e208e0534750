"""Who has a mailbox at the sandbox's operator: invented, like everybody here."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.sandbox.people import population

DOMAIN = "sandbox.mssante.invalid"
PATIENTS = f"patient.{DOMAIN}"
SECRET = "bac-a-sable"  # noqa: S105 - the password of every mailbox of a sandbox, which it prints
ROUTER = f"passerelle@{DOMAIN}"
HOSPITAL = f"hopital@{DOMAIN}"
LABORATORY = f"laboratoire@{DOMAIN}"
DOCTOR = f"medecin@{DOMAIN}"
NURSE = f"infirmiere@{DOMAIN}"
FULL = f"pleine@{DOMAIN}"
NOBODY = f"personne@{DOMAIN}"
FOREIGN = "quelquun@exterieur.invalid"
QUOTA = 100 * 1024 * 1024
SMALL_QUOTA = 2048


@dataclass(frozen=True, slots=True)
class Persona:
    """A mailbox and how it behaves: `reads` answers reading notifications by itself."""

    address: str
    who: str
    quota: int = QUOTA
    reads: bool = False


def patient_address() -> str:
    """Give the address of the sandbox's patient: the matricule of a test INS."""
    return f"{population(1)[0].matricule}@{PATIENTS}"


def personas() -> tuple[Persona, ...]:
    """List the mailboxes."""
    return (
        Persona(ROUTER, "the router's own mailbox (APP)"),
        Persona(HOSPITAL, "a hospital that sends documents"),
        Persona(LABORATORY, "a laboratory that sends HPRIM files"),
        Persona(DOCTOR, "a general practitioner whose mailbox answers reading notifications", reads=True),
        Persona(NURSE, "a nurse who answers nothing"),
        Persona(patient_address(), "a patient"),
        Persona(FULL, "a mailbox that is full", quota=SMALL_QUOTA),
    )
