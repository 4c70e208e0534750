"""People, organisations, addresses and codes as HPRIM Santé writes them: HD, CNA, AD, TN, CE (hprim 3.5)."""

from __future__ import annotations

import re
from urllib.parse import quote

from mappings.hprim_sante.syntax import Segment
from mappings.notes import Notes
from schemas.actors import Address, Organization, Professional, Telecom
from schemas.coding import LOCAL, LOINC, SNOMED_CT, Coding, Identifier
from schemas.identifiers import NumberVerdict, check_adeli, check_rpps, professional_identifier
from schemas.value_sets import code_system_url

LOINC_NAMES = frozenset({"LN", "LOINC", "LNC", "2.16.840.1.113883.6.1"})
SNOMED_NAMES = frozenset({"SCT", "SNOMED", "SNOMED-CT", "2.16.840.1.113883.6.96"})
LOCAL_NAMES = frozenset({"", "L", "LOCAL", "99L"})
CODING_SYSTEM = "urn:x-code-system:"
"""What stands before the name of a code system that only its name identifies."""

_OID = re.compile(r"[0-2](?:\.\d+){3,}")
_ZEROS = re.compile(r"[0\s.]*")
_MOBILE = re.compile(r"(?:\+33|0033|0)\s?[67]")
_TYPES = {"R": "RPPS", "A": "ADELI", "RPPS": "RPPS", "ADELI": "ADELI"}


def coding(code: str, display: str, system: str) -> Coding:
    """Make a Coding of three sub-fields of a CE; `L` and nothing are the sender's own codes."""
    return Coding(system=system_of(system), code=code, display=display or None)


def system_of(name: str) -> str:
    """Give the system that the third sub-field of a CE names."""
    upper = name.upper()
    if upper in LOCAL_NAMES:
        return LOCAL
    if upper in LOINC_NAMES:
        return LOINC
    if upper in SNOMED_NAMES:
        return SNOMED_CT
    if _OID.fullmatch(name):
        url = code_system_url(name)
        return url if url != name else f"urn:oid:{name}"
    return name if ":" in name else CODING_SYSTEM + quote(name, safe="")


def codings(segment: Segment, repetition: str) -> tuple[Coding, ...]:
    """Read a CE: its code and its alternate code, where they are given."""
    parts = segment.parts(repetition, 6)
    found = (coding(*parts[at : at + 3]) for at in (0, 3) if parts[at])
    return tuple(found)


def organization(segment: Segment, number: int) -> Organization | None:
    """Read an HD: code and name."""
    code, name = segment.components(number, 2)
    if not (code or name):
        return None
    return Organization(name=name or None, identifiers=(Identifier(value=code),) if code else ())


def professional(segment: Segment, number: int, repetition: str, notes: Notes) -> Professional | None:
    """Read a CNA: number, name (flat, or with sub-sub-fields), type of the number."""
    delimiters = segment.delimiters
    code, _, kind = segment.parts(repetition, 3)
    parts = delimiters.split(repetition, delimiters.component)
    pieces = (
        [delimiters.plain(one).strip() for one in delimiters.split(parts[1], delimiters.sub)] if len(parts) > 1 else []
    )
    names = [*pieces, "", "", "", "", "", ""][:6]
    identifiers = person_identifiers(code, kind, segment.where(number), notes)
    if not (identifiers or any(names)):
        return None
    if len(pieces) < 2:
        return Professional(identifiers=identifiers, name=names[0] or None)
    return Professional(
        identifiers=identifiers,
        family_name=names[0] or None,
        given_name=names[1] or None,
        civility=names[4] or None,
        name=" ".join(part for part in names[:2] if part) or None,
    )


def person_identifiers(code: str, kind: str, where: str, notes: Notes) -> tuple[Identifier, ...]:
    """Type a professional's number: R is RPPS, A is ADELI; without a type, 11 digits that verify or 9 digits tell.

    A number of zeros alone stands for nothing.
    """
    if _ZEROS.fullmatch(code):
        return ()
    known = _TYPES.get(kind.upper())
    if known == "RPPS" and check_rpps(code).verdict is NumberVerdict.WRONG_KEY:
        notes.warning("hprim.rpps.key", where, "the RPPS number does not verify")
    if known is None and not kind and len(code) == 9 and check_adeli(code).verdict is NumberVerdict.VALID:
        known = "ADELI"
    if known is None and kind:
        return (Identifier(value=code),)
    return (professional_identifier(code, known),)


def professionals(segment: Segment, number: int, notes: Notes) -> list[Professional]:
    """Read every repetition of a field of people."""
    found = (professional(segment, number, one, notes) for one in segment.repetitions(number))
    return [one for one in found if one is not None]


def prescriber(segment: Segment, notes: Notes) -> Professional | None:
    """Read OBR.16, number ~ name ~ type ~ ward number ~ ward name ~ type, with the telephone of OBR.17."""
    whole = next(iter(segment.repetitions(16)), "")
    who = professional(segment, 16, whole, notes) if whole else None
    _, _, _, ward, ward_name, _ = segment.parts(whole, 6)
    telephones = telecoms(segment, 17)
    if not (who or ward or ward_name or telephones):
        return None
    place = None
    if ward or ward_name:
        place = Organization(name=ward_name or None, identifiers=(Identifier(value=ward),) if ward else ())
    return (who or Professional()).model_copy(update={"organization": place, "telecoms": telephones})


def telecoms(segment: Segment, number: int) -> tuple[Telecom, ...]:
    """Read telephone numbers; those of zeros alone stand for nothing."""
    values = [segment.delimiters.plain(one).strip() for one in segment.repetitions(number)]
    return tuple(
        Telecom(kind="mobile" if _MOBILE.match(value) else "phone", value=value)
        for value in values
        if not _ZEROS.fullmatch(value)
    )


def address(segment: Segment, number: int) -> Address | None:
    """Read an AD: street ~ complement ~ city ~ state ~ postal code ~ country."""
    street, complement, city, _, postal_code, country = segment.components(number, 6)
    lines = tuple(line for line in (street, complement) if line)
    if not (lines or city or postal_code or country):
        return None
    return Address(lines=lines, city=city or None, postal_code=postal_code or None, country=country or None)
