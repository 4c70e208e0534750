"""Patients in lists: enough to tell two lines apart, not enough to know who it is."""

from __future__ import annotations

from router.journal.queries_lines import PatientLine

HIDDEN = "•••"


def masked(patient: PatientLine) -> str:
    """Give initials and the year of birth: `R••• T•••, 1931`; an empty text when nothing is known."""
    names = " ".join(f"{name.strip()[0].upper()}{HIDDEN}" for name in (patient.given, patient.family) if name.strip())
    year = patient.birth_date[:4]
    return ", ".join(part for part in (names, year) if part)


def unmasked(patient: PatientLine) -> str:
    """Give the names in full, family name first, as a list of patients does."""
    return " ".join(part for part in (patient.family, patient.given) if part)
