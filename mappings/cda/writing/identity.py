"""The patient: `recordTarget` (cda-fr §2.1), and the rule that guards the INS.

An INS leaves only with a qualified identity that has all its traits, neither doubtful nor fictitious, and in its own
environment; what is withheld is said in a Finding (RNIV; INS implementation guide, dissemination rule).
"""

from __future__ import annotations

from mappings.cda.oids import PATIENT_OF_ONE_DOCUMENT
from mappings.cda.writing.codes import authority_of, ii
from mappings.cda.writing.markup import attribute, clean, element, text_element
from mappings.cda.writing.parties import addr, telecoms
from mappings.cda.writing.times import stamp
from mappings.contracts import Environment, WriteContext, WriteRefused
from mappings.notes import Notes
from schemas.actors import Organization
from schemas.coding import Coding, Identifier
from schemas.identifiers import InsEnvironment, ins_authority, ins_is_at_home, ins_of
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity, Sex

_GENDERS = {
    Sex.FEMALE: ("F", "Féminin"),
    Sex.MALE: ("M", "Masculin"),
    Sex.UNKNOWN: ("UN", "Inconnu"),
}
_NOT_A_KEY = frozenset({"NH", "SS", "SB", "SNS", "INS", "INS-C", "NDP"})
"""Numbers that a whole family may share, or that may not be used as the patient's own key."""


def record_target(identity: PatientIdentity, context: WriteContext, sender: Organization | None, notes: Notes) -> str:
    """Write the patient.

    A patient without an identifier of his own gets one that is good for this document alone: two documents about
    namesakes must never look like one person's. Raises WriteRefused `cda.patient.no_name` without family or given
    name, `cda.patient.no_birth_date` without a birth date: the header has no conformant way to say that they are
    unknown, and nothing is made up about a patient.
    """
    ins = sendable_ins(identity, context, notes)
    ids = _identifiers(identity, ins, context, sender, notes)
    if not ids:
        message = "the patient has no identifier of his own: he gets one for this document alone, which links no other"
        notes.warning("cda.write.patient_id", "patient.identifiers", message)
        ids = f'<id root="{PATIENT_OF_ONE_DOCUMENT}"{attribute("extension", context.identity)}/>'
    for field in ("citizenships", "marital_status", "deleted"):
        if getattr(identity, field):
            notes.info("cda.write.not_carried", f"patient.{field}", "a CI-SIS header has no place for it")
    return element(
        "recordTarget",
        element(
            "patientRole",
            ids
            + ("".join(addr(one) for one in identity.addresses) or addr(None))
            + telecoms(identity.telecoms, notes, "patient.telecoms")
            + '<patient classCode="PSN">'
            + _name(identity, notes)
            + _gender(identity, notes)
            + _birth_time(identity, context, notes)
            + _death(identity, context)
            + _birth_place(identity)
            + "</patient>",
        ),
    )


def sendable_ins(identity: PatientIdentity, context: WriteContext, notes: Notes) -> Ins | None:
    """Give the INS if it may leave, and a Finding if one may not."""
    ins = identity.ins
    if ins is None:
        return None
    forbidden = {IdentityAttribute.DOUBTFUL, IdentityAttribute.FICTITIOUS} & set(identity.attributes)
    if identity.status is not IdentityStatus.QUALIFIED or forbidden:
        message = "the INS was not written: the identity is not qualified, or it is doubtful or fictitious"
        notes.warning("cda.ins.withheld", "patient.ins", message)
        return None
    here = context.environment
    home = InsEnvironment.PRODUCTION if here is Environment.PRODUCTION else InsEnvironment.TEST
    if ins_authority(ins.oid) is None or (here is not None and not ins_is_at_home(ins.oid, home)):
        message = "the INS was not written: its OID does not belong to this environment"
        notes.error("cda.ins.environment", "patient.ins", message)
        return None
    if not _has_all_traits(identity, context):
        message = "the INS was not written: it needs birth names, birth date, sex and birth place beside it"
        notes.error("cda.ins.traits", "patient.ins", message)
        return None
    return ins


def _has_all_traits(identity: PatientIdentity, context: WriteContext) -> bool:
    names = identity.birth_name and identity.birth_given_names and _first_given(identity)
    certain = identity.sex in (Sex.FEMALE, Sex.MALE)
    born = identity.birth_date and stamp(identity.birth_date, context.timezone)
    return bool(names and born and identity.birth_place and certain)


def _first_given(identity: PatientIdentity) -> str | None:
    """Give the first birth given name: as sent, else the first of the list (RNIV)."""
    if identity.first_given_name:
        return identity.first_given_name
    return identity.birth_given_names[0].split(" ")[0] if identity.birth_given_names else None


