"""recordTarget to the patient's identity, with every rule of the INS (cda-fr §2.1, ins-identity A4 to A6).

A CDA may carry an INS of a qualified identity only, with all its traits: an INS that may be used says so of the
identity. One that may not stays an ordinary identifier, with a Finding that says why.
"""

from __future__ import annotations

from datetime import datetime

from mappings.cda.oids import PATIENT_OF_ONE_DOCUMENT
from mappings.cda.reading.datatypes import addresses, coding, identifier, telecoms, time_of
from mappings.cda.reading.node import Node
from mappings.cda.reading.scribe import Scribe
from mappings.contracts import Environment, FormatError
from schemas.coding import Identifier
from schemas.identifiers import (
    INS_C_OID,
    NDP_OID,
    InsEnvironment,
    MatriculeVerdict,
    check_matricule,
    ins_authority,
    ins_is_at_home,
)
from schemas.identity import IdentityStatus, Ins, PatientIdentity, Sex

_WHERE = "recordTarget/patientRole"
_SEXES = {"F": Sex.FEMALE, "M": Sex.MALE, "UN": Sex.UNKNOWN, "U": Sex.UNKNOWN}
_HOMES = {Environment.PRODUCTION: InsEnvironment.PRODUCTION, Environment.TEST: InsEnvironment.TEST}
_TRUTH = {"true": True, "false": False, "1": True, "0": False}
_TYPES = {INS_C_OID: "INS-C", NDP_OID: "NDP"}


def patient_of(scribe: Scribe, document: Node) -> PatientIdentity:
    """Read the patient. Raises FormatError `cda.patient.missing` when nothing says who it is."""
    role = document.first("recordTarget", "patientRole")
    if role is None:
        raise FormatError("cda.patient.missing", _WHERE, "the document does not say whom it is about")
    if len(document.all("recordTarget")) > 1:
        scribe.notes.error("cda.patient.several", "recordTarget", "the document is about several patients")
    patient = role.first("patient")
    values: dict[str, object] = {"addresses": addresses(role), "telecoms": telecoms(role)}
    if patient is not None:
        name = patient.first("name")
        if name is not None:
            values |= _names(scribe, name)
        values |= _traits(scribe, patient)
    numbers = [found for one in role.all("id") if (found := _number(one)) is not None]
    ins, others = _parted(scribe, numbers, values)
    if not (ins or others or values.get("birth_name") or values.get("used_name") or values.get("family_name")):
        raise FormatError("cda.patient.missing", _WHERE, "the patient has neither name nor identifier")
    values |= {"ins": ins, "identifiers": others}
    if ins is not None:
        values["status"] = IdentityStatus.QUALIFIED
    return PatientIdentity.model_validate({name: value for name, value in values.items() if value is not None})


def _names(scribe: Scribe, node: Node) -> dict[str, object]:
    """Read the names by qualifier: BR of birth, CL (or SP) in use, none the whole list of given names."""
    families: dict[str, str] = {}
    givens: dict[str, list[str]] = {}
    for part in node.children:
        if part.name not in ("family", "given"):
            continue
        qualifier = part.get("qualifier") or ""
        said = part.text
        if said is None:
            continue
        if part.name == "family":
            families.setdefault(qualifier, said)
        else:
            givens.setdefault(qualifier, []).append(said)
    if "SP" in families:
        scribe.notes.info("cda.name.qualifier", f"{_WHERE}/patient/name", "qualifier SP is read as the name in use")
    used = families.get("CL") or families.get("SP")
    birth = families.get("BR")
    unqualified = families.get("")
    listed = tuple(word for said in givens.get("", ()) for word in said.split())
    first = " ".join(givens.get("BR", ())) or None
    prefix = node.first("prefix")
    values: dict[str, object] = {
        "birth_name": birth,
        "used_name": used,
        "birth_given_names": listed if birth or first or not unqualified else (),
        "first_given_name": first,
        "used_given_name": " ".join(givens.get("CL", ())) or None,
        "civility": prefix.text if prefix is not None else None,
    }
    if unqualified and not birth:
        scribe.notes.warning("cda.name.qualifier", f"{_WHERE}/patient/name", "a family name without its qualifier")
        values |= {"family_name": unqualified, "given_name": " ".join(listed) or first}
    return values


def _traits(scribe: Scribe, patient: Node) -> dict[str, object]:
    values: dict[str, object] = {}
    gender = patient.first("administrativeGenderCode")
    code = (gender.get("code") or "").upper() if gender is not None else ""
    if gender is not None and code:
        gender.use()
        values["sex"] = _SEXES.get(code, Sex.UNKNOWN)
        if code not in _SEXES:
            scribe.notes.warning("cda.identity.sex", f"{_WHERE}/patient", "the sex is not a code that is known here")
    values["birth_date"] = _birth_date(scribe, patient.first("birthTime"))
    place = patient.first("birthplace", "place")
    if place is not None:
        values |= _birth_place(place)
    values["marital_status"] = coding(scribe, patient.first("maritalStatusCode"))
    deceased = patient.first("sdtc:deceasedInd")
    if deceased is not None:
        values["deceased"] = _TRUTH.get((deceased.get("value") or "").lower())
    values["deceased_at"] = time_of(scribe, patient.first("sdtc:deceasedTime"), f"{_WHERE}/patient/deceasedTime")
    return values


