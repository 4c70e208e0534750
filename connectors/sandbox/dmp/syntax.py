"""The HL7 data types that XDS metadata is written in: CX, XCN, XON, OID, time. Each check gives a sentence or None."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+")
_TIME = re.compile(r"[0-9]{4}(?:[0-9]{2}){0,5}")
_AUTHORITY = re.compile(r"&([0-9.]+)&ISO")
_CODED_SPECIALTY = re.compile(r"[^^]+\^[^^]+\^[0-9.]+")

INS_OIDS = frozenset({"1.2.250.1.213.1.4.8", "1.2.250.1.213.1.4.9", "1.2.250.1.213.1.4.10", "1.2.250.1.213.1.4.11"})
PROFESSIONALS_OID = "1.2.250.1.71.4.2.1"
STRUCTURES_OID = "1.2.250.1.71.4.2.2"


@dataclass(frozen=True, slots=True, order=True)
class PatientKey:
    """A patient by INS: the number and the OID that assigned it."""

    number: str
    oid: str


def is_oid(value: str) -> bool:
    """Say whether a value is an OID of at most 64 characters."""
    return len(value) <= 64 and _OID.fullmatch(value) is not None


def is_unique_id(value: str) -> bool:
    """Say whether a value is a document's uniqueId: an OID, or `root^extension` (16 characters)."""
    root, caret, extension = value.partition("^")
    return is_oid(root) and (not caret or (0 < len(extension) <= 16 and "^" not in extension))


def is_time(value: str) -> bool:
    """Say whether a value is a DTM in UTC: 4 to 14 digits, each pair in its range."""
    if _TIME.fullmatch(value) is None:
        return False
    pairs = [int(value[at : at + 2]) for at in range(4, len(value), 2)]
    bounds = ((1, 12), (1, 31), (0, 23), (0, 59), (0, 59))
    return all(low <= pair <= high for pair, (low, high) in zip(pairs, bounds, strict=False))


def whole_time(value: str) -> str:
    """Bring a DTM to 14 digits, the earliest moment that it means."""
    return value + "00000101000000"[len(value) :]


def patient_key(value: str) -> PatientKey | None:
    """Read `INS^^^&OID&ISO^NH` (a qualification date may follow); None when it is something else."""
    parts = value.split("^")
    if len(parts) < 5 or parts[1] or parts[2] or parts[4] != "NH":
        return None
    authority = _AUTHORITY.fullmatch(parts[3])
    if authority is None or authority[1] not in INS_OIDS or not re.fullmatch(r"[0-9AB]{15}", parts[0]):
        return None
    return PatientKey(parts[0], authority[1])


def cx_problem(value: str) -> str | None:
    """Check a patient identifier of any domain: `id^^^&OID&ISO^type`."""
    parts = value.split("^")
    if len(parts) < 4 or not parts[0]:
        return "is not a CX (id^^^&OID&ISO^type)"
    return _authority_problem(parts[3])


def xcn_problem(value: str) -> str | None:
    """Check a person or a device: id, name, assigning authority (9), name type (10), identifier type (13)."""
    parts = value.split("^")
    if len(parts) < 10 or not parts[0] or not parts[1]:
        return "is not an XCN of at least ten components with an id and a name"
    if parts[9] not in ("D", "U", "L"):
        return "has no name type D, U or L in its component 10"
    if len(parts) < 13 or not parts[12]:
        return "has no identifier type in its component 13"
    return _authority_problem(parts[8])


def xon_problem(value: str) -> str | None:
    """Check a structure: name, assigning authority (6), type IDNST (7), national id (10)."""
    parts = value.split("^")
    if len(parts) < 10 or not parts[0] or not parts[9]:
        return "is not an XON of ten components with a name and an id"
    if not parts[6]:
        return "has no identifier type in its component 7"
    return _authority_problem(parts[5])


def specialty_problem(value: str) -> str | None:
    """Check an author's specialty: `code^label^OID`."""
    return None if _CODED_SPECIALTY.fullmatch(value) else "is not code^label^OID"


def _authority_problem(value: str) -> str | None:
    found = _AUTHORITY.fullmatch(value)
    return None if found is not None and is_oid(found[1]) else "has no assigning authority &OID&ISO"
