"""Codes and identifiers as CDA writes them, and the national value sets that the header is held to."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files
from uuid import NAMESPACE_OID, UUID

from mappings.authority import authority_system
from mappings.cda.oids import LOCAL_CODES_OID, LOINC_OID, code_in, oid_of_code_system, root_and_extension
from mappings.cda.writing.markup import attribute, clean
from mappings.uuids import uuid5_text
from schemas.actors import Organization
from schemas.coding import LOCAL, Coding, Identifier
from schemas.value_sets import code_system_oid

OURS = bytes.fromhex(uuid5_text(NAMESPACE_OID.bytes, "2.25.335292736149269360771631430118651521409").replace("-", ""))
"""The namespace of the names that become OIDs here."""
_NAMES = {LOINC_OID: "LOINC", "2.16.840.1.113883.6.96": "SNOMED CT"}
_BLANK = re.compile(r"\s")
_LOCAL_NAME = "Codes du laboratoire"


@cache
def _value_set_rows() -> list[dict[str, str]]:
    text = (files("mappings.cda") / "data" / "value_sets.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def value_set(name: str) -> dict[str, Coding]:
    """List a value set of `data/value_sets.csv` by code: type, setting, facility, encounter, function, specialty.

    `Coding.system` is the OID that the document writes. The sets are JDV_J07, J04, J02, J142, J47, J01 and
    ObservationInterpretation, as of 2024.
    """
    return {
        row["code"]: Coding(system=row["oid"], code=row["code"], display=row["label"])
        for row in _value_set_rows()
        if row["set"] == name
    }


def of_value_set(name: str, given: Coding | None) -> Coding | None:
    """Give a code as its value set has it; None when the set does not have it under that system."""
    if given is None:
        return None
    found = value_set(name).get(given.code)
    if found is None or found.system is None:
        return None
    system = given.system
    return found if system in (None, LOCAL) or oid_of_code_system(system) == found.system else None


def known(tag: str, code: Coding) -> str:
    """Write a code of a value set (`system` is its OID) as an empty element."""
    shown = attribute("displayName", code.display)
    return f'<{tag} code="{code.code}"{shown} codeSystem="{code.system}"{_system_name(code.system)}/>'


@lru_cache(maxsize=4096)
def attributes_of(code: Coding, label: str | None = None, *, named: bool = True) -> str:
    """Write `code`, `displayName` (the label, else the code, when it has none), `codeSystem` and its name.

    `named` is unset where a code needs no name: then it has one only if the sender or the label gives it.

    A code whose system the sender did not say has none here either; one with blanks, which no code system of CDA has,
    stands among the laboratory's own (`mappings.cda.oids.code_in`).
    """
    bare = clean(code.code)
    shown = _first(code.display, label, bare) if named or code.display or label else None
    blank = _BLANK.search(bare) is not None
    if code.system is None and not blank:
        return f"{attribute('code', bare)}{attribute('displayName', shown)}"
    oid = LOCAL_CODES_OID if blank else oid_of_code_system(code.system)
    name = _system_name(oid)
    if oid == LOCAL_CODES_OID:
        system = clean(code.system or LOCAL)
        name = attribute("codeSystemName", _LOCAL_NAME if system == LOCAL else system)
    return f'{attribute("code", code_in(oid, bare))}{attribute("displayName", shown)} codeSystem="{oid}"{name}'


def _system_name(oid: str | None) -> str:
    name = _NAMES.get(oid or "")
    return f' codeSystemName="{name}"' if name else ""


def _first(*texts: str | None) -> str:
    return next((shown for text in texts if text and (shown := clean(text).strip())), "?")


def usable(codes: Sequence[Coding | None]) -> tuple[Coding, ...]:
    """Give the codes that say something: a code of blanks or control characters is none."""
    return tuple(one for one in codes if one is not None and clean(one.code).strip())


def names_its_system(code: Coding) -> bool:
    """Tell whether a CDA can name the system of a code: it has an OID, or is local; and the code has no blanks."""
    system = code.system
    if system not in (None, LOCAL) and _BLANK.search(code.code):
        return False
    return system is None or system == LOCAL or system.startswith("urn:oid:") or code_system_oid(system) is not None


@lru_cache(maxsize=4096)
def named_oid(name: str) -> str:
    """Make the OID of a name: `2.25.` and its UUID (version 5) in decimal, the same each time."""
    return f"2.25.{UUID(uuid5_text(OURS, clean(name))).int}"


def authority_of(organization: Organization | None) -> str | None:
    """Give the identifier system of what an organisation assigns; its name may hold what XML cannot."""
    if organization is None:
        return None
    first = next((one.value for one in organization.identifiers), None)
    return authority_system(clean(first or organization.name or ""))


def ii(tag: str, identifier: Identifier) -> str:
    """Write an identifier; what has no OID stands under ours (`mappings.cda.oids`)."""
    if identifier.system is not None and clean(identifier.system) != identifier.system:
        identifier = identifier.model_copy(update={"system": clean(identifier.system)})
    root, extension = root_and_extension(identifier)
    assigner = attribute("assigningAuthorityName", identifier.assigner)
    return f"<{tag}{attribute('root', root)}{attribute('extension', extension)}{assigner}/>"


def ii_of(tag: str, identity: str) -> str:
    """Write a document's identity (`root` or `root^extension`)."""
    root, _, extension = identity.partition("^")
    return f"<{tag}{attribute('root', root)}{attribute('extension', extension or None)}/>"
