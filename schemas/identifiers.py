"""French identifiers: INS matricules, professionals (RPPS, ADELI), structures (FINESS, SIREN, SIRET).

A check gives a typed result, never a bare boolean: what is wrong decides what may be done with the number. Nothing here
rejects a message; a number that does not verify is kept as sent, with a Finding, and is not used as a key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from schemas.coding import Identifier
from schemas.identity import Ins
from schemas.tables import rows

IDNPS_OID = "1.2.250.1.71.4.2.1"
"""National identifiers of professionals: `8` + RPPS, `0` + ADELI, `3` + FINESS `/` a local number."""
IDNST_OID = "1.2.250.1.71.4.2.2"
"""National identifiers of structures: `1` + FINESS, `2` + SIREN, `3` + SIRET, `4` + RPPS and rank."""
INS_C_OID = "1.2.250.1.213.1.4.2"
"""The computed INS of before 2020: not an INS matricule."""
NDP_OID = "1.2.250.1.176.1.2"
"""Pharmaceutical record number."""

PROFESSIONALS = f"urn:oid:{IDNPS_OID}"
STRUCTURES = f"urn:oid:{IDNST_OID}"

NOT_AN_INS = frozenset({"NH", "SS", "SB", "SNS", "INS-C"})
"""Identifier types that may stand under an INS OID and are not the patient's INS (the billing number above all)."""

_SEPARATORS = re.compile(r"[\s.\-]+")
_BLANKS = re.compile(r"\s+")
_BODY = re.compile(r"[12]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)(?:\d{2}|2[AB])\d{6}", re.ASCII)
_PROVISIONAL = re.compile(r"[78][012]\d{11}", re.ASCII)
_MIGRANT = re.compile(r"[56][12]\d{11}", re.ASCII)
_CORSICA = {"2A": "19", "2B": "18"}


class MatriculeVerdict(StrEnum):
    """What a matricule is worth. Only OK may be used as an INS; NO_KEY is a body whose key the sender left out."""

    OK = "OK"
    NO_KEY = "OK_NO_KEY"
    WRONG_KEY = "ERR_KEY"
    WRONG_FORMAT = "ERR_FORMAT"
    WRONG_LENGTH = "ERR_LENGTH"
    PROVISIONAL_NUMBER = "ERR_NNP"
    MIGRANT_NUMBER = "ERR_MIG"


@dataclass(frozen=True, slots=True)
class Matricule:
    """A checked NIR or NIA: `value` without separators, in capitals; `key` is the two digits it should end with."""

    value: str
    verdict: MatriculeVerdict
    key: str | None = None


def check_matricule(raw: str) -> Matricule:
    """Check the shape and key of a NIR or NIA, Corsica (2A, 2B) included."""
    value = _SEPARATORS.sub("", raw).upper()
    if len(value) not in (13, 15):
        return Matricule(value, MatriculeVerdict.WRONG_LENGTH)
    body, sent_key = value[:13], value[13:]
    if not _BODY.fullmatch(body) or (sent_key and not (sent_key.isascii() and sent_key.isdigit())):
        if _PROVISIONAL.fullmatch(body):
            return Matricule(value, MatriculeVerdict.PROVISIONAL_NUMBER)
        if _MIGRANT.fullmatch(body):
            return Matricule(value, MatriculeVerdict.MIGRANT_NUMBER)
        return Matricule(value, MatriculeVerdict.WRONG_FORMAT)
    department = body[5:7]
    digits = body[:5] + _CORSICA.get(department, department) + body[7:]
    key = f"{97 - int(digits) % 97:02d}"
    if not sent_key:
        return Matricule(value, MatriculeVerdict.NO_KEY, key)
    verdict = MatriculeVerdict.OK if sent_key == key else MatriculeVerdict.WRONG_KEY
    return Matricule(value, verdict, key)


class InsEnvironment(StrEnum):
    """Where an INS OID may circulate."""

    PRODUCTION = "production"
    TEST = "test"
    DEMONSTRATION = "demonstration"


@dataclass(frozen=True, slots=True)
class InsAuthority:
    """An assigning authority of INS: its OID, NIR or NIA, environment, FR identifier type, HL7v2 namespace label."""

    oid: str
    kind: str
    environment: InsEnvironment
    type: str
    namespace: str

    @property
    def system(self) -> str:
        """The authority as an identifier system (`urn:oid:…`)."""
        return f"urn:oid:{self.oid}"


@cache
def ins_authorities() -> dict[str, InsAuthority]:
    """List the INS authorities by OID."""
    return {
        row["oid"]: InsAuthority(
            row["oid"], row["kind"], InsEnvironment(row["environment"]), row["type"], row["namespace"]
        )
        for row in rows("ins_authorities.csv")
    }


def ins_authority(system: str | None) -> InsAuthority | None:
    """Give the INS authority that an OID (bare or as `urn:oid:…`) names, or None."""
    return ins_authorities().get((system or "").removeprefix("urn:oid:"))


def ins_of(identifier: Identifier) -> Ins | None:
    """Read an identifier as an INS, or None when it is not one: a billing number shares the OID but not the type."""
    authority = ins_authority(identifier.system)
    if authority is None or identifier.type in NOT_AN_INS:
        return None
    return Ins(matricule=identifier.value, oid=authority.oid)


def ins_is_at_home(oid: str, environment: InsEnvironment) -> bool:
    """Tell whether an INS of this OID may be accepted there: real and test identities never meet (IHE PAM France).

    Production takes production OIDs alone; test and demonstration take both non-production OIDs.
    """
    authority = ins_authority(oid)
    if authority is None:
        return False
    production = InsEnvironment.PRODUCTION
    return (authority.environment is production) == (environment is production)


