"""A hospital stay: the Encounter of the visit, one child Encounter a movement, Locations and people.

The class follows PV1-2 (E emergency, I inpatient, O ambulatory, R sessions, V virtual); PV1-21 refines it for
hospitalisation at home.
"""

from __future__ import annotations

from mappings.fhir import systems
from mappings.fhir.writing.actors import contact, organization, professional, put_recipients, put_sender
from mappings.fhir.writing.bundle import BundleBuilder, Resource
from mappings.fhir.writing.datatypes import concept, criteria, extend, extension, identifier, put_date_time, usable
from mappings.fhir.writing.patient import patient
from schemas.coding import Coding
from schemas.identifiers import ins_of
from schemas.item import StayItem
from schemas.stay import Location, Movement, MovementAction, Stay, StayStatus

CLASSES = {
    "E": (systems.ACT_CODE, "EMER"),
    "I": (systems.ACT_CODE, "IMP"),
    "O": (systems.ACT_CODE, "AMB"),
    "V": (systems.ACT_CODE, "VR"),
    "R": (systems.PATIENT_CLASS, "R"),
}
HOME_HOSPITALISATION = "06"
_PLAIN = (
    "admission_type",
    "treatment_mode",
    "admit_source",
    "entry_mode",
    "exit_mode",
    "dmp_feeding",
    "dmp_consultation",
)
"""Fields whose codes are HL7v2's or the PMSI's: kept as extensions, since FHIR's own value sets are others."""


def write_stay(builder: BundleBuilder, item: StayItem) -> None:
    """Add the Encounter, its movements and all that they mention to the Bundle."""
    stay = item.content
    subject = patient(builder, item.patient, item.id)
    builder.tags.append({"system": systems.EVENT_TAG, "code": stay.event})
    builder.tags.append({"system": systems.TRIGGER_TAG, "code": stay.trigger})
    number = stay.visit if stay.visit is not None and usable((stay.visit,)) else None
    account = stay.account if stay.account is not None and usable((stay.account,)) else None
    out: Resource = {"resourceType": "Encounter"}
    claims_profile = number is not None and number.type and stay.admitted_at and stay.patient_class in CLASSES
    if claims_profile:
        out["meta"] = {"profile": [systems.FR_CORE + "fr-core-encounter"]}
    if stay.protected:
        meta = out.setdefault("meta", {})
        if isinstance(meta, dict):
            meta["security"] = [{"system": systems.CONFIDENTIALITY, "code": "R"}]
    if number is not None:
        out["identifier"] = [identifier(number, builder)]
    out["status"] = stay.status.value
    out["class"] = encounter_class(stay)
    out["subject"] = subject
    _put_people(out, builder, stay)
    _put_period(out, builder, stay)
    if stay.reason is not None:
        out["reasonCode"] = [concept((stay.reason,), None, builder)]
    if account is not None:
        out["account"] = [{"type": "Account", "identifier": identifier(account, builder)}]
    _put_hospitalization(out, builder, stay)
    _put_locations(out, builder, stay)
    if stay.hospital is not None:
        provider = organization(builder, stay.hospital, out)
        if provider:
            out["serviceProvider"] = provider
    _put_plain(out, builder, item)
    key = criteria(number, builder) if number is not None else None
    known_by = key or (criteria(account, builder) if account is not None else f"{builder.sender}|{item.id}")
    parent = builder.put(out, f"encounter|{known_by}", key)
    for rank, movement in enumerate(stay.movements):
        _movement(builder, item, movement, parent, subject, rank)
    for person in stay.contacts:
        contact(builder, person, subject)


def encounter_class(stay: Stay) -> Resource:
    """Give the class of the Encounter; a visit that names none (PV1-2 N) has the null flavour `UNK`."""
    if stay.treatment_mode == HOME_HOSPITALISATION and stay.patient_class == "I":
        return {"system": systems.ACT_CODE, "code": "HH"}
    system, code = CLASSES.get(stay.patient_class or "", (systems.NULL_FLAVOR, "UNK"))
    return {"system": system, "code": code}


def _put_people(out: Resource, builder: BundleBuilder, stay: Stay) -> None:
    participants: list[Resource] = []
    for code, person in (("ATND", stay.attending), ("REF", stay.referring), ("ADM", stay.admitting)):
        if person is not None:
            individual = professional(builder, person, out)
            if individual:
                role = {"coding": [{"system": systems.PARTICIPATION, "code": code}]}
                participants.append({"type": [role], "individual": individual})
    if participants:
        out["participant"] = participants


def _put_period(out: Resource, builder: BundleBuilder, stay: Stay) -> None:
    period: Resource = {}
    put_date_time(period, "start", stay.admitted_at, builder.zone)
    put_date_time(period, "end", stay.discharged_at, builder.zone)
    if period:
        out["period"] = period


