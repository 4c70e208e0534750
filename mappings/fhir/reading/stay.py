"""Hospital stays from FHIR: an Encounter, the Encounters that are part of it (movements), Locations and people."""

from __future__ import annotations

from functools import partial

from mappings.fhir import systems
from mappings.fhir.reading.actors import (
    read_contact,
    read_organization,
    read_professional,
    read_recipients,
    read_sender,
)
from mappings.fhir.reading.datatypes import read_identifier, read_identifiers, read_one_code
from mappings.fhir.reading.patient import read_patient
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
)
from mappings.fhir.writing.stay import CLASSES
from schemas.actors import Contact, Professional
from schemas.coding import Identifier
from schemas.finding import Severity
from schemas.item import Provenance, StayItem
from schemas.stay import Location, Movement, MovementAction, Stay, StayStatus

_CLASSES = {code: letter for letter, (_, code) in CLASSES.items()} | {"HH": "I", "ACUTE": "I", "NONAC": "I"}
_STATUSES = {status.value: status for status in StayStatus} | {
    "arrived": StayStatus.IN_PROGRESS,
    "triaged": StayStatus.IN_PROGRESS,
    "entered-in-error": StayStatus.CANCELLED,
}
_EVENTS = {
    StayStatus.PLANNED: "stay.planned",
    StayStatus.FINISHED: "stay.ended",
    StayStatus.CANCELLED: "stay.cancelled",
}
_PEOPLE = {"ATND": "attending", "REF": "referring", "ADM": "admitting"}


def read_stay(entry: Entry, movements: list[Entry], contacts: list[Entry], source: Source) -> StayItem:
    """Read an Encounter with its movements and the people around the patient."""
    node = entry.resource
    entry.read = True
    patient = read_patient(child(node, "subject"), node, source, entry.where)
    status = _status(node, source, entry.where)
    event, trigger = source_event(source)
    patient_class, treatment_mode = _class(node)
    period, around = child(node, "period") or {}, child(node, "hospitalization") or {}
    accounts = [one for one in (child(each, "identifier") for each in children(node, "account")) if one]
    pre_admission, destination = child(around, "preAdmissionIdentifier"), child(around, "destination")
    disposition = read_one_code(child(around, "dischargeDisposition"), source)
    reasons = children(node, "reasonCode")
    location, prior = _locations(node, source)
    numbers = read_identifiers(entry)
    hospital = read_organization(child(node, "serviceProvider"), node, source)
    occurred = take_extension(node, systems.OUR_EXT + "occurred")
    expected_in = take_extension(node, systems.OUR_EXT + "expected-admission")
    expected_out = take_extension(node, systems.ESTIMATED_DISCHARGE)
    labels = [one for one in children(child(node, "meta") or {}, "security") if said(one, "code") == "R"]
    for label in labels:
        forget(label, "system", "code", "display")
    stay = Stay(
        event=event or _EVENTS.get(status, "stay.updated"),
        trigger=trigger or "",
        status=status,
        visit=numbers[0] if numbers else None,
        account=read_identifier(accounts[0]) if accounts else None,
        pre_admission=read_identifier(pre_admission) if pre_admission else None,
        patient_class=patient_class,
        admission_type=take_own_text(node, "admission-type"),
        treatment_mode=take_own_text(node, "treatment-mode") or treatment_mode,
        admit_source=take_own_text(node, "admit-source"),
        location=location,
        prior_location=prior,
        movements=tuple(_movement(one, source) for one in movements),
        admitted_at=take_moment(period, "start"),
        discharged_at=take_moment(period, "end"),
        expected_admission_at=take_moment(expected_in, "valueDateTime") if expected_in else None,
        expected_discharge_at=take_moment(expected_out, "valueDateTime") if expected_out else None,
        reason=read_one_code(reasons[0], source) if reasons else None,
        discharge_disposition=disposition.code if disposition else None,
        discharge_destination=_destination(destination),
        entry_mode=take_own_text(node, "entry-mode"),
        exit_mode=take_own_text(node, "exit-mode"),
        **_people(node, source),
        hospital=hospital,
        contacts=tuple(read_contacts(contacts, source)),
        protected=True if labels else None,
        dmp_feeding=take_own_text(node, "dmp-feeding"),
        dmp_consultation=take_own_text(node, "dmp-consultation"),
        moved_from=_moved_from(node),
    )
    for account in children(node, "account"):
        forget(account, "type")
    return StayItem(
        id="",
        occurred_at=(take_moment(occurred, "valueDateTime") if occurred else None) or stay.admitted_at,
        replaces=take_own_text(node, "replaces"),
        patient=patient,
        sender=read_sender(node, hospital, source),
        recipients=read_recipients(node, source),
        content=stay,
        source=Provenance(format="fhir", where=entry.where),
    )


