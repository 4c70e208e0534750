"""Composite values of XDS metadata: CX, XCN, XON, XTN, sourcePatientInfo and times (IHE ITI TF-3 §4.2.3.1.7).

Components are parted by `^`, subcomponents by `&`. Professionals are national by `1.2.250.1.71.4.2.1` (`8` + RPPS,
`0` + ADELI), structures by `1.2.250.1.71.4.2.2` (`1` + FINESS, `2` + SIREN, `3` + SIRET), patients by
the OID of their INS.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from mappings.cda.oids import identifier_of, root_and_extension, system_of_root
from schemas.actors import Organization, Professional, Recipient, Telecom
from schemas.base import PARTIAL_DATE_TIME
from schemas.coding import Identifier
from schemas.identifiers import (
    IDNPS_OID,
    IDNST_OID,
    PROFESSIONALS,
    STRUCTURES,
    professional_identifier,
    structure_identifier,
)
from schemas.identity import Ins

INS_TYPE = "NH"
"""CX-5 of an INS in XDS; in HL7v2 the same letters are a billing number."""

_STAMP = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.\d+)?)?)?)?)?)?([+-]\d{4}|Z)?", re.ASCII)
_PROFESSIONAL_PREFIX = {"RPPS": "8", "ADELI": "0"}
_STRUCTURE_PREFIX = {"FINEG": "1", "FINEJ": "1", "FINESS": "1", "SIREN": "2", "SIRET": "3"}
_ESCAPES = {"\\": "\\E\\", "^": "\\S\\", "&": "\\T\\", "|": "\\F\\", "~": "\\R\\"}
_ESCAPED = re.compile(r"\\([ESTFR])\\")
_PLAIN = {escaped[1]: plain for plain, escaped in _ESCAPES.items()}
_TO_THE_SECOND = re.compile(r"T\d\d:\d\d:\d\d")
_SPECIAL = re.compile(r"[\\^&|~]")


def escape(text: str) -> str:
    """Write a text inside a composite value: separators are escaped as HL7 v2.5 does, ends of line become blanks."""
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], " ".join(text.split()))


def unescape(text: str) -> str:
    """Read a text inside a composite value."""
    return _ESCAPED.sub(lambda found: _PLAIN[found[1]], text).strip()


# --- identifiers


def write_cx(value: str, root: str, kind: str | None) -> str:
    """Write a CX: `value^^^&root&ISO^kind`."""
    text = f"{escape(value)}^^^&{root}&ISO"
    return f"{text}^{kind}" if kind else text


def write_ins(ins: Ins) -> str:
    """Write the INS as a CX."""
    return write_cx(ins.matricule, ins.oid, INS_TYPE)


def write_identifier(identifier: Identifier) -> str:
    """Write a local identifier as a CX; an authority without an OID stands in the extension under ours."""
    root, extension = root_and_extension(identifier)
    return write_cx(extension or identifier.value, root, identifier.type)


def read_cx(text: str) -> Identifier | None:
    """Read a CX; None when it has no value."""
    parts = _parts(text, 5)
    value = unescape(parts[0])
    if not value:
        return None
    kind, root = unescape(parts[4]) or None, _root(parts[3])
    return identifier_of(root, value, kind) if root else Identifier(value=value, type=kind)


# --- people and organisations


def write_xcn(person: Professional) -> str | None:
    """Write a professional as an XCN; None when there is neither a number nor a name."""
    number, root, kind = _professional_number(person.identifiers)
    family = person.family_name or (None if person.given_name else person.name)
    parts = [number, escape(family or ""), escape(person.given_name or "")]
    if not any(parts):
        return None
    text = "^".join(parts)
    return f"{text}^^^^^^&{root}&ISO^D^^^{kind}" if number else text


def _professional_number(identifiers: tuple[Identifier, ...]) -> tuple[str, str, str]:
    first = next((one for one in identifiers if one.system == PROFESSIONALS), None) or next(iter(identifiers), None)
    if first is None:
        return "", "", ""
    if first.system == PROFESSIONALS:
        number = _PROFESSIONAL_PREFIX.get(first.type or "", "") + escape(first.value)
        return number, IDNPS_OID, "EI" if "/" in number else "IDNPS"
    root, extension = root_and_extension(first)
    return escape(extension or first.value), root, escape(first.type or "EI")


def read_xcn(text: str) -> Professional | None:
    """Read an XCN; a text without components that is no number is a name."""
    parts = _parts(text, 13)
    number, family, given = (unescape(part) for part in parts[:3])
    if number and not any(parts[1:]) and not any(character.isdigit() for character in number):
        return Professional(name=number)
    if not (number or family or given):
        return None
    identifiers: tuple[Identifier, ...] = ()
    if number:
        kind = unescape(parts[12]) or None
        identifiers = (professional_identifier(number, kind, _authority(parts[8])),)
    return Professional(identifiers=identifiers, family_name=family or None, given_name=given or None)


def write_xon(organization: Organization) -> str | None:
    """Write an organisation as an XON; None when there is neither a name nor a number."""
    name = escape(organization.name or "")
    identifiers = organization.identifiers
    first = next((one for one in identifiers if one.system == STRUCTURES), None) or next(iter(identifiers), None)
    if first is None:
        return name or None
    if first.system == STRUCTURES:
        number = _STRUCTURE_PREFIX.get(first.type or "", "") + escape(first.value)
        return f"{name}^^^^^&{IDNST_OID}&ISO^IDNST^^^{number}"
    root, extension = root_and_extension(first)
    return f"{name}^^^^^&{root}&ISO^{escape(first.type or '')}^^^{escape(extension or first.value)}"


def read_xon(text: str) -> Organization | None:
    """Read an XON."""
    parts = _parts(text, 10)
    name, number, kind = unescape(parts[0]), unescape(parts[9]), unescape(parts[6]) or None
    if not (name or number):
        return None
    identifiers: tuple[Identifier, ...] = ()
    if number:
        identifiers = (structure_identifier(number, kind, _authority(parts[5])),)
    return Organization(name=name or None, identifiers=identifiers)


def write_recipient(recipient: Recipient) -> str | None:
    """Write an intended recipient: `XON|XCN|XTN`, its last parts left out where they are empty."""
    person, place = recipient.professional, recipient.organization
    telecoms = (*(person.telecoms if person else ()), *(place.telecoms if place else ()))
    mail = next((one.value for one in telecoms if one.kind in ("mssante", "email")), None)
    parts = [
        (write_xon(place) if place else None) or "",
        (write_xcn(person) if person else None) or "",
        f"^^Internet^{escape(mail)}" if mail else "",
    ]
    return "|".join(parts).rstrip("|") or None


def read_recipient(text: str) -> Recipient | None:
    """Read an intended recipient."""
    parts = [*text.split("|"), "", ""]
    place, person = read_xon(parts[0]), read_xcn(parts[1])
    mail = unescape(_parts(parts[2], 4)[3])
    if mail:
        kind = "mssante" if mail.lower().endswith(".mssante.fr") else "email"
        telecoms = (Telecom(kind=kind, value=mail),)
        if person is None and place is not None:
            place = place.model_copy(update={"telecoms": telecoms})
        else:
            person = (person or Professional()).model_copy(update={"telecoms": telecoms})
    if person is None and place is None:
        return None
    return Recipient(professional=person, organization=place)


# --- times


def write_time(moment: str | None, zone: ZoneInfo) -> str | None:
    """Write a partial date or time in UTC; a time without an offset is in the legal time of `zone`."""
    if moment is None:
        return None
    if "T" not in moment:
        return moment.replace("-", "")
    try:
        read = datetime.fromisoformat(moment)
        at = (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    if _TO_THE_SECOND.search(moment):
        return at.strftime("%Y%m%d%H%M%S").zfill(14)
    return at.strftime("%Y%m%d%H%M").zfill(12)


def read_time(text: str) -> tuple[str | None, bool]:
    """Read a time as ISO 8601, None when it is none; the second value says that it has no offset, as XDS wants it."""
    found = _STAMP.fullmatch(text)
    if found is None:
        return None, False
    year, month, day, hour, minute, second, offset = found.groups()
    iso = "-".join(part for part in (year, month, day) if part)
    if hour is not None:
        iso += f"T{hour}:{minute or '00'}" + (f":{second}" if second else "")
        iso += "Z" if offset in (None, "Z") else f"{offset[:3]}:{offset[3:]}"
    try:
        at = datetime.fromisoformat(iso if day else f"{year}-{month or '01'}-01")
        if hour is not None:
            at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None, False
    return (iso if PARTIAL_DATE_TIME.fullmatch(iso) else None), offset is None


# --- what they are made of


def _parts(text: str, count: int) -> list[str]:
    parts = text.split("^")
    return parts + [""] * (count - len(parts))


def _authority(raw: str) -> str | None:
    """Read an HD (`&root&ISO`; senders also leave out the `&` and the `ISO`) as a canonical system."""
    root = _root(raw)
    return system_of_root(root) if root else None


def _root(raw: str) -> str:
    pieces = [unescape(piece) for piece in raw.split("&")]
    return pieces[1] if len(pieces) > 1 and pieces[1] else pieces[0]
