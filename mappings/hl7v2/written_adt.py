"""Stays and identity events as ADT (IHE PAM France 2.11, HL7 2.5)."""

from __future__ import annotations

from mappings.contracts import WriteContext
from mappings.hl7v2.ins import is_ins
from mappings.hl7v2.pen import Pen
from mappings.hl7v2.times import stamp
from mappings.hl7v2.triggers import Trigger, trigger_of, triggers
from mappings.hl7v2.written_patient import write_msh, write_pid
from mappings.hl7v2.written_types import coding, cx, ei, note_place, xad, xcn, xon, xtn
from schemas.actors import Contact
from schemas.coding import Identifier
from schemas.finding import Severity
from schemas.item import IdentityItem, ItemKind, StayItem
from schemas.stay import Location, Movement, Stay, StayStatus

VERSION = "2.5^FRA^2.11"
PROFILE = "2.11^IHE_FRANCE-2.11-PAM"
_PAIRS = frozenset({"A24", "A37"})
_FACILITY_TYPES = {"FINEJ": "M", "FINEG": "N"}
_YES = {True: "Y", False: "N", None: ""}


def write_stay(pen: Pen, item: StayItem, context: WriteContext) -> None:
    """Write an event of a stay; a stay that came from elsewhere gets the trigger that says its event."""
    stay = item.content
    trigger = _trigger(pen, ItemKind.STAY, stay.event, stay.trigger)
    _begin(pen, item, context, trigger)
    write_pid(pen, item.patient, stay.account)
    _contacts(pen, stay.contacts)
    if trigger.trigger == "A44":
        _origin(pen, stay)
    _visit(pen, stay)
    pen.begin("PV2")
    pen.segment(
        "PV2",
        {
            3: coding(pen, stay.reason),
            8: _stamp(stay.expected_admission_at),
            9: _stamp(stay.expected_discharge_at),
            22: _YES[stay.protected],
        },
    )
    for movement in stay.movements:
        _movement(pen, movement)
    if not stay.movements and trigger.trigger not in ("A08", "A44"):
        pen.begin("ZBE")
        pen.note(Severity.WARNING, "hl7v2.write.no_movement", "PAM France asks for a movement; the item has none")
    pen.segment("ZFA", {9: pen.text(stay.dmp_feeding), 11: pen.text(stay.dmp_consultation)})
    pen.segment("ZFM", {1: pen.text(stay.entry_mode), 2: pen.text(stay.exit_mode)})
    pen.segment("ZFD", {4: _YES[item.patient.birth_date_corrected]})
    _drop_empty(pen)
    _note_losses(pen, item, trigger)


def _note_losses(pen: Pen, item: StayItem, trigger: Trigger) -> None:
    """Say what of the stay has no place in ADT."""
    stay = item.content
    pen.about("PV1")
    facility = stay.location.facility if stay.location is not None else None
    hospital = stay.hospital
    if hospital is not None and facility is None and hospital != item.sender:
        pen.lost("the hospital of the stay")
    elif hospital is not None and hospital != item.sender:
        note_place(pen, hospital)
    if StayStatus.UNKNOWN not in (stay.status, trigger.status) and stay.status is not trigger.status:
        pen.lost("a status of the stay that its event does not say")
    if stay.moved_from and trigger.trigger != "A44":
        pen.lost("where the stay was moved from")


def write_identity(pen: Pen, item: IdentityItem, context: WriteContext) -> None:
    """Write an identity event."""
    event = item.content
    asked = "A31" if event.trigger == "A08" else event.trigger
    trigger = _trigger(pen, ItemKind.IDENTITY, event.event, asked)
    _begin(pen, item, context, trigger)
    patient = item.patient
    if event.ins_removed:
        patient = patient.model_copy(update={"ins": None, "deleted": (*patient.deleted, "ins")})
    write_pid(pen, patient, removed_ins=next((one for one in event.absorbed if is_ins(one)), None))
    _contacts(pen, event.contacts)
    demographics = {
        4: _YES[patient.birth_date_corrected],
        5: pen.text(event.obtained_by),
        6: _stamp(event.obtained_on),
    }
    absorbed = "~".join(cx(pen, one) for one in event.absorbed)
    if trigger.trigger in _PAIRS:
        # What follows the second PID would be about the second patient.
        pen.segment("ZFD", demographics)
        pen.segment("PID", {1: "2", 3: absorbed})
    else:
        if trigger.trigger in ("A40", "A47"):
            pen.begin("MRG")
            pen.segment("MRG", {1: absorbed})
        else:
            pen.segment("PV1", {1: "1", 2: "N"})
        pen.segment("ZFD", demographics)
    if trigger.trigger in (*_PAIRS, "A40", "A47"):
        if not absorbed:
            pen.note(Severity.ERROR, "hl7v2.write.no_absorbed", "nothing says which other identifier is meant")
    elif absorbed:
        pen.about("PID")
        pen.lost("an absorbed identifier")
    _drop_empty(pen)


