"""Canonical values to HL7 data types: the mirror of `datatypes`."""

from __future__ import annotations

import re
from functools import cache
from urllib.parse import unquote

from mappings.hl7v2.datatypes import AUTHORITY, CODE_SYSTEM, FINESS, coding_systems
from mappings.hl7v2.pen import Pen
from schemas.actors import Address, Organization, Professional, Telecom
from schemas.coding import LOCAL, Coding, Identifier
from schemas.identifiers import PROFESSIONALS, STRUCTURES
from schemas.value_sets import code_system_oid

_TABLE = re.compile(r"http://terminology\.hl7\.org/CodeSystem/v2-(\d{4})")
_KNOWN_AUTHORITIES = {PROFESSIONALS: "ASIP-SANTE-PS", STRUCTURES: "ASIP-SANTE-ST"}
_FACILITY_TYPES = {"FINEJ": "M", "FINEG": "N"}
_EQUIPMENT = {"phone": "PH", "mobile": "CP", "fax": "FX", "email": "Internet", "mssante": "X.400"}


@cache
def _names() -> dict[str, str]:
    names: dict[str, str] = {}
    for name, uri in coding_systems().items():
        names.setdefault(uri, name)
    return names


def coding_system_name(system: str | None) -> str:
    """Give the name of table 0396 of a system; a system without one keeps its OID or its URI."""
    if system is None:
        return ""
    if system == LOCAL:
        return "L"
    if known := _names().get(system):
        return known
    if table := _TABLE.fullmatch(system):
        return f"HL7{table[1]}"
    if system.startswith(CODE_SYSTEM):
        return unquote(system.removeprefix(CODE_SYSTEM))
    return code_system_oid(system) or system.removeprefix("urn:oid:")


def ce(pen: Pen, codes: tuple[Coding, ...], text: str | None = None, *, original: str | None = None) -> str:
    """Write one CE (or a CWE, with `original` as CWE-9) of two codings at most; `text` names what has no code."""
    parts: list[str] = []
    for code in codes[:2]:
        parts += (pen.text(code.code), pen.text(code.display), pen.text(coding_system_name(code.system)))
    if not codes:
        parts = ["", pen.text(text), ""]
    elif not parts[1] and text:
        parts[1] = pen.text(text)
    if original:
        parts += [""] * (8 - len(parts))
        parts.append(pen.text(original))
    return pen.components(parts)


def coding(pen: Pen, code: Coding | None) -> str:
    """Write one coding."""
    return ce(pen, (code,)) if code is not None else ""


def authority(pen: Pen, system: str | None, name: str | None) -> tuple[str, str, str]:
    """Write an assigning authority as the three raw parts of an HD."""
    if system is None:
        return pen.text(name), "", ""
    if system.startswith("urn:oid:"):
        return pen.text(name or _KNOWN_AUTHORITIES.get(system, "")), pen.text(system.removeprefix("urn:oid:")), "ISO"
    if system.startswith(FINESS):
        return pen.text(name), pen.text(unquote(system.removeprefix(FINESS))), "M"
    if system.startswith("urn:uuid:"):
        return pen.text(name), pen.text(system.removeprefix("urn:uuid:")), "UUID"
    if system.startswith(AUTHORITY):
        namespace, _, universal = system.removeprefix(AUTHORITY).partition("/")
        return pen.text(unquote(namespace)), pen.text(unquote(universal)), ""
    return pen.text(system), "", ""


def _joined(parts: tuple[str, str, str]) -> str:
    return "&".join(parts).rstrip("&")


def cx(pen: Pen, identifier: Identifier | None, usual_type: str | None = None) -> str:
    """Write a CX; `usual_type` is that of an identifier without one."""
    if identifier is None:
        return ""
    issuer = _joined(authority(pen, identifier.system, identifier.assigner))
    return pen.components((pen.text(identifier.value), "", "", issuer, pen.text(identifier.type or usual_type)))


def ei(pen: Pen, value: str | None, system: str | None, name: str | None = None) -> str:
    """Write an EI."""
    if not value:
        return ""
    return pen.components((pen.text(value), *authority(pen, system, name)))


