"""The patient, after FR Core (`fr-core-patient`, `fr-core-patient-ins`), and the rule that guards the INS.

An INS leaves only with a qualified identity, neither doubtful nor fictitious, and in its own environment; what is
withheld is said in a Finding (RNIV; INS implementation guide, dissemination rule).
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from mappings.contracts import Environment
from mappings.fhir import systems
from mappings.fhir.writing.actors import professional
from mappings.fhir.writing.bundle import BundleBuilder, Resource, token
from mappings.fhir.writing.datatypes import (
    address,
    concept,
    criteria,
    extend,
    extension,
    identifier,
    insee_extension,
    put_date_time,
    telecom,
    usable,
)
from mappings.recollection import Recollection
from schemas.coding import Identifier
from schemas.finding import Finding, Severity
from schemas.identifiers import InsEnvironment, ins_authority, ins_is_at_home, ins_of
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity, Sex

STATUS_CODES = {
    IdentityStatus.PROVISIONAL: "PROV",
    IdentityStatus.RETRIEVED: "RECUP",
    IdentityStatus.VALIDATED: "VALI",
    IdentityStatus.QUALIFIED: "QUAL",
}
ATTRIBUTE_CODES = {
    IdentityAttribute.HOMONYM: "HOMA",
    IdentityAttribute.DOUBTFUL: "DOUT",
    IdentityAttribute.FICTITIOUS: "FICT",
}
GENDERS = {Sex.FEMALE: "female", Sex.MALE: "male", Sex.UNKNOWN: "unknown"}
_USES = {"PI": "usual", "RRI": "secondary", "INS-C": "secondary"}
_NOT_A_KEY = frozenset({"NH", "SS", "SB", "SNS", "INS", "INS-C", "NDP"})
"""Numbers that a whole family may share, or that may not be used as the patient's own key."""


def sendable_ins(builder: BundleBuilder, identity: PatientIdentity) -> Ins | None:
    """Give the INS if it may leave, and a Finding if one may not."""
    ins = identity.ins
    if ins is None:
        return None
    forbidden = {IdentityAttribute.DOUBTFUL, IdentityAttribute.FICTITIOUS} & set(identity.attributes)
    if identity.status is not IdentityStatus.QUALIFIED or forbidden:
        builder.note(
            Severity.WARNING,
            "fhir.ins.withheld",
            "patient.ins",
            "the INS was not sent: the identity is not qualified, or it is doubtful or fictitious",
        )
        return None
    here = builder.context.environment
    home = InsEnvironment.PRODUCTION if here is Environment.PRODUCTION else InsEnvironment.TEST
    if ins_authority(ins.oid) is None or (here is not None and not ins_is_at_home(ins.oid, home)):
        builder.note(
            Severity.ERROR,
            "fhir.ins.environment",
            "patient.ins",
            "the INS was not sent: its OID does not belong to this environment",
        )
        return None
    return ins


def patient_key(builder: BundleBuilder, identity: PatientIdentity, ins: Ins | None) -> str | None:
    """Write the criterion by which the receiver finds this patient: INS, else IPP, else any key of his own."""
    if ins is not None:
        return token(f"urn:oid:{ins.oid}", ins.matricule)
    own = [one for one in identity.identifiers if one.type not in _NOT_A_KEY and ins_of(one) is None and usable((one,))]
    permanent = next((one for one in own if one.type == "PI"), own[0] if own else None)
    return criteria(permanent, builder) if permanent is not None else None


def patient(builder: BundleBuilder, identity: PatientIdentity, item_id: str) -> Resource:
    """Write the patient of a report, stay or document: created if unknown, never overwritten; gives the reference."""
    context = builder.context
    way = _Way(builder.sender, context.environment, context.options.get("fr_core"), str(builder.zone))
    written = _WRITTEN.of(identity)
    known = None if written is None else written.get(way)
    if known is not None:
        builder.findings += known.findings
        return builder.put_written(known.url, known.entry)
    before = len(builder.findings)
    reference, key = _patient(builder, identity, item_id)
    # A practitioner is an entry of his own, and a patient without a key is nobody's but this Item's.
    if key is not None and identity.general_practitioner is None:
        if written is None:
            written = _WRITTEN.keep({}, identity)
        url, entry = str(reference["reference"]), builder.written_entry(-1)
        written[way] = _Written(url, entry, tuple(builder.findings[before:]))
    return reference