def _trigger(pen: Pen, kind: ItemKind, event: str, asked: str) -> Trigger:
    """Choose the trigger: the one that the Item names when it is of this kind, else the first that says the event."""
    known = trigger_of("ADT", asked)
    if known is not None and known.kind is kind:
        return known
    for candidate in triggers().values():
        if candidate.kind is kind and candidate.event == event:
            return candidate
    pen.begin("MSH")
    pen.note(Severity.ERROR, "hl7v2.write.event", "no trigger says this event; it was written as an update")
    return triggers()["ADT", "Z99" if kind is ItemKind.STAY else "A31"]


def _begin(pen: Pen, item: StayItem | IdentityItem, context: WriteContext, trigger: Trigger) -> None:
    message_type = f"ADT^{trigger.trigger}^{trigger.structure}"
    write_msh(pen, item, context, message_type, VERSION, PROFILE)
    pen.begin("EVN")
    now = context.now.astimezone(context.timezone).strftime("%Y%m%d%H%M%S%z")
    pen.segment("EVN", {2: now, 6: _stamp(item.occurred_at)})


def _visit(pen: Pen, stay: Stay) -> None:
    pen.begin("PV1")
    # A visit number that is only the account is in PID-18 already.
    visit = stay.visit if stay.visit != stay.account else None
    pen.segment(
        "PV1",
        {
            1: "1",
            2: pen.text(stay.patient_class),
            3: _location(pen, stay.location),
            4: pen.text(stay.admission_type),
            5: cx(pen, stay.pre_admission, "VN"),
            6: _location(pen, stay.prior_location),
            7: xcn(pen, stay.attending),
            8: xcn(pen, stay.referring),
            14: pen.text(stay.admit_source),
            17: xcn(pen, stay.admitting),
            19: cx(pen, visit, "VN"),
            21: pen.text(stay.treatment_mode),
            36: pen.text(stay.discharge_disposition),
            37: pen.text(stay.discharge_destination),
            44: _stamp(stay.admitted_at),
            45: _stamp(stay.discharged_at),
        },
    )


def _movement(pen: Pen, movement: Movement) -> None:
    pen.begin("ZBE")
    identifiers = (ei(pen, one.value, one.system, one.assigner) for one in movement.identifiers)
    pen.segment(
        "ZBE",
        {
            1: "~".join(identifiers),
            2: _stamp(movement.start),
            4: movement.action.value if movement.action is not None else "",
            5: _YES[movement.historic],
            6: pen.text(movement.original_trigger),
            7: xon(pen, movement.medical_unit),
            8: xon(pen, movement.care_unit),
            9: pen.text(movement.nature),
        },
    )


def _location(pen: Pen, location: Location | None) -> str:
    if location is None:
        return ""
    parts = (pen.text(location.unit), pen.text(location.room), pen.text(location.bed))
    return pen.components((*parts, _facility(pen, location.facility), pen.text(location.status)))


def _facility(pen: Pen, facility: Identifier | None) -> str:
    """Write the facility of a PL as an HD in subcomponents."""
    if facility is None:
        return ""
    if kind := _FACILITY_TYPES.get(facility.type or ""):
        return f"{pen.text(facility.assigner)}&{pen.text(facility.value)}&{kind}"
    if facility.value.startswith("urn:oid:"):
        return f"{pen.text(facility.assigner)}&{pen.text(facility.value.removeprefix('urn:oid:'))}&ISO"
    if facility.system is not None:
        pen.lost("the authority of a facility")
    if facility.assigner:
        return f"{pen.text(facility.assigner)}&{pen.text(facility.value)}&{pen.text(facility.type)}".rstrip("&")
    return pen.text(facility.value)


def _contacts(pen: Pen, contacts: tuple[Contact, ...]) -> None:
    for rank, contact in enumerate(contacts, start=1):
        pen.begin("NK1")
        pen.segment(
            "NK1",
            {
                1: str(rank),
                2: pen.components((pen.text(contact.family_name), pen.text(contact.given_name))),
                3: coding(pen, contact.relation),
                4: xad(pen, contact.address) if contact.address is not None else "",
                5: "~".join(xtn(pen, one) for one in contact.telecoms),
                7: coding(pen, contact.role),
                33: "~".join(cx(pen, one) for one in contact.identifiers),
            },
        )


def _origin(pen: Pen, stay: Stay) -> None:
    """Write the MRG of an A44: the patient and the account that held the stay before."""
    pen.begin("MRG")
    patients = [cx(pen, one) for one in stay.moved_from if one.type != "AN"]
    accounts = [cx(pen, one) for one in stay.moved_from if one.type == "AN"]
    pen.segment("MRG", {1: "~".join(patients), 3: "~".join(accounts)})


def _stamp(at: str | None) -> str:
    return stamp(at) if at else ""


def _drop_empty(pen: Pen) -> None:
    """Leave out segments without a field: PAM forbids empty Z segments."""
    pen.lines[:] = [line for line in pen.lines if len(line) > 3]
