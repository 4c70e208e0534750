"""MSSanté addresses: whose mailbox an address is, as far as it says so itself."""

from __future__ import annotations

from schemas.identifiers import MatriculeVerdict, check_matricule


def domain_of(address: str) -> str:
    """Give the domain of an address in small letters; empty when it has none."""
    return address.rpartition("@")[2].strip().lower() if "@" in address else ""


def is_patient_address(address: str) -> bool:
    """Say whether this is a patient's mailbox in Mon espace santé: `…@patient.mssante.fr` and its test domains."""
    first, *others = domain_of(address).split(".")
    return first == "patient" and "mssante" in others


def matricule_of(address: str) -> str | None:
    """Give the matricule that a patient's address is made of, None when it is none or its key is wrong."""
    if not is_patient_address(address):
        return None
    checked = check_matricule(address.rpartition("@")[0].strip())
    return checked.value if checked.verdict is MatriculeVerdict.OK else None