def _patient(builder: BundleBuilder, identity: PatientIdentity, item_id: str) -> tuple[Resource, str | None]:
    resource, key = patient_resource(builder, identity)
    if key is None:
        builder.note(
            Severity.WARNING,
            "fhir.patient.no_identifier",
            "patient.identifiers",
            "the patient has no identifier that may serve as a key: the receiver cannot tell that it knows him",
        )
    return builder.post_once(resource, f"patient|{key or item_id}", key), key


class _Way(NamedTuple):
    """What else the entry of an identity depends on."""

    sender: str
    environment: Environment | None
    fr_core: str | None
    zone: str


class _Written(NamedTuple):
    """A patient's entry as it was written, and the Findings that came with it."""

    url: str
    entry: bytes
    findings: tuple[Finding, ...]


REMEMBERED = 2000
"""Patients whose entry is remembered: they come back with each report. A pure function's memory, bounded."""

_WRITTEN: Recollection[dict[_Way, _Written]] = Recollection(REMEMBERED)


def patient_resource(
    builder: BundleBuilder, identity: PatientIdentity, container: Resource | None = None
) -> tuple[Resource, str | None]:
    """Build the Patient and the criterion that finds it; `container` is what the Patient will be inside of."""
    ins = sendable_ins(builder, identity)
    out: Resource = {"resourceType": "Patient", "meta": {"profile": [_profile(identity, ins)]}}
    if identity.confidential and container is not None:
        builder.not_carried("patient.confidential", "what is contained in another resource has no security label")
    elif identity.confidential:
        security = [{"system": systems.CONFIDENTIALITY, "code": "R"}]
        out["meta"] = {"profile": [_profile(identity, ins)], "security": security}
    _put_extensions(out, builder, identity, ins)
    identifiers = [_ins_identifier(ins, builder)] if ins is not None else []
    for one in identity.identifiers:
        if not usable((one,)):
            continue
        if ins_of(one) is not None:
            if ins is None or one.value != ins.matricule:
                builder.note(
                    Severity.WARNING,
                    "fhir.ins.withheld",
                    "patient.identifiers",
                    "an identifier under an INS authority was not sent: the identity does not assert it",
                )
            continue
        identifiers.append(_local_identifier(one, builder, ins))
    if identifiers:
        out["identifier"] = identifiers
    names = _names(identity)
    if names:
        out["name"] = names
    if identity.telecoms:
        out["telecom"] = [telecom(one) for one in identity.telecoms]
    if identity.sex is not None:
        out["gender"] = GENDERS[identity.sex]
    _put_birth_date(out, identity.birth_date)
    if identity.deceased_at is not None:
        put_date_time(out, "deceasedDateTime", identity.deceased_at, builder.zone)
    elif identity.deceased is not None:
        out["deceasedBoolean"] = identity.deceased
    if identity.addresses:
        out["address"] = [address(one) for one in identity.addresses]
    if identity.marital_status is not None:
        out["maritalStatus"] = concept((identity.marital_status,), None, builder)
    if identity.general_practitioner is not None:
        doctor = professional(builder, identity.general_practitioner, out if container is None else container)
        if doctor:
            out["generalPractitioner"] = [doctor]
    if identity.deleted:
        builder.not_carried("patient.deleted", "FHIR cannot say that a field was explicitly removed")
    return out, patient_key(builder, identity, ins)


def _profile(identity: PatientIdentity, ins: Ins | None) -> str:
    complete = all((identity.birth_name, identity.first_given_name, identity.birth_given_names, identity.birth_place))
    qualified = ins is not None and complete and identity.birth_date and identity.sex in {Sex.FEMALE, Sex.MALE}
    return systems.FR_CORE + ("fr-core-patient-ins" if qualified else "fr-core-patient")


