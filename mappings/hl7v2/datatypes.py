"""HL7 data types to canonical values (French constraints on data types, annex N; fact sheet hl7v2-fr §3.4, §3.5).

Every function takes the raw text of one repetition. What says nothing about a patient (codes, authorities,
organisations) is cached by its raw text: the same ones come back in every message of a sender.
"""

from __future__ import annotations

import csv
import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple
from urllib.parse import quote

from mappings.hl7v2.syntax import NULL, Syntax
from schemas.actors import Address, Organization, Professional, Telecom
from schemas.coding import UCUM, Coding, Identifier
from schemas.identifiers import (
    STRUCTURES,
    NumberVerdict,
    check_finess,
    professional_identifier,
    structure_identifier,
)
from schemas.stay import Location
from schemas.tables import rows
from schemas.value_sets import code_system_url

AUTHORITY = "urn:x-authority:"
FINESS = "urn:x-finess:"
CODE_SYSTEM = "urn:x-code-system:"
"""Prefix of the system of a code whose coding system HL7 knows by a name only."""

_OID = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*))+")
_HL7_TABLE = re.compile(r"HL7(\d{4})")
_NINE = re.compile(r"\d[0-9AB]\d{7}")
_EQUIPMENT = {"PH": "phone", "CP": "mobile", "FX": "fax", "X.400": "mssante", "INTERNET": "email", "BP": "other"}


class Coded(NamedTuple):
    """A CE or CWE: its codings, the text that names it (the first display, failing the original text), and CWE-9."""

    codes: tuple[Coding, ...]
    text: str | None
    original: str | None = None


class Authority(NamedTuple):
    """An assigning authority: the system of its identifiers, and its name when the system does not say it."""

    system: str | None
    name: str | None


@cache
def coding_systems() -> dict[str, str]:
    """List the names that HL7 gives to coding systems, with the URI that the canonical model gives them."""
    text = (files("mappings.hl7v2") / "data" / "coding_systems.csv").read_text(encoding="utf-8")
    known = {row["name"]: row["url"] for row in rows("code_systems.csv") if row["name"].startswith("TRE_")}
    return known | {row["name"]: row["uri"] for row in csv.DictReader(text.splitlines(), delimiter=";")}


@lru_cache(maxsize=2048)
def coding_system(name: str) -> str | None:
    """Give the system of a name of table 0396 (`LN`, `L`, `HL70078`, an OID…); None when there is none."""
    if not name:
        return None
    if known := coding_systems().get(name.upper()):
        return known
    if table := _HL7_TABLE.fullmatch(name):
        return f"http://terminology.hl7.org/CodeSystem/v2-{table[1]}"
    if name.startswith("UnitsOfMeasure"):
        return UCUM
    if _OID.fullmatch(name):
        return code_system_url(f"urn:oid:{name}")
    return name if name.startswith(("http://", "https://", "urn:")) else CODE_SYSTEM + quote(name, safe="")


@lru_cache(maxsize=16384)
def coded(raw: str, syntax: Syntax) -> Coded:
    """Read a CE or CWE with its alternate codings; a code that stands in the text component only is no code."""
    parts = [syntax.code(part) for part in syntax.components(raw)]
    parts += [""] * (12 - len(parts))
    codes = tuple(
        Coding(system=coding_system(parts[at + 2]), code=parts[at], display=parts[at + 1] or None)
        for at in (0, 3, 9)
        if parts[at]
    )
    return Coded(codes, parts[1] or parts[4] or parts[8] or None, parts[8] or None)


def coding(raw: str, syntax: Syntax) -> Coding | None:
    """Read the first coding of a CE or CWE; a text alone becomes a code that is its own display."""
    if not raw:
        return None
    found = coded(raw, syntax)
    if found.codes:
        return found.codes[0]
    return Coding(code=found.text, display=found.text) if found.text else None