def xcn(pen: Pen, person: Professional | None, *, with_place: bool = False, with_telecoms: bool = False) -> str:
    """Write an XCN: RPPS and ADELI under the national authority.

    `with_place` and `with_telecoms` say that other fields of the message carry the organisation, the address and
    telecoms of the person; otherwise they are lost, and said so.
    """
    if person is None:
        return ""
    if person.specialty is not None:
        pen.lost("the specialty of a professional")
    if person.organization is not None and not with_place:
        pen.lost("the organisation of a professional")
    if (person.address is not None or person.telecoms) and not with_telecoms:
        pen.lost("the address of a professional")
    first = person.identifiers[0] if person.identifiers else None
    family = person.family_name or (person.name if not person.given_name else None)
    issuer = _joined(authority(pen, first.system, first.assigner)) if first else ""
    parts = [""] * 13
    parts[0] = pen.text(first.value) if first else ""
    parts[1], parts[2], parts[5] = pen.text(family), pen.text(person.given_name), pen.text(person.civility)
    parts[8], parts[12] = issuer, pen.text(first.type) if first else ""
    if len(person.identifiers) > 1:
        pen.lost("a further identifier of a professional")
    return pen.components(parts)


def cnn(pen: Pen, person: Professional | None) -> str:
    """Write the name of an NDL: a CNN in subcomponents."""
    if person is None:
        return ""
    first = person.identifiers[0] if person.identifiers else None
    space = authority(pen, first.system, first.assigner) if first else ("", "", "")
    family = person.family_name or (person.name if not person.given_name else None)
    parts = [pen.text(first.value) if first else "", pen.text(family), pen.text(person.given_name), "", ""]
    parts += [pen.text(person.civility), "", "", *space]
    return "&".join(parts).rstrip("&")


def xon(pen: Pen, organization: Organization | None) -> str:
    """Write an XON, with its first identifier."""
    if organization is None:
        return ""
    first = organization.identifiers[0] if organization.identifiers else None
    note_place(pen, organization)
    parts = [""] * 10
    parts[0] = pen.text(organization.name)
    if first is not None:
        parts[5] = _joined(authority(pen, first.system, first.assigner))
        parts[6], parts[9] = pen.text(first.type), pen.text(first.value)
    return pen.components(parts)


def note_place(pen: Pen, organization: Organization) -> None:
    """Say that the address and further identifiers of an organisation are not written."""
    if organization.address is not None or organization.telecoms:
        pen.lost("the address of an organisation")
    if len(organization.identifiers) > 1:
        pen.lost("a further identifier of an organisation")


def hd(pen: Pen, organization: Organization | None) -> str:
    """Write an organisation as an HD (MSH-4): its name, and its FINESS number or OID when it has one."""
    if organization is None:
        return ""
    for identifier in organization.identifiers:
        if kind := _FACILITY_TYPES.get(identifier.type or ""):
            return pen.components((pen.text(organization.name), pen.text(identifier.value), kind))
        if identifier.value.startswith("urn:oid:"):
            oid = identifier.value.removeprefix("urn:oid:")
            return pen.components((pen.text(organization.name), pen.text(oid), "ISO"))
    return pen.text(organization.name)


def xad(pen: Pen, address: Address) -> str:
    """Write an XAD; further lines share XAD-2, joined by an escaped component separator."""
    rest = "\\S\\".join(pen.text(line) for line in address.lines[1:])
    first = pen.text(address.lines[0]) if address.lines else ""
    parts = (first, rest, pen.text(address.city), "", pen.text(address.postal_code), pen.text(address.country))
    use = address.use
    if use == "BDL":
        # XAD-7 BDL is the birth place, which has its own repetition.
        pen.lost("the use of an address")
        use = None
    return pen.components((*parts, pen.text(use), "", pen.text(address.insee)))


def xtn(pen: Pen, telecom: Telecom) -> str:
    """Write an XTN: a mail address in XTN-4, a number in XTN-12."""
    equipment = _EQUIPMENT.get(telecom.kind, "")
    if not equipment:
        pen.lost("the kind of a telecom address")
    if telecom.kind in ("email", "mssante"):
        return pen.components(("", pen.text(telecom.use), equipment, pen.text(telecom.value)))
    parts = ["", pen.text(telecom.use), equipment, *[""] * 8, pen.text(telecom.value)]
    return pen.components(parts)
