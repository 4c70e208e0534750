"""HPRIM Médecin files for tests: a header of a fictitious patient, and whatever lines a test needs."""

from __future__ import annotations

HEADER = (
    "T0001",
    "TESTROSE",
    "Marie",
    "1 rue des Essais",
    "",
    "99999 VILLE-TEST",
    "05/03/1979",
    "2790399999999 16",
    "FICT001",
    "05/06/2024",
    "LABFIC     LABORATOIRE FICTIF",
    "DRTEST     DR TESTEUR",
)


def medecin(*lines: str, header: tuple[str, ...] = HEADER, end: tuple[str, ...] = ("****FIN****",)) -> bytes:
    """A file with one report: header, lines, end tags."""
    return "\r\n".join([*header, *lines, *end, "****FINFICHIER****", ""]).encode("cp1252")


def coded(*records: str, **changes: tuple[str, ...]) -> bytes:
    """A file with one report that has a coded block of these lines."""
    return medecin("Texte lisible", "****LAB****", *records, **changes)


def with_line(number: int, text: str) -> tuple[str, ...]:
    """The header with one line (from 1) changed."""
    return tuple(text if at == number else line for at, line in enumerate(HEADER, 1))