@lru_cache(maxsize=4096)
def authority(namespace: str = "", universal: str = "", kind: str = "") -> Authority:
    """Read the three (decoded) parts of an HD as the system of what it assigns."""
    if not (namespace or universal):
        return Authority(None, None)
    name = namespace or None
    if kind in ("M", "N") and universal:
        return Authority(FINESS + quote(_nine_characters(universal), safe=""), name)
    if universal and kind not in ("L", "DNS", "UUID") and _OID.fullmatch(universal):
        return Authority(f"urn:oid:{universal}", name)
    if kind == "UUID" and universal:
        return Authority(f"urn:uuid:{universal.lower()}", name)
    if not universal and _OID.fullmatch(namespace):
        return Authority(f"urn:oid:{namespace}", None)
    if not universal and check_finess(namespace).verdict is NumberVerdict.VALID and len(namespace) == 9:
        return Authority(FINESS + namespace, None)
    local = "/".join(quote(part, safe="") for part in (namespace, universal) if part)
    return Authority(AUTHORITY + local, name)


def assigning(raw: str, syntax: Syntax) -> Authority:
    """Read an HD that is a component, with its parts as subcomponents."""
    if not raw:
        return _NOBODY
    return _assigning(raw, syntax)


_NOBODY = Authority(None, None)


@lru_cache(maxsize=4096)
def _assigning(raw: str, syntax: Syntax) -> Authority:
    parts = [syntax.code(part) for part in syntax.subcomponents(raw)[:3]]
    return authority(*parts)


def _nine_characters(finess: str) -> str:
    """Take the `1` of the national structure number off a FINESS of ten characters."""
    return finess[1:] if len(finess) == 10 and finess[0] == "1" else finess


def identifier(raw: str, syntax: Syntax, usual_type: str | None = None) -> Identifier | None:
    """Read a CX; None when it has no value (or a Null one). `usual_type` stands in for an absent CX-5."""
    parts = syntax.components(raw)
    value = syntax.code(parts[0])
    if not value:
        return None
    issuer = assigning(parts[3], syntax) if len(parts) > 3 else _NOBODY
    kind = syntax.code(parts[4]) if len(parts) > 4 else ""
    return Identifier(system=issuer.system, value=value, type=kind or usual_type, assigner=issuer.name)


def entity(parts: list[str], syntax: Syntax, kind: str | None = None) -> Identifier | None:
    """Read an EI from its raw parts (components, or subcomponents of an EIP): id, namespace, universal id, its type."""
    texts = [syntax.code(part) for part in parts[:4]]
    if not texts or not texts[0]:
        return None
    issuer = authority(*texts[1:4])
    return Identifier(system=issuer.system, value=texts[0], type=kind, assigner=issuer.name)


@lru_cache(maxsize=4096)
def organization_of_authority(raw: str, separator: str, syntax: Syntax) -> Organization | None:
    """Read an HD as the organisation that it names; `separator` parts it (`^` in MSH-4, `&` inside PL)."""
    parts = [syntax.code(part) for part in raw.split(separator)[:3]]
    parts += [""] * (3 - len(parts))
    name, universal, kind = parts
    if not (name or universal):
        return None
    identifiers: tuple[Identifier, ...] = ()
    if universal and kind in ("M", "N"):
        identifiers = (structure_identifier(universal, "FINEJ" if kind == "M" else "FINEG", STRUCTURES),)
    elif universal and _OID.fullmatch(universal):
        identifiers = (Identifier(system="urn:ietf:rfc:3986", value=f"urn:oid:{universal}"),)
    elif universal:
        identifiers = (Identifier(value=universal, type=kind or None),)
    return Organization(name=name or None, identifiers=identifiers)


@lru_cache(maxsize=4096)
def organization(raw: str, syntax: Syntax) -> Organization | None:
    """Read an XON: name, and the identifier of XON-10 (XON-3 in old messages) with its authority and type."""
    parts = [syntax.code(part) for part in syntax.components(raw)]
    parts += [""] * (10 - len(parts))
    name, kind = parts[0] or None, parts[6] or None
    value = parts[9] or parts[2]
    if not (name or value):
        return None
    if not value:
        return Organization(name=name)
    issuer = assigning(syntax.components(raw)[5], syntax) if parts[5] else _NOBODY
    system = issuer.system
    if kind == "UF" and _NINE.fullmatch(parts[5]):
        system = FINESS + parts[5]
    normal = structure_identifier(value, kind, system)
    if issuer.name and normal.system == system and system != STRUCTURES:
        normal = normal.model_copy(update={"assigner": issuer.name})
    return Organization(name=name, identifiers=(normal,))


