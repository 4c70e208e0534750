"""Value sets that several formats share. The codes of one format only live with that format.

Trap: letters such as D, R, S, U and X mean one thing as a flag (table 0078) and another as a status (0085): the two
never share a lookup, and statuses are not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from schemas.tables import rows

V2_IDENTIFIER_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
FR_IDENTIFIER_TYPES = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


@dataclass(frozen=True, slots=True)
class Flag:
    """A code of table 0078; `interpretation` is its FHIR code, None where FHIR has none (MS, VS)."""

    code: str
    interpretation: str | None
    fr: str
    en: str


@cache
def abnormal_flags() -> dict[str, Flag]:
    """List table 0078 by code, as HL7v2, HPRIM Médecin and HPRIM Santé use it."""
    return {
        row["code"]: Flag(row["code"], row["interpretation"] or None, row["fr"], row["en"])
        for row in rows("abnormal_flags.csv")
    }


@dataclass(frozen=True, slots=True)
class IdentifierType:
    """A code of table 0203 as France extends it, with the FHIR code system that defines it."""

    code: str
    system: str
    fr: str


@cache
def identifier_types() -> dict[str, IdentifierType]:
    """List the identifier types by code."""
    systems = {"v2": V2_IDENTIFIER_TYPES, "fr": FR_IDENTIFIER_TYPES}
    return {
        row["code"]: IdentifierType(row["code"], systems[row["system"]], row["fr"])
        for row in rows("identifier_types.csv")
    }


@cache
def _urls() -> dict[str, str]:
    return {row["oid"]: row["url"] for row in rows("code_systems.csv")}


@cache
def _oids() -> dict[str, str]:
    return {url: oid for oid, url in _urls().items()}


def code_system_url(system: str) -> str:
    """Give the URL by which FHIR names a code system known by its OID (bare or `urn:oid:…`), else what was sent."""
    return _urls().get(system.removeprefix("urn:oid:"), system)


def code_system_oid(system: str) -> str | None:
    """Give the OID of a code system known by its URL (or already by its OID), or None."""
    bare = system.removeprefix("urn:oid:")
    return bare if bare in _urls() else _oids().get(system)
