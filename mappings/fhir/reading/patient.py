"""The patient from FHIR: FR Core first, any other Patient with what it has.

An INS is taken as one only when the resource says that the identity is qualified; otherwise the number stays among the
identifiers, with a Finding.
"""

from __future__ import annotations

import re

from mappings.contracts import Environment
from mappings.fhir import systems
from mappings.fhir.reading.actors import read_professional
from mappings.fhir.reading.datatypes import read_addresses, read_identifiers, read_insee, read_one_code, read_telecoms
from mappings.fhir.reading.source import Entry, Source
from mappings.fhir.reading.taking import (
    Node,
    child,
    children,
    forget,
    said,
    take_extension,
    take_extensions,
    take_flag,
    take_moment,
    take_own_text,
    take_text,
    take_texts,
)
from mappings.fhir.writing.patient import ATTRIBUTE_CODES, GENDERS, STATUS_CODES
from schemas.coding import Identifier
from schemas.finding import Severity
from schemas.identifiers import (
    InsEnvironment,
    MatriculeVerdict,
    check_matricule,
    ins_authority,
    ins_is_at_home,
    ins_of,
)
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity, Sex

_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?", re.ASCII)
_STATUSES = {code: status for status, code in STATUS_CODES.items()}
_ATTRIBUTES = {code: attribute for attribute, code in ATTRIBUTE_CODES.items()}
_SEXES = {gender: sex for sex, gender in GENDERS.items()}


def read_patient(reference: Node | None, container: Node, source: Source, where: str) -> PatientIdentity:
    """Read the patient that a report, stay or document is about; nobody is an error Finding."""
    entry = source.resolve(reference, container)
    if entry is not None and entry.kind == "Patient":
        return patient_of(entry, source)
    identifiers = _logical(reference)
    if not identifiers:
        source.note(
            Severity.ERROR, "fhir.subject.missing", f"{where}.subject", "no patient can be found in the content"
        )
    return PatientIdentity(identifiers=identifiers)


def _logical(reference: Node | None) -> tuple[Identifier, ...]:
    """Read a reference that names its patient by an identifier or by an absolute URL."""
    from mappings.fhir.reading.datatypes import read_identifier

    if reference is None:
        return ()
    given = child(reference, "identifier")
    number = read_identifier(given) if given else None
    if number is not None:
        forget(reference, "type")
        return (number,)
    url = said(reference, "reference")
    searched = systems.searched_patient(url)
    if searched is not None:
        del reference["reference"]
        system, kind = systems.identifier_system_in(searched[0], None)
        return (Identifier(system=system, value=searched[1], type=kind),)
    if url.startswith(("http://", "https://")) and "/" in url.rstrip("/"):
        del reference["reference"]
        system, _, value = url.rpartition("/")
        return (Identifier(system=system, value=value),)
    return ()


def patient_of(entry: Entry, source: Source) -> PatientIdentity:
    """Read a Patient resource, once."""
    entry.read = True
    return source.once(entry, "patient", lambda: _patient(entry, source))


def _patient(entry: Entry, source: Source) -> PatientIdentity:
    node = entry.resource
    status, attributes = _reliability(node)
    identifiers = read_identifiers(entry)
    system_0445 = status == "0445"
    qualified = status == "QUAL" or (system_0445 and any(ins_of(one) for one in identifiers))
    ins, identifiers = _ins(identifiers, source, entry.where, qualified=qualified)
    place = take_extension(node, systems.BIRTH_PLACE)
    place_address = (child(place, "valueAddress") if place else None) or {}
    corrected = take_extension(node, systems.BIRTH_DATE_UPDATED)
    meta = child(node, "meta") or {}
    labels = [one for one in children(meta, "security") if said(one, "code") == "R"]
    for label in labels:
        forget(label, "system", "code", "display")
    doctors = children(node, "generalPractitioner")
    died = take_moment(node, "deceasedDateTime")
    sex = _SEXES.get(said(node, "gender"))
    if sex is not None or said(node, "gender") == "other":
        forget(node, "gender")
        sex = sex or Sex.UNKNOWN
    forget(node, "active")
    if status == "0445":
        stated: IdentityStatus | None = IdentityStatus.QUALIFIED if ins is not None else IdentityStatus.VALIDATED
    else:
        stated = _STATUSES.get(status or "")
    return PatientIdentity(
        ins=ins,
        status=stated,
        attributes=attributes,
        identifiers=identifiers,
        **_names(node),
        birth_date=_birth_date(node, source, entry.where),
        birth_date_corrected=take_flag(corrected, "valueBoolean") if corrected else None,
        sex=sex,
        birth_place=read_insee(place_address),
        birth_place_name=take_text(place_address, "city") or take_text(place_address, "text"),
        addresses=read_addresses(node),
        telecoms=read_telecoms(node),
        marital_status=read_one_code(child(node, "maritalStatus"), source),
        citizenships=_citizenships(node),
        deceased_at=died,
        deceased=True if died else take_flag(node, "deceasedBoolean"),
        confidential=True if labels else None,
        general_practitioner=read_professional(doctors[0], entry.container, source) if doctors else None,
    )


