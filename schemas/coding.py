"""Codes, identifiers, and the systems that they belong to."""

from __future__ import annotations

from schemas.base import Frozen

LOINC = "http://loinc.org"
SNOMED_CT = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
LOCAL = "local"
"""The system of a code that only its sender understands; the sender is on the Item."""


class Coding(Frozen):
    """A code in a system (a URI, or `local`), with the label that the sender gave."""

    system: str | None = None
    code: str
    display: str | None = None


class Identifier(Frozen):
    """An identifier and who assigned it.

    `system` is a URI: `urn:oid:…` when the authority has an OID, `urn:x-finess:…` when it is known by its
    FINESS number, `urn:x-authority:…` (percent-encoded) when only a name was sent, None when nothing was.
    `type` is the code of HL7 table 0203 as France extends it (PI, AN, VN, INS, NH, SB, RPPS, FINEG…).
    """

    system: str | None = None
    value: str
    type: str | None = None
    assigner: str | None = None