def _put_hospitalization(out: Resource, builder: BundleBuilder, stay: Stay) -> None:
    around: Resource = {}
    if stay.pre_admission is not None and usable((stay.pre_admission,)):
        around["preAdmissionIdentifier"] = identifier(stay.pre_admission, builder)
    if stay.discharge_destination:
        place = {"system": systems.FINESS, "value": stay.discharge_destination}
        around["destination"] = {"type": "Organization", "identifier": place}
    if stay.discharge_disposition:
        code = Coding(system=systems.TERMINOLOGY + "v2-0112", code=stay.discharge_disposition)
        around["dischargeDisposition"] = concept((code,), None, builder)
    if around:
        out["hospitalization"] = around


def _put_locations(out: Resource, builder: BundleBuilder, stay: Stay) -> None:
    places: list[Resource] = []
    for place, state in ((stay.location, "active"), (stay.prior_location, "completed")):
        if place is not None:
            reference = location(builder, place)
            if reference is not None:
                done = state == "completed" or stay.status is StayStatus.FINISHED
                entry: Resource = {"location": reference, "status": "completed" if done else "active"}
                if state == "completed":
                    entry["id"] = "prior"
                places.append(entry)
    if places:
        out["location"] = places


def location(builder: BundleBuilder, given: Location) -> Resource | None:
    """Write a place: care unit, room and bed of a facility, each also on its own for who reads back."""
    parts = [(name, value) for name in ("unit", "room", "bed") if (value := getattr(given, name))]
    if not parts and (given.facility is None or not usable((given.facility,))):
        return None
    labels = {"unit": "UF", "room": "chambre", "bed": "lit"}
    out: Resource = {"resourceType": "Location", "mode": "instance"}
    if given.status:
        out["operationalStatus"] = {"system": systems.TERMINOLOGY + "v2-0116", "code": given.status}
    if parts:
        out["name"] = ", ".join(f"{labels[name]} {value}" for name, value in parts)
    extend(out, *(extension(f"location-{name}", "valueString", value) for name, value in parts))
    facility = ""
    if given.facility is not None and usable((given.facility,)):
        out["managingOrganization"] = {"type": "Organization", "identifier": identifier(given.facility, builder)}
        facility = criteria(given.facility, builder)
    name = f"location|{builder.sender}|{facility}|{given.unit}|{given.room}|{given.bed}"
    known = builder.named.get(name)
    if known is None:
        known = builder.named[name] = builder.post_once(out, name)
    return known


def _put_plain(out: Resource, builder: BundleBuilder, item: StayItem) -> None:
    stay = item.content
    for field in _PLAIN:
        value = getattr(stay, field)
        if value:
            extend(out, extension(field.replace("_", "-"), "valueString", value))
    if stay.patient_class is not None and stay.patient_class not in CLASSES:
        extend(out, extension("patient-class", "valueString", stay.patient_class))
    for url, moment in (
        (systems.ESTIMATED_DISCHARGE, stay.expected_discharge_at),
        (systems.OUR_EXT + "expected-admission", stay.expected_admission_at),
        (systems.OUR_EXT + "occurred", item.occurred_at),
    ):
        if moment is not None:
            dated: Resource = {"url": url}
            put_date_time(dated, "valueDateTime", moment, builder.zone)
            extend(out, dated)
    for one in usable(stay.moved_from):
        if ins_of(one) is None:
            extend(out, {"url": systems.OUR_EXT + "moved-from", "valueIdentifier": identifier(one, builder, "old")})
        else:
            builder.not_carried("content.moved_from", "the INS of the patient who held the stay before is not sent")
    if item.replaces:
        extend(out, extension("replaces", "valueString", item.replaces))
    put_sender(builder, item.sender, stay.hospital, out)
    put_recipients(builder, item.recipients, out)


def _movement(
    builder: BundleBuilder, item: StayItem, given: Movement, parent: Resource, subject: Resource, rank: int
) -> None:
    stay = item.content
    out: Resource = {"resourceType": "Encounter"}
    numbers = usable(given.identifiers)
    if numbers:
        out["identifier"] = [identifier(one, builder) for one in numbers]
    cancelled = given.action is MovementAction.CANCEL
    out["status"] = "cancelled" if cancelled else "finished" if given.historic else stay.status.value
    out["class"] = encounter_class(stay)
    out["subject"] = subject
    period: Resource = {}
    put_date_time(period, "start", given.start, builder.zone)
    if period:
        out["period"] = period
    if given.medical_unit is not None:
        unit = organization(builder, given.medical_unit, out)
        if unit:
            out["serviceProvider"] = unit
    out["partOf"] = parent
    if given.care_unit is not None:
        care = organization(builder, given.care_unit, out)
        if care:
            extend(out, extension("care-unit", "valueReference", care))
    for name, value in (
        ("movement-action", given.action),
        ("original-trigger", given.original_trigger),
        ("movement-nature", given.nature),
    ):
        if value:
            extend(out, extension(name, "valueCode", str(value)))
    if given.historic is not None:
        extend(out, extension("historic", "valueBoolean", given.historic))
    if numbers:
        key = criteria(numbers[0], builder)
        builder.put(out, f"movement|{key}", key)
    else:
        builder.put(out, f"movement|{parent['reference']}|{given.start}|{rank}")
