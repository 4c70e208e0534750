"""MSH and PID: what every written message begins with."""

from __future__ import annotations

from mappings.contracts import Environment, WriteContext
from mappings.hl7v2.ins import is_ins
from mappings.hl7v2.pen import Pen
from mappings.hl7v2.times import stamp
from mappings.hl7v2.written_types import coding, cx, hd, xad, xcn, xtn
from schemas.coding import Identifier
from schemas.finding import Severity
from schemas.identifiers import ins_authorities, ins_authority
from schemas.identity import IdentityAttribute, IdentityStatus, PatientIdentity
from schemas.item import Item

APPLICATION = "PASSERELLE"
_STATUSES = {
    IdentityStatus.QUALIFIED: "VALI",
    IdentityStatus.VALIDATED: "VALI",
    IdentityStatus.PROVISIONAL: "PROV",
    IdentityStatus.RETRIEVED: "PROV",
}
_ATTRIBUTES = {
    IdentityAttribute.HOMONYM: "HOMA",
    IdentityAttribute.DOUBTFUL: "DOUT",
    IdentityAttribute.FICTITIOUS: "FICT",
}
_BLOCKING = frozenset({IdentityAttribute.DOUBTFUL, IdentityAttribute.FICTITIOUS})

INS_NIR = "1.2.250.1.213.1.4.8"
NULL = '""'


def write_msh(pen: Pen, item: Item, context: WriteContext, message_type: str, version: str, profile: str = "") -> None:
    """Write MSH. The partner's options are `sending_application`, `sending_facility` and `receiving_…` alike.

    The sending facility is the Item's sender when no option says otherwise; MSH-11 is T in a test environment.
    """
    pen.begin("MSH")
    options = context.options
    sender = item.sender
    if sender is not None and (sender.address is not None or sender.telecoms):
        pen.lost("the address of the sender")
    facility = pen.text(options["sending_facility"]) if "sending_facility" in options else hd(pen, sender)
    fields = (
        "^~\\&",
        pen.text(options.get("sending_application", APPLICATION)),
        facility,
        pen.text(options.get("receiving_application", "")),
        pen.text(options.get("receiving_facility", "")),
        context.now.astimezone(context.timezone).strftime("%Y%m%d%H%M%S%z"),
        "",
        message_type,
        pen.text(context.identity),
        "T" if context.environment is Environment.TEST else "P",
        version,
        "",
        "",
        "",
        "",
        "FRA",
        pen.label,
        "FR",
        "",
        profile,
    )
    pen.lines.append("|".join(("MSH", *fields)).rstrip("|"))


def write_pid(
    pen: Pen,
    patient: PatientIdentity,
    account: Identifier | None = None,
    removed_ins: Identifier | None = None,
) -> None:
    """Write PID, PD1 and the ROL of the general practitioner.

    An INS leaves only under a qualified identity, and one that was received unusable never does. `removed_ins` is the
    one whose authority names the deletion of every INS (A47), when the patient's INS was removed.
    """
    pen.begin("PID")
    telecoms = [xtn(pen, one) for one in patient.telecoms]
    deleted = frozenset(patient.deleted)

    def or_null(raw: str, field: str) -> str:
        return NULL if not raw and field in deleted else raw

    pen.segment(
        "PID",
        {
            1: "1",
            3: "~".join(_identifiers(pen, patient, removed_ins)),
            5: "~".join(_names(pen, patient)),
            7: or_null((patient.birth_date or "").replace("-", ""), "birth_date"),
            8: or_null(patient.sex.value if patient.sex is not None else "", "sex"),
            11: or_null("~".join(_addresses(pen, patient)), "addresses"),
            13: or_null("~".join(telecoms), "telecoms"),
            16: or_null(coding(pen, patient.marital_status), "marital_status"),
            18: cx(pen, account, "AN"),
            23: or_null(pen.text(_place_text(patient)), "birth_place_name"),
            26: or_null("~".join(pen.text(code) for code in patient.citizenships), "citizenships"),
            29: or_null(stamp(patient.deceased_at) if patient.deceased_at else "", "deceased_at"),
            30: or_null({True: "Y", False: "N", None: ""}[patient.deceased], "deceased"),
            32: "~".join(_reliability(pen, patient)),
        },
    )
    if patient.confidential is not None:
        pen.begin("PD1")
        pen.segment("PD1", {12: "Y" if patient.confidential else "N"})
    _write_practitioner(pen, patient)


