"""Addresses, telecoms, names, professionals and organisations (cda-fr §1, §2.2 to §2.6).

Order of the schema: a person's role has its address before its telecoms, an organisation the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from mappings.cda.oids import oid_of_code_system
from mappings.cda.reading.actors import civility_parts
from mappings.cda.writing.codes import ii, known, of_value_set, value_set
from mappings.cda.writing.markup import NULL, attribute, clean, element, text_element
from mappings.notes import Notes
from schemas.actors import Address, Organization, Professional, Telecom
from schemas.coding import Coding, Identifier
from schemas.identifiers import PROFESSIONALS, STRUCTURES

_PREFIXES = {"phone": "tel", "mobile": "tel", "fax": "fax", "email": "mailto", "mssante": "mailto"}
_TELECOM_USES = {"home": "H", "work": "WP", "mobile": "MC", "PRN": "H", "ORN": "HV", "WPN": "WP", "EMR": "EC"}
_ADDRESS_USES = {"home": "H", "work": "WP", "temp": "TMP", "O": "WP", "B": "WP", "C": "TMP", "BA": "TMP"}
_TELECOM_CODES = frozenset({"H", "HP", "HV", "WP", "DIR", "PUB", "EC", "MC", "PG"})
_ADDRESS_CODES = frozenset({"H", "HP", "HV", "WP", "TMP"})
_CIVILITIES = {"M": "M", "MR": "M", "MONSIEUR": "M", "MME": "MME", "MADAME": "MME", "MLLE": "MME", "MS": "MME"}
_TITLES = {"DR": "DR", "DOCTEUR": "DR", "PR": "PR", "PROFESSEUR": "PR", "MC": "MC", "MG": "MG", "PC": "PC", "PG": "PG"}
_NATIONAL_PREFIXES = {"RPPS": "8", "ADELI": "0"}
_STRUCTURE_PREFIXES = {"FINEG": "1", "FINEJ": "1", "SIREN": "2", "SIRET": "3"}
_SPECIALTIES = {"1.2.250.1.213.2.28": "G15_10/{}", "1.2.250.1.71.1.2.7": "G15_{}"}
_IN_URI = "@+.-_~;=,()*!'/"
_BLANKS = re.compile(r"\s+")


def addr(given: Address | None) -> str:
    """Write an AD in parts; the street and its number are one `streetName`, as the sender wrote them."""
    if given is None:
        return f"<addr{NULL}/>"
    use = _ADDRESS_USES.get(given.use or "", given.use if given.use in _ADDRESS_CODES else None)
    parts = (
        text_element("streetName", given.lines[0] if given.lines else None)
        + text_element("additionalLocator", ", ".join(given.lines[1:]))
        + text_element("postalCode", given.postal_code)
        + text_element("city", given.city)
        + text_element("country", given.country)
    )
    return f"<addr{attribute('use', use)}>{parts}</addr>" if parts else f"<addr{NULL}/>"


def telecoms(given: Sequence[Telecom], notes: Notes, where: str) -> str:
    """Write each TEL that CDA has a scheme for; one null flavour when there is none."""
    written = []
    for one in given:
        prefix = _PREFIXES.get(one.kind)
        value = _BLANKS.sub("", clean(one.value))
        if prefix is None or not value:
            notes.info("cda.write.telecom", where, "a telecom that is neither phone, fax nor mail was left out")
            continue
        use = one.use if one.use in _TELECOM_CODES else _TELECOM_USES.get(one.use or "")
        if use is None and one.kind == "mobile":
            use = "MC"
        value = quote(value.removeprefix(f"{prefix}:"), safe=_IN_URI)
        written.append(f"<telecom{attribute('value', f'{prefix}:{value}')}{attribute('use', use)}/>")
    return "".join(written) or f"<telecom{NULL}/>"


def person_name(who: Professional, notes: Notes, where: str) -> str:
    """Write a PN: civility, given name, family name, title; nothing when no family name is known."""
    family = who.family_name or who.name
    if not family or not clean(family).strip():
        return ""
    prefix, suffix = civility_parts(who.civility)
    civility = _CIVILITIES.get((prefix or "").upper().rstrip("."))
    title = _TITLES.get((suffix or prefix or "").upper().rstrip("."))
    if (prefix and civility is None and title is None) or (suffix and title is None):
        notes.info("cda.write.civility", where, "a civility that is not in the national list was left out")
    return element(
        "name",
        text_element("prefix", civility)
        + text_element("given", who.given_name)
        + text_element("family", family)
        + text_element("suffix", title),
    )


def national_person_id(who: Professional | None, finess: str | None = None) -> Identifier | None:
    """Give a professional's national identifier as CI-SIS writes it: `8` RPPS, `0` ADELI, `3` FINESS `/` local code.

    `finess` is that of the structure where the person acts; a local code stands under it.
    """
    if who is None:
        return None
    for one in who.identifiers:
        prefix = _NATIONAL_PREFIXES.get(one.type or "")
        if one.system == PROFESSIONALS or (prefix and one.system is None):
            value = _BLANKS.sub("", one.value)
            return Identifier(system=PROFESSIONALS, value=f"{prefix or ''}{value}")
    local = next((one.value.strip() for one in who.identifiers if one.value.strip()), None)
    if finess and local:
        return Identifier(system=PROFESSIONALS, value=f"3{finess}/{local}")
    return None


def finess_of(place: Organization | None) -> str | None:
    """Give an organisation's FINESS number, or None."""
    if place is None:
        return None
    return next((one.value for one in place.identifiers if one.type in {"FINEG", "FINEJ"}), None)


def structure_id(place: Organization | None) -> Identifier | None:
    """Give a structure's national identifier as CI-SIS writes it (`1` FINESS, `2` SIREN, `3` SIRET), or None."""
    for one in place.identifiers if place is not None else ():
        if one.system == STRUCTURES or (one.system is None and one.type in _STRUCTURE_PREFIXES):
            prefix = _STRUCTURE_PREFIXES.get(one.type or "", "")
            return Identifier(system=STRUCTURES, value=f"{prefix}{_BLANKS.sub('', one.value)}")
    return None


def person_ids(who: Professional, finess: str | None) -> str:
    """Write the first identifier of a professional that a CDA can name: national, else as its authority gave it."""
    national = national_person_id(who, finess)
    if national is not None:
        return ii("id", national)
    first = next((one for one in who.identifiers if one.value.strip()), None)
    return ii("id", first) if first is not None else ""


def specialty_code(given: Coding | None) -> Coding | None:
    """Give a profession or specialty of JDV_J01, or None when it is something else.

    A doctor's specialty (TRE_R38) or a profession alone (TRE_G15) is written as JDV_J01 writes it.
    """
    found = of_value_set("specialty", given)
    if found is not None or given is None:
        return found
    pattern = _SPECIALTIES.get(oid_of_code_system(given.system))
    return value_set("specialty").get(pattern.format(given.code)) if pattern else None


def organization(tag: str, place: Organization | None, notes: Notes, where: str, setting: Coding | None = None) -> str:
    """Write an organisation with its national identifier and practice setting; nothing when nothing is known of it."""
    if place is None and setting is None:
        return ""
    one = place or Organization()
    identifier = structure_id(one)
    return element(
        tag,
        (ii("id", identifier) if identifier is not None else "")
        + text_element("name", one.name)
        + (telecoms(one.telecoms, notes, where) if one.telecoms or setting is not None else "")
        + (addr(one.address) if one.address is not None or setting is not None else "")
        + (known("standardIndustryClassCode", setting) if setting is not None else ""),
    )