class NumberVerdict(StrEnum):
    """What a national number is worth: `wrong_key` has the right shape but its last digit does not verify."""

    VALID = "valid"
    WRONG_KEY = "wrong_key"
    WRONG_FORMAT = "wrong_format"


@dataclass(frozen=True, slots=True)
class NationalNumber:
    """A checked number: `kind` is its FR identifier type (RPPS, ADELI, FINEG, SIREN, SIRET, IDNPS, IDNST)."""

    kind: str
    value: str
    verdict: NumberVerdict


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _checked(kind: str, raw: str, shape: str, *, keyed: bool = True) -> NationalNumber:
    value = _SEPARATORS.sub("", raw).upper()
    if not re.fullmatch(shape, value, re.ASCII):
        return NationalNumber(kind, value, NumberVerdict.WRONG_FORMAT)
    digits = value.replace("A", "1").replace("B", "2")
    verdict = NumberVerdict.VALID if not keyed or _luhn(digits) else NumberVerdict.WRONG_KEY
    return NationalNumber(kind, value, verdict)


def check_rpps(raw: str) -> NationalNumber:
    """Check an RPPS number: 11 digits, Luhn."""
    return _checked("RPPS", raw, r"\d{11}")


def check_adeli(raw: str) -> NationalNumber:
    """Check an ADELI number: 9 characters that begin with a department (2A and 2B exist); it has no key."""
    return _checked("ADELI", raw, r"(?:\d{2}|2[AB])\d{7}", keyed=False)


def check_finess(raw: str) -> NationalNumber:
    """Check a FINESS number: 9 characters, Luhn, where the letter of 2A counts 1 and that of 2B counts 2."""
    return _checked("FINEG", raw, r"(?:\d{2}|2[AB])\d{7}")


def check_siren(raw: str) -> NationalNumber:
    """Check a SIREN number: 9 digits, Luhn."""
    return _checked("SIREN", raw, r"\d{9}")


def check_siret(raw: str) -> NationalNumber:
    """Check a SIRET number: 14 digits, Luhn (the post office's own establishments do not follow it)."""
    return _checked("SIRET", raw, r"\d{14}")


def professional_identifier(value: str, type_: str | None = None, system: str | None = None) -> Identifier:
    """Give a professional's identifier its canonical form, from whatever mixture the sender wrote.

    Under the national authority (or typed RPPS, ADELI, IDNPS): 12 digits that begin with 8 and 11 digits are RPPS (11),
    10 that begin with 0 and 9 are ADELI (9). Their system becomes `urn:oid:1.2.250.1.71.4.2.1`. Anything else,
    a local code above all, comes back as sent. (HL7 v2.5 data types, French
    constraints, XCN; HPRIM Santé, CNA, for numbers without a type.)
    """
    national = type_ in {"RPPS", "ADELI", "IDNPS"} or system == PROFESSIONALS
    text = _BLANKS.sub("", value) if national else value.strip()
    if national:
        if len(text) == 12 and text.startswith("8") and text.isdigit():
            return Identifier(system=PROFESSIONALS, value=text[1:], type="RPPS")
        if len(text) == 10 and text.startswith("0"):
            return Identifier(system=PROFESSIONALS, value=text[1:], type="ADELI")
        if len(text) == 11 and text.isdigit():
            return Identifier(system=PROFESSIONALS, value=text, type="RPPS")
        if check_adeli(text).verdict is NumberVerdict.VALID:
            return Identifier(system=PROFESSIONALS, value=text, type="ADELI")
        return Identifier(system=system or PROFESSIONALS, value=value, type=type_)
    if type_ is None and system is None and check_rpps(text).verdict is NumberVerdict.VALID:
        return Identifier(system=PROFESSIONALS, value=text, type="RPPS")
    return Identifier(system=system, value=value, type=type_)


def structure_identifier(value: str, type_: str | None = None, system: str | None = None) -> Identifier:
    """Give a structure's identifier its canonical form.

    `1` + FINESS (10 characters) typed FINEG, FINEJ, FINESS or IDNST, or sent under the national authority, becomes the
    FINESS number itself; `3` + SIRET and `2` + SIREN likewise. What has another shape comes back as sent.
    (HL7 v2.5 data types, French constraints, XON.)
    """
    finess_types = {"FINEG", "FINEJ", "FINESS"}
    if type_ not in finess_types | {"IDNST", "SIREN", "SIRET"} and system != STRUCTURES:
        return Identifier(system=system, value=value, type=type_)
    text = _BLANKS.sub("", value).upper()
    kept = type_ if type_ in {"FINEG", "FINEJ"} else "FINEG"
    national = type_ == "IDNST" or type_ is None
    if len(text) == 10 and text.startswith("1") and (national or type_ in finess_types):
        return Identifier(system=STRUCTURES, value=text[1:], type=kept)
    if len(text) == 9 and type_ in finess_types:
        return Identifier(system=STRUCTURES, value=text, type=kept)
    if len(text) == 15 and text.startswith("3") and (national or type_ == "SIRET"):
        return Identifier(system=STRUCTURES, value=text[1:], type="SIRET")
    if len(text) == 10 and text.startswith("2") and (national or type_ == "SIREN"):
        return Identifier(system=STRUCTURES, value=text[1:], type="SIREN")
    return Identifier(system=system or STRUCTURES, value=value, type=type_)