@lru_cache(maxsize=4096)
def professional(raw: str, syntax: Syntax) -> Professional | None:
    """Read an XCN; RPPS and ADELI numbers lose the prefix of the national identifier (§3.5)."""
    pieces = syntax.components(raw)
    parts = [syntax.code(part) for part in pieces]
    parts += [""] * (13 - len(parts))
    family = syntax.code(syntax.subcomponents(pieces[1])[0]) if len(pieces) > 1 else ""
    if not (parts[0] or family or parts[2]):
        return None
    issuer = assigning(pieces[8], syntax) if len(pieces) > 8 else _NOBODY
    identifiers: tuple[Identifier, ...] = ()
    if parts[0]:
        normal = professional_identifier(parts[0], parts[12] or None, issuer.system)
        if issuer.name and normal.type not in ("RPPS", "ADELI"):
            normal = normal.model_copy(update={"assigner": issuer.name})
        identifiers = (normal,)
    return Professional(
        identifiers=identifiers,
        family_name=family or None,
        given_name=parts[2] or None,
        civility=parts[5] or None,
    )


def interpreter(raw: str, syntax: Syntax) -> Professional | None:
    """Read the person of an NDL (OBR-32): a CNN in subcomponents, or the XCN that many senders put there."""
    parts = syntax.components(raw)
    named_outside = len(parts) > 1 and parts[1] and not parts[1][:4].isdigit()
    if named_outside and syntax.subcomponent not in parts[0]:
        return professional(raw, syntax)
    cnn = syntax.subcomponents(parts[0])
    cnn += [""] * (11 - len(cnn))
    space, universal, kind = cnn[8:11]
    issuer = syntax.subcomponent.join((space, universal, kind))
    flat = [*cnn[:6], "", "", issuer if issuer.strip(syntax.subcomponent) else "", "", "", "", ""]
    return professional(syntax.component.join(flat), syntax)


def address(raw: str, syntax: Syntax) -> Address | None:
    """Read an XAD; XAD-2 may hold several lines, joined by an escaped component separator."""
    pieces = syntax.components(raw)
    parts = [syntax.code(part) for part in pieces]
    parts += [""] * (9 - len(parts))
    street = syntax.code(syntax.subcomponents(pieces[0])[0])
    lines = [street, *parts[1].replace(syntax.component, "\n").split("\n")]
    kept = tuple(line.strip() for line in lines if line.strip())
    if not (kept or any(parts[at] for at in (2, 4, 5, 8))):
        return None
    return Address(
        lines=kept,
        city=parts[2] or None,
        postal_code=parts[4] or None,
        country=parts[5] or None,
        insee=parts[8] or None,
        use=parts[6] or None,
    )


def telecom(raw: str, syntax: Syntax) -> Telecom | None:
    """Read an XTN: the mail address in XTN-4, the number in XTN-12 (XTN-1, else 5 to 7, in old messages)."""
    parts = [syntax.code(part) for part in syntax.components(raw)]
    parts += [""] * (12 - len(parts))
    use, equipment, mail = parts[1], parts[2].upper(), parts[3]
    kind = _EQUIPMENT.get(equipment, "")
    if use == "NET" or kind in ("email", "mssante") or (mail and not parts[11]):
        value = mail or parts[0] or parts[11]
        secure = kind == "mssante" or value.lower().endswith(".mssante.fr")
        kind = "mssante" if secure else "email"
    else:
        value = parts[11] or parts[0] or "".join(parts[4:7])
        kind = kind or ("email" if "@" in value else "phone")
    return Telecom(kind=kind, value=value, use=use or None) if value else None


def location(raw: str, syntax: Syntax) -> Location | None:
    """Read a PL: care unit, room, bed, facility, bed status."""
    pieces = syntax.components(raw)
    parts = [syntax.code(part) for part in pieces]
    parts += [""] * (5 - len(parts))
    place = organization_of_authority(pieces[3], syntax.subcomponent, syntax) if len(pieces) > 3 else None
    if not any(parts[:5]):
        return None
    facility: Identifier | None = None
    if place is not None and place.identifiers:
        facility = place.identifiers[0].model_copy(update={"assigner": place.name})
    elif place is not None and place.name:
        facility = Identifier(value=place.name)
    return Location(
        unit=parts[0] or None,
        room=parts[1] or None,
        bed=parts[2] or None,
        facility=facility,
        status=parts[4] or None,
    )


def is_removal(raw: str, syntax: Syntax) -> bool:
    """Say whether the first component of a repetition is Null (`""^^^…^INS`)."""
    return raw.split(syntax.component, 1)[0] == NULL