def _ins_identifier(ins: Ins, builder: BundleBuilder) -> Resource:
    authority = ins_authority(ins.oid)
    kind = authority.type if authority else "INS-NIR"
    older = builder.context.options.get("fr_core") == "2.1"
    use = "temp" if kind == "INS-NIA" and older else "official"
    return {"use": use, "type": systems.type_concept(kind), "system": f"urn:oid:{ins.oid}", "value": ins.matricule}


def _local_identifier(one: Identifier, builder: BundleBuilder, ins: Ins | None) -> Resource:
    use = _USES.get(one.type or "")
    if one.type == "NH" and ins is None:
        use = "official"  # FR Core says so, and also that an INS leaves no other official identifier
    return identifier(one, builder, use)


def _put_extensions(out: Resource, builder: BundleBuilder, identity: PatientIdentity, ins: Ins | None) -> None:
    reliability = reliability_extension(builder, identity, ins)
    if reliability is not None:
        extend(out, reliability)
    if identity.birth_place or identity.birth_place_name:
        place: Resource = {}
        if identity.birth_place:
            place["extension"] = [insee_extension(identity.birth_place)]
        if identity.birth_place_name:
            place["city"] = identity.birth_place_name
        extend(out, {"url": systems.BIRTH_PLACE, "valueAddress": place})
    if identity.birth_date_corrected is not None:
        extend(out, {"url": systems.BIRTH_DATE_UPDATED, "valueBoolean": identity.birth_date_corrected})
    for country in identity.citizenships:
        nation: Resource = {"url": "code", "valueCodeableConcept": {"coding": [{"code": country}]}}
        extend(out, {"url": systems.CITIZENSHIP, "extension": [nation]})


def reliability_extension(builder: BundleBuilder, identity: PatientIdentity, ins: Ins | None) -> Resource | None:
    """Say the RNIV status and attributes; FR Core 2.1 (option `fr_core`) knows VALI with an INS, and PROV."""
    inside: list[Resource] = []
    status = identity.status
    if status is not None and builder.context.options.get("fr_core") == "2.1":
        old = {IdentityStatus.PROVISIONAL: "PROV"} | ({IdentityStatus.QUALIFIED: "VALI"} if ins else {})
        if status in old:
            code = {"system": systems.IDENTITY_0445, "code": old[status]}
            inside.append({"url": "identityStatus", "valueCoding": code})
        else:
            builder.not_carried("patient.status", "FR Core 2.1 has no code for this identity status without an INS")
    elif status is not None:
        code = {"system": systems.IDENTITY_STATUS, "code": STATUS_CODES[status]}
        inside.append({"url": "identityStatus", "valueCoding": code})
    for attribute in identity.attributes:
        comment = {"coding": [{"system": systems.IDENTITY_STATUS_COMMENT, "code": ATTRIBUTE_CODES[attribute]}]}
        inside.append({"url": "comment", "valueCodeableConcept": comment})
    return {"url": systems.RELIABILITY, "extension": inside} if inside else None


def _names(identity: PatientIdentity) -> list[Resource]:
    names: list[Resource] = []
    given = list(identity.birth_given_names)
    if identity.birth_name or given or identity.first_given_name:
        official: Resource = {"use": "official"}
        if given:
            extend(official, {"url": systems.BIRTH_LIST, "valueString": " ".join(given)})
        if identity.birth_name:
            official["family"] = identity.birth_name
        if identity.first_given_name:
            official["given"] = [identity.first_given_name]
        names.append(official)
    for use, family, first in (
        ("usual", identity.used_name, identity.used_given_name),
        (None, identity.family_name, identity.given_name),
    ):
        if family or first:
            name: Resource = {"use": use} if use else {}
            if family:
                name["family"] = family
            if first:
                name["given"] = [first]
            names.append(name)
    if identity.civility:
        if not names:
            names.append({})
        names[0]["prefix"] = [identity.civility]
    return names


def _put_birth_date(out: Resource, born: str | None) -> None:
    if born is None:
        return
    try:
        date.fromisoformat((born + "-01-01")[:10])
        out["birthDate"] = born
    except ValueError:
        extend(out, extension("birth-date", "valueString", born))
        if born[:4] != "0000":
            out["birthDate"] = born[:4]
