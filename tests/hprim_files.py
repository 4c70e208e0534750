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
    "2790399999999 71",
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


SANTE_HEADER = r"H|~^\&|FICT0001.HPR||LABFIC~LABORATOIRE FICTIF||ORU|||CHFIC~HOPITAL FICTIF||P|H2.2~C|20240605183000"
SANTE_PATIENT = "P|1|IPP1|LAB1|SEJ1|TESTROSE~Marie|FICTIVE|19790305|F"
SANTE_ORDER = "OBR|1|~DEM1|~FICT1|HB~Hémoglobine~L|||202406050815||||||||||||||||||F"


def sante(*segments: str, header: str = SANTE_HEADER, end: str = "L|1||1|4") -> bytes:
    """A message with this header and end, and these segments between them."""
    return "".join(f"{line}\r" for line in (header, *segments, end) if line).encode("cp1252")


def oru(*results: str, order: str = SANTE_ORDER, **changes: str) -> bytes:
    """A message with one patient, one order and these results."""
    return sante(SANTE_PATIENT, order, *results, **changes)