def _birth_date(node: Node, source: Source, where: str) -> str | None:
    """Read the birth date: as sent when no calendar has it (an extension of ours), else FHIR's own."""
    sent = take_own_text(node, "birth-date")
    if sent is not None and _DATE.fullmatch(sent):
        forget(node, "birthDate")
        return sent
    if _DATE.fullmatch(said(node, "birthDate")):
        return take_text(node, "birthDate")
    if said(node, "birthDate"):
        source.note(Severity.WARNING, "fhir.date.invalid", f"{where}.birthDate", "the birth date is not a date")
    return None


def _reliability(node: Node) -> tuple[str | None, tuple[IdentityAttribute, ...]]:
    """Read the identity status (`0445` for the older list's VALI, whose sense hangs on an INS) and the attributes."""
    status: str | None = None
    attributes: list[IdentityAttribute] = []
    for one in take_extensions(node, systems.RELIABILITY):
        stated = take_extension(one, "identityStatus")
        coding = child(stated, "valueCoding") if stated else None
        if coding is not None:
            old = take_text(coding, "system") == systems.IDENTITY_0445
            forget(coding, "display")
            code = take_text(coding, "code")
            if code in _ATTRIBUTES:
                attributes.append(_ATTRIBUTES[code])
            elif code is not None:
                status = "0445" if old and code == "VALI" else "PROV" if code == "VIDE" else code
        for comment in take_extensions(one, "comment"):
            concept = child(comment, "valueCodeableConcept") or {}
            for inner in children(concept, "coding"):
                if said(inner, "code") in _ATTRIBUTES:
                    attributes.append(_ATTRIBUTES[said(inner, "code")])
                    forget(inner, "system", "code", "display")
    return status, tuple(attributes)


def _ins(
    identifiers: tuple[Identifier, ...], source: Source, where: str, *, qualified: bool
) -> tuple[Ins | None, tuple[Identifier, ...]]:
    """Take the INS out of the identifiers when it may be believed: NIR before NIA, never from another environment."""
    best: tuple[Ins, Identifier] | None = None
    for one in identifiers:
        ins = ins_of(one)
        if ins is None or not _believable(ins, source, where, qualified=qualified):
            continue
        authority = ins_authority(ins.oid)
        if best is None or (authority is not None and authority.kind == "NIR"):
            best = (ins, one)
    if best is None:
        return None, identifiers
    return best[0], tuple(one for one in identifiers if one != best[1])


def _believable(ins: Ins, source: Source, where: str, *, qualified: bool) -> bool:
    def doubt(code: str, severity: Severity, message: str) -> None:
        source.note(severity, code, f"{where}.identifier", message)

    if not qualified:
        doubt(
            "fhir.ins.not_qualified",
            Severity.WARNING,
            "an INS came with an identity that is not qualified: it is kept aside and not used",
        )
        return False
    here = source.context.environment
    home = InsEnvironment.PRODUCTION if here is Environment.PRODUCTION else InsEnvironment.TEST
    if here is not None and not ins_is_at_home(ins.oid, home):
        doubt("fhir.ins.environment", Severity.ERROR, "an INS of another environment was kept aside and not used")
        return False
    if check_matricule(ins.matricule).verdict is not MatriculeVerdict.OK:
        authority = ins_authority(ins.oid)
        real = authority is None or authority.environment is InsEnvironment.PRODUCTION
        doubt("fhir.ins.key", Severity.WARNING if real else Severity.INFO, "the INS does not have its key or its shape")
        return not real
    return True


def _names(node: Node) -> dict[str, object]:
    """Sort the names: official is the birth name, usual the one in use, any other a name of unstated kind."""
    out: dict[str, object] = {}
    for name in children(node, "name"):
        use = said(name, "use")
        birth_list = take_extension(name, systems.BIRTH_LIST)
        if use == "official" or birth_list is not None:
            kept = ("birth_name", "first_given_name")
        elif use in {"usual", "nickname"}:
            kept = ("used_name", "used_given_name")
        else:
            kept = ("family_name", "given_name")
        if any(field in out for field in kept):
            continue
        forget(name, "use")
        given = take_texts(name, "given")
        _put(out, kept[0], take_text(name, "family") or take_text(name, "text"))
        if kept[0] == "birth_name":
            listed = take_text(birth_list, "valueString") if birth_list else None
            names = tuple(listed.split()) if listed else given if len(given) > 1 else ()
            if names:
                out["birth_given_names"] = names
            _put(out, kept[1], given[0] if given else None)
        else:
            _put(out, kept[1], " ".join(given) or None)
        prefix = take_texts(name, "prefix")
        if "civility" not in out:
            _put(out, "civility", " ".join(prefix) or None)
        forget(name, "text")
    return out


def _put(out: dict[str, object], field: str, value: str | None) -> None:
    if value is not None:
        out[field] = value


def _citizenships(node: Node) -> tuple[str, ...]:
    found = []
    for one in take_extensions(node, systems.CITIZENSHIP):
        inner = take_extension(one, "code")
        for coding in children(child(inner, "valueCodeableConcept") or {}, "coding") if inner else []:
            code = take_text(coding, "code")
            if code is not None:
                forget(coding, "system", "display")
                found.append(code)
    return tuple(found)