def _identifiers(pen: Pen, patient: PatientIdentity, removed_ins: Identifier | None) -> list[str]:
    written = []
    for identifier in patient.identifiers:
        if is_ins(identifier) and ins_authority(identifier.system) is not None:
            pen.note(Severity.WARNING, "hl7v2.write.ins", "an INS that may not be used was not sent")
        else:
            written.append(cx(pen, identifier))
    if patient.ins is not None:
        qualified = patient.status is IdentityStatus.QUALIFIED and _BLOCKING.isdisjoint(patient.attributes)
        if qualified and patient.birth_date_corrected:
            pen.note(Severity.WARNING, "hl7v2.write.ins", "an INS is not sent beside a corrected birth date (PAM 6.6)")
        elif qualified:
            known = ins_authority(patient.ins.oid)
            name = known.namespace if known is not None else None
            oid = f"urn:oid:{patient.ins.oid}"
            written.append(cx(pen, Identifier(system=oid, value=patient.ins.matricule, type="INS", assigner=name)))
        else:
            pen.note(Severity.WARNING, "hl7v2.write.ins", "the identity is not qualified: the INS was not sent")
    if "ins" in patient.deleted and patient.ins is None:
        known = ins_authority(removed_ins.system) if removed_ins is not None else None
        known = known or ins_authorities()[INS_NIR]
        written.append(f"{NULL}^^^{known.namespace}&{known.oid}&ISO^INS")
    return written


def _names(pen: Pen, patient: PatientIdentity) -> list[str]:
    names = []
    given_names = pen.text(" ".join(patient.birth_given_names))
    civility = pen.text(patient.civility)
    if patient.birth_name or (patient.birth_given_names and not patient.family_name):
        given = pen.text(patient.first_given_name)
        names.append(pen.components((pen.text(patient.birth_name), given, given_names, "", civility, "", "L")))
    if patient.used_name or patient.used_given_name or "used_name" in patient.deleted:
        family = pen.text(patient.used_name) or (NULL if "used_name" in patient.deleted else "")
        used_given = pen.text(patient.used_given_name) or (NULL if "used_given_name" in patient.deleted else "")
        names.append(pen.components((family, used_given, "", "", civility, "", "D")))
    if patient.family_name or patient.given_name:
        family, given = pen.text(patient.family_name), pen.text(patient.given_name)
        further = given_names if not names else ""
        names.append(pen.components((family, given, further, "", civility, "", "U")))
    return names


def _addresses(pen: Pen, patient: PatientIdentity) -> list[str]:
    addresses = [xad(pen, one) for one in patient.addresses]
    if patient.birth_place:
        city = pen.text(patient.birth_place_name)
        addresses.append(pen.components(("", "", city, "", "", "", "BDL", "", pen.text(patient.birth_place))))
    return addresses


def _place_text(patient: PatientIdentity) -> str | None:
    """Give PID-23: the name of the birth place when no COG code carries it in PID-11."""
    return patient.birth_place_name if not patient.birth_place else None


def _reliability(pen: Pen, patient: PatientIdentity) -> list[str]:
    if patient.status is IdentityStatus.RETRIEVED:
        pen.note(Severity.INFO, "hl7v2.write.status", "PID-32 says provisional for a retrieved identity")
    status = [_STATUSES[patient.status]] if patient.status is not None else []
    if patient.attributes and not status:
        status = ["VIDE"]
    return status + [_ATTRIBUTES[one] for one in patient.attributes]


def _write_practitioner(pen: Pen, patient: PatientIdentity) -> None:
    doctor = patient.general_practitioner
    if doctor is None:
        return
    pen.begin("ROL")
    fields = {2: "UC", 3: "ODRP", 4: xcn(pen, doctor, with_telecoms=True)}
    if doctor.address is not None:
        fields[11] = xad(pen, doctor.address)
    fields[12] = "~".join(xtn(pen, one) for one in doctor.telecoms)
    pen.segment("ROL", fields)
