"""Codes, people and addresses to write: CE, CNA, AD (hprim 3.5)."""

from __future__ import annotations

from urllib.parse import unquote

from mappings.hprim_sante.parties import CODING_SYSTEM
from mappings.hprim_sante.pen import Pen
from schemas.actors import Address, Professional
from schemas.coding import LOCAL, LOINC, SNOMED_CT, Coding
from schemas.value_sets import code_system_oid

_SYSTEMS = {LOCAL: "L", None: "L", LOINC: "LN", SNOMED_CT: "SCT"}


def system_name(system: str | None) -> str:
    """Name a code system as the third sub-field of a CE: `L`, `LN`, `SCT`, its OID, or what it was read as."""
    if system in _SYSTEMS:
        return _SYSTEMS[system]
    known = system or ""
    if known.startswith(CODING_SYSTEM):
        return unquote(known.removeprefix(CODING_SYSTEM))
    return code_system_oid(known) or known.removeprefix("urn:oid:")


def written_code(code: Coding) -> tuple[str, str, str]:
    """Give a code's three sub-fields: code, label, system."""
    return code.code, code.display or "", system_name(code.system)


def written_person(pen: Pen, who: Professional, where: str, *, flat: bool = False) -> str:
    """Write number ~ name ~ type of number; the name has sub-sub-fields, unless `flat`."""
    number = next((one for one in who.identifiers if one.type in {"RPPS", "ADELI"}), next(iter(who.identifiers), None))
    kind = {"RPPS": "R", "ADELI": "A"}.get(number.type or "", "L") if number else ""
    family, given = who.family_name, who.given_name
    whole = who.name or " ".join(part for part in (family, given) if part)
    if family and not flat:
        parts = [pen.text(text, where) for text in (family, given, None, None, who.civility)]
        name = pen.delimiters.sub.join(parts).rstrip(pen.delimiters.sub)
        name = name if pen.delimiters.sub in name else f"{name}{pen.delimiters.sub}"
    else:
        name = pen.text(whole, where)
    cells = [pen.text(number.value if number else "", where), name, kind]
    return pen.delimiters.component.join(cells).rstrip(pen.delimiters.component)


def written_place(pen: Pen, place: Address, where: str) -> str:
    """Write street ~ complement ~ city ~ ~ postal code ~ country; lines beyond the second join it."""
    street, *others = place.lines or ("",)
    return pen.components((street, ", ".join(others), place.city, None, place.postal_code, place.country), where)