def _identifiers(
    identity: PatientIdentity, ins: Ins | None, context: WriteContext, sender: Organization | None, notes: Notes
) -> str:
    written = []
    if ins is not None:
        written.append(f'<id root="{ins.oid}"{attribute("extension", ins.matricule)}/>')
    local = sorted(identity.identifiers, key=lambda one: one.type != "PI")
    default = context.options.get("patient_id_root")
    for one in local:
        if not clean(one.value).strip():
            continue
        if one.type in _NOT_A_KEY or ins_of(one) is not None or ins_authority(one.system) is not None:
            if ins is None or one.value != ins.matricule:
                message = "a number that is not the patient's own key was left out (insured person's number, past INS)"
                notes.info("cda.write.not_carried", "patient.identifiers", message)
            continue
        system = one.system or (f"urn:oid:{default}" if default else authority_of(sender))
        if system is None:
            message = "the authority of the patient's number is not known: set `patient_id_root`"
            notes.warning("cda.write.authority", "patient.identifiers", message)
        written.append(ii("id", Identifier(system=system, value=one.value, assigner=one.assigner)))
    return "".join(dict.fromkeys(written))


def _name(identity: PatientIdentity, notes: Notes) -> str:
    """Write families (BR, CL) and given names (none: the birth list; BR: the first; CL: the one in use)."""
    used_family = identity.used_name or identity.family_name
    used_given = identity.used_given_name or identity.given_name
    if identity.family_name and not identity.birth_name and not identity.used_name:
        message = "a family name of unstated kind is written as the name in use (CL)"
        notes.info("cda.write.name_kind", "patient.family_name", message)
    names = (
        _part("family", identity.birth_name, "BR")
        + text_element("given", " ".join(identity.birth_given_names))
        + _part("given", _first_given(identity), "BR")
        + _part("family", used_family, "CL")
        + _part("given", used_given, "CL")
    )
    if "<family" not in names or "<given" not in names:
        message = "a CDA needs a family name and a given name of the patient"
        raise WriteRefused("cda.patient.no_name", "patient", message)
    return element("name", names)


def _part(tag: str, text: str | None, qualifier: str) -> str:
    return text_element(tag, text).replace(f"<{tag}>", f'<{tag} qualifier="{qualifier}">', 1)


def _gender(identity: PatientIdentity, notes: Notes) -> str:
    if identity.sex is None:
        notes.info("cda.write.filled", "patient.sex", "the sex is not known: it is written UN (unknown)")
    code, label = _GENDERS[identity.sex or Sex.UNKNOWN]
    gender = Coding(system="2.16.840.1.113883.5.1", code=code, display=label)
    return (
        f'<administrativeGenderCode code="{gender.code}" displayName="{gender.display}" codeSystem="{gender.system}"/>'
    )


def _birth_time(identity: PatientIdentity, context: WriteContext, notes: Notes) -> str:
    """Write the birth date; of a lunar date (RNIV) TS can hold no more than the year."""
    born = identity.birth_date
    if not born:
        message = "a CDA needs the patient's birth date, and has no way to say that it is unknown"
        raise WriteRefused("cda.patient.no_birth_date", "patient.birth_date", message)
    value = stamp(born, context.timezone)
    if value is None:
        message = "a birth date that is not in the calendar (lunar date) is written as its year"
        notes.warning("cda.write.lunar_date", "patient.birth_date", message)
    return f'<birthTime value="{value or born[:4]}"/>'


def _death(identity: PatientIdentity, context: WriteContext) -> str:
    at = stamp(identity.deceased_at, context.timezone) if identity.deceased_at else None
    dead = identity.deceased if identity.deceased is not None else (True if at else None)
    said = "" if dead is None else f'<sdtc:deceasedInd value="{"true" if dead else "false"}"/>'
    return said + (f'<sdtc:deceasedTime value="{at}"/>' if at else "")


def _birth_place(identity: PatientIdentity) -> str:
    place = text_element("county", identity.birth_place) + text_element("city", identity.birth_place_name)
    return f"<birthplace><place><addr>{place}</addr></place></birthplace>" if place else ""


def confidentiality(identity: PatientIdentity, given: tuple[Coding, ...], notes: Notes) -> str:
    """Write the level N, R or V; the visibility codes of the DMP are not part of a document."""
    levels = ("N", "R", "V")
    found = next((one.code for one in given if one.code in levels), None)
    if any(one.code not in levels for one in given):
        message = "visibility is asked of the DMP beside the document: it is not in it"
        notes.info("cda.write.not_carried", "content.confidentiality", message)
    code = found or ("R" if identity.confidential else "N")
    label = {"N": "Normal", "R": "Restreint", "V": "Très restreint"}[code]
    return f'<confidentialityCode code="{code}" displayName="{label}" codeSystem="2.16.840.1.113883.5.25"/>'