def _moved_from(node: Node) -> tuple[Identifier, ...]:
    given = [child(one, "valueIdentifier") for one in take_extensions(node, systems.OUR_EXT + "moved-from")]
    return tuple(number for one in given if one is not None and (number := read_identifier(one)) is not None)


def source_event(source: Source) -> tuple[str | None, str | None]:
    """Read the event and its trigger from the tags of a Bundle that Passerelle wrote."""
    event = trigger = None
    for tag in children(child(source.document, "meta") or {}, "tag"):
        if said(tag, "system") == systems.EVENT_TAG:
            event = said(tag, "code") or None
        elif said(tag, "system") == systems.TRIGGER_TAG:
            trigger = said(tag, "code")
    return event, trigger


def read_contacts(entries: list[Entry], source: Source) -> list[Contact]:
    """Read the RelatedPersons, once each."""
    return [read_contact(one, source) for one in entries if not one.read]


def _status(node: Node, source: Source, where: str) -> StayStatus:
    status = _STATUSES.get(said(node, "status"))
    if status is None:
        source.note(Severity.WARNING, "fhir.status.unknown", f"{where}.status", "this status is not known")
        return StayStatus.UNKNOWN
    forget(node, "status")
    return status


def _class(node: Node) -> tuple[str | None, str | None]:
    """Read the class back to PV1-2, with PV1-21 for hospitalisation at home."""
    given = child(node, "class") or {}
    code = said(given, "code")
    letter = take_own_text(node, "patient-class") or _CLASSES.get(code)
    if letter is not None or code == "UNK":
        forget(given, "system", "code", "display")
    return letter, "06" if code == "HH" else None


def _destination(node: Node | None) -> str | None:
    logical = child(node, "identifier") if node else None
    number = read_identifier(logical) if logical else None
    if node is not None and number is not None:
        forget(node, "type")
    return number.value if number else None


def _people(node: Node, source: Source) -> dict[str, Professional]:
    found: dict[str, Professional] = {}
    for one in children(node, "participant"):
        for concept in children(one, "type"):
            for coding in children(concept, "coding"):
                field = _PEOPLE.get(said(coding, "code"))
                if field is None or field in found:
                    continue
                person = read_professional(child(one, "individual"), node, source)
                if person is not None:
                    found[field] = person
                    forget(coding, "system", "code", "display")
    return found


def _locations(node: Node, source: Source) -> tuple[Location | None, Location | None]:
    current: Location | None = None
    prior: Location | None = None
    for one in children(node, "location"):
        marked = take_text(one, "id") == "prior"
        entry = source.resolve(child(one, "location"), node)
        if entry is None or entry.kind != "Location":
            continue
        place = source.once(entry, "location", partial(_location, entry.resource))
        if marked:
            prior = place
        elif current is None or said(one, "status") == "active":
            current, prior = place, prior or current
        forget(one, "status")
    return current, prior


def _location(node: Node) -> Location:
    owner = child(node, "managingOrganization") or {}
    facility = child(owner, "identifier")
    status = child(node, "operationalStatus") or {}
    parts = {name: take_own_text(node, f"location-{name}") for name in ("unit", "room", "bed")}
    name = take_text(node, "name")
    if not any(parts.values()):
        parts["unit"] = name
    forget(node, "mode", "identifier", "status")
    forget(owner, "type")
    forget(status, "system")
    return Location(**parts, facility=read_identifier(facility) if facility else None, status=take_text(status, "code"))


def _movement(entry: Entry, source: Source) -> Movement:
    node = entry.resource
    entry.read = True
    forget(node, "status", "class", "subject", "partOf")
    care = take_extension(node, systems.OUR_EXT + "care-unit")
    historic = take_extension(node, systems.OUR_EXT + "historic")
    action = take_own_text(node, "movement-action")
    return Movement(
        identifiers=read_identifiers(entry),
        start=take_moment(child(node, "period") or {}, "start"),
        action=MovementAction(action) if action in set(MovementAction) else None,
        historic=take_flag(historic, "valueBoolean") if historic else None,
        original_trigger=take_own_text(node, "original-trigger"),
        medical_unit=read_organization(child(node, "serviceProvider"), node, source),
        care_unit=read_organization(child(care, "valueReference"), node, source) if care else None,
        nature=take_own_text(node, "movement-nature"),
    )
