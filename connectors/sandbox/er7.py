"""The few HL7v2 pieces that the sandbox writes, by hand on purpose: it must not share a bug with what it tests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from connectors.sandbox.people import HOSPITAL_NAME, HOSPITAL_OID, INS_TEST_OID, Person, Practitioner

RECEIVER = "PASSERELLE"
CHARSETS = {"UNICODE UTF-8": "utf-8", "8859/15": "iso-8859-15", "8859/1": "latin-1"}
"""MSH-18 as it is written, and the Python codec."""

AUTHORITY = f"{HOSPITAL_NAME}&{HOSPITAL_OID}&ISO"
_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\", "\n": "\\.br\\"})


def escaped(text: str) -> str:
    """Escape the delimiters of a text (HL7 2.5 §2.7)."""
    return text.translate(_ESCAPES)


def stamp(at: datetime) -> str:
    """Write a moment as TS, to the second, with its offset when it has one."""
    return at.strftime("%Y%m%d%H%M%S%z")


def segment(name: str, fields: dict[int, str]) -> str:
    """Write a segment from its fields by number (not MSH, which is numbered otherwise)."""
    last = max((number for number, text in fields.items() if text), default=0)
    return "|".join((name, *(fields.get(number, "") for number in range(1, last + 1))))


def msh(
    message_type: str,
    *,
    sender: str,
    facility: str,
    control_id: str,
    at: datetime,
    version: str,
    profile: str = "",
    processing: str = "T",
    charset: str = "UNICODE UTF-8",
) -> str:
    """Write MSH: `message_type` is the whole MSH-9, `processing` MSH-11 (T: these are test persons)."""
    fields = (
        f"MSH|^~\\&|{sender}|{facility}|{RECEIVER}|{HOSPITAL_NAME}|{stamp(at)}||{message_type}|{control_id}|{processing}"
        f"|{version}|||||FRA|{charset}|FR||{profile}"
    )
    return fields.rstrip("|")


def pid(person: Person, *, with_ins: bool = True, account: str = "", identifiers: Iterable[str] | None = None) -> str:
    """Write PID as IHE PAM France 2.11 asks: IPP and INS, birth name L and used name D, birth place by its COG code.

    `identifiers` replaces PID-3 altogether. PID-32 says VALI: the identity is validated, and qualified with the INS.
    """
    listed = [f"{person.ipp}^^^{AUTHORITY}^PI"]
    if with_ins:
        listed.append(f"{person.matricule}^^^ASIP-SANTE-INS-NIR&{INS_TEST_OID}&ISO^INS")
    names = [f"{person.birth_name}^{person.given_name}^{' '.join(person.birth_given_names)}^^{person.civility}^^L"]
    if person.used_name:
        names.append(f"{person.used_name}^{person.given_name}^^^{person.civility}^^D")
    fields = {
        1: "1",
        3: "~".join(listed if identifiers is None else identifiers),
        5: "~".join(names),
        7: f"{person.birth_date:%Y%m%d}",
        8: person.sex,
        11: f"{escaped(person.address)}^^{person.city}^^{person.postal_code}^FRA^H~^^^^^^BDL^^{person.birth_place}",
        13: f"^PRN^PH^^^^^^^^^{person.phone}",
        18: f"{account}^^^{AUTHORITY}^AN" if account else "",
        32: "VALI",
    }
    return segment("PID", fields)


def professional(person: Practitioner) -> str:
    """Write a professional as XCN, under the prefixed national identifier (8 and the RPPS)."""
    authority = "ASIP-SANTE-PS&1.2.250.1.71.4.2.1&ISO"
    return f"8{person.rpps}^{person.family_name}^{person.given_name}^^^^^^{authority}^D^^^IDNPS"


def message(segments: Iterable[str], charset: str = "UNICODE UTF-8") -> bytes:
    """Join segments with CR and encode as MSH-18 says."""
    return ("\r".join(segments) + "\r").encode(CHARSETS[charset])