def _birth_place(place: Node) -> dict[str, object]:
    """Read the COG code of the birth place and its label: the city, else the name of the place."""
    where = place.first("addr")
    county = where.first("county") if where is not None else None
    city = where.first("city") if where is not None else None
    name = place.first("name")
    code = county.text if county is not None else None
    label = city.text if city is not None else None
    if label is None and name is not None:
        label = name.text
    return {"birth_place": code.upper() if code else None, "birth_place_name": label}


def _birth_date(scribe: Scribe, node: Node | None) -> str | None:
    """Read a birth date; a lunar one (`19582015`) is an identity trait like any other and is kept as it is."""
    raw = (node.peek("value") or "").strip() if node is not None else ""
    if node is None or not raw:
        return None
    digits = raw[:8]
    if len(digits) not in (4, 6, 8) or not (digits.isascii() and digits.isdigit()) or digits[:4] == "0000":
        scribe.notes.warning("cda.time.invalid", f"{_WHERE}/patient/birthTime", "the birth date is not readable")
        return None
    node.get("value")
    year, month, day = digits[:4], digits[4:6], digits[6:]
    if month in ("", "00"):
        return year
    if day in ("", "00"):
        return f"{year}-{month}"
    written = f"{year}-{month}-{day}"
    try:
        datetime.fromisoformat(written)
    except ValueError:
        message = "the birth date is not a day of the calendar"
        scribe.notes.info("cda.identity.lunar_date", f"{_WHERE}/patient/birthTime", message)
    return written


def _number(node: Node) -> Identifier | None:
    found = identifier(node)
    if found is None or found.system is None:
        return found
    if found.system == f"urn:oid:{PATIENT_OF_ONE_DOCUMENT}":
        return None  # we gave it to a patient who had none: it says nothing of who he is
    authority = ins_authority(found.system)
    if authority is not None:
        return found.model_copy(update={"type": authority.type})
    if found.system == "urn:ietf:rfc:3986":
        return found
    return found.model_copy(update={"type": _TYPES.get(found.system.removeprefix("urn:oid:"), "PI")})


def _parted(
    scribe: Scribe, numbers: list[Identifier], values: dict[str, object]
) -> tuple[Ins | None, tuple[Identifier, ...]]:
    """Part the INS that may be used from all other numbers; a NIR comes before a NIA."""
    ins: Ins | None = None
    others: list[Identifier] = []
    for number in sorted(numbers, key=_is_provisional):
        if ins_authority(number.system) is None:
            others.append(number)
            continue
        usable = _usable(scribe, number, values)
        if usable is None or ins is not None:
            if usable is not None and usable != ins:
                scribe.notes.warning("cda.ins.several", f"{_WHERE}/id", "several INS; only the first NIR is used")
            others.append(number)
        else:
            ins = usable
    return ins, tuple(others)


def _is_provisional(number: Identifier) -> bool:
    authority = ins_authority(number.system)
    return authority is not None and authority.kind != "NIR"


def _usable(scribe: Scribe, number: Identifier, values: dict[str, object]) -> Ins | None:
    authority = ins_authority(number.system)
    environment = scribe.context.environment
    matricule = check_matricule(number.value)
    missing = _missing_traits(values)
    if authority is None:
        return None
    if environment is not None and not ins_is_at_home(authority.oid, _HOMES[environment]):
        what, why = "environment", "test and real identities do not mix here"
    elif matricule.verdict is not MatriculeVerdict.OK:
        what, why = "matricule", "the number is not a matricule with its key"
    elif missing:
        what, why = "traits", f"traits that go with it are missing ({', '.join(missing)})"
    else:
        if not values.get("birth_place"):
            scribe.notes.warning("cda.ins.birth_place", _WHERE, "an INS without the code of the birth place")
        return Ins(matricule=matricule.value, oid=authority.oid)
    scribe.notes.warning(f"cda.ins.{what}", f"{_WHERE}/id", f"the INS is kept as an identifier only: {why}")
    return None


def _missing_traits(values: dict[str, object]) -> list[str]:
    needed = {
        "birth name": values.get("birth_name"),
        "given names": values.get("birth_given_names") or values.get("first_given_name"),
        "birth date": values.get("birth_date"),
        "sex": values.get("sex") in (Sex.FEMALE, Sex.MALE),
    }
    return [name for name, value in needed.items() if not value]
