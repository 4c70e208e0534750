"""ADT to hospital stays: PV1, PV2, the movements (ZBE) and the French segments (fact sheet §3.6 to 4)."""

from __future__ import annotations

from collections.abc import Iterable

from mappings.hl7v2.contacts import contacts_of
from mappings.hl7v2.datatypes import coding, entity, identifier, location, organization, professional
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.notebook import Notebook
from mappings.hl7v2.patient import role_holder
from mappings.hl7v2.syntax import NULL
from mappings.hl7v2.triggers import Trigger, trigger_of
from schemas.actors import Organization, Professional
from schemas.coding import Identifier
from schemas.stay import Movement, MovementAction, Stay, StayStatus

_ACTIONS = frozenset(action.value for action in MovementAction)
_STARTS = frozenset({"A01", "A04"})
_NAMES_OF_ACTIONS = {
    MovementAction.INSERT: "movement.added",
    MovementAction.UPDATE: "movement.updated",
    MovementAction.CANCEL: "movement.cancelled",
}


class Visit:
    """The segments of a visit: the first of each name, and those that repeat."""

    __slots__ = ("contacts", "movements", "one", "roles")

    def __init__(self, notes: Notebook, segments: Iterable[Segment]) -> None:
        self.one: dict[str, Segment] = {}
        self.movements: list[Segment] = []
        self.roles: list[Segment] = []
        self.contacts: list[Segment] = []
        for segment in segments:
            name = segment.name
            if name == "ZBE":
                self.movements.append(segment)
            elif name == "NK1":
                self.contacts.append(segment)
            elif name == "ROL" and "PV1" in self.one and segment.code(3) != "ODRP":
                self.roles.append(segment)
            elif name in _SINGLE:
                if name in self.one:
                    notes.leave(segment)
                else:
                    self.one[name] = segment

    def code(self, name: str, n: int) -> str | None:
        """Decode the first component of a field, None when it is absent."""
        segment = self.one.get(name)
        return (segment.code(n) or None) if segment is not None else None

    def first(self, name: str, n: int) -> str:
        """Give the first repetition of a field, raw; empty when absent or Null."""
        segment = self.one.get(name)
        raw = segment.first(n) if segment is not None else ""
        return "" if raw == NULL else raw

    def time(self, notes: Notebook, name: str, n: int) -> str | None:
        """Read a date-time field."""
        segment = self.one.get(name)
        return notes.time(segment, n) if segment is not None else None


_SINGLE = frozenset({"EVN", "PID", "PV1", "PV2", "ZFA", "ZFV", "ZFM", "ZFD", "MRG"})


def read_stay(notes: Notebook, trigger: Trigger, segments: list[Segment], hospital: Organization | None) -> Stay:
    """Read the stay of one ADT message; `hospital` is the sending facility, for a PV1-3 that names none."""
    visit = Visit(notes, segments)
    syntax = notes.syntax
    movements = tuple(_movement(notes, zbe) for zbe in visit.movements)
    raw_location = visit.first("PV1", 3)
    place = location(raw_location, syntax) if raw_location else None
    raw_prior = visit.first("PV1", 6)
    account = _identifier(notes, visit.first("PID", 18), "AN")
    admitted, discharged = _period(notes, visit, trigger, movements)
    raw_reason = visit.first("PV2", 3)
    attending, referring, admitting = _doctors(notes, visit)
    if trigger.trigger != "A44" and "MRG" in visit.one:
        notes.leave(visit.one["MRG"])
    return Stay(
        event=_event(notes, trigger, visit.movements, movements),
        trigger=trigger.trigger,
        status=_status(trigger, movements, visit, discharged),
        visit=_identifier(notes, visit.first("PV1", 19), "VN") or account,
        account=account,
        pre_admission=_identifier(notes, visit.first("PV1", 5), "VN"),
        patient_class=visit.code("PV1", 2),
        admission_type=visit.code("PV1", 4),
        treatment_mode=visit.code("PV1", 21),
        admit_source=visit.code("PV1", 14),
        location=place,
        prior_location=location(raw_prior, syntax) if raw_prior else None,
        movements=movements,
        admitted_at=admitted,
        discharged_at=discharged,
        expected_admission_at=visit.time(notes, "PV2", 8),
        expected_discharge_at=visit.time(notes, "PV2", 9),
        reason=coding(raw_reason, syntax) if raw_reason else None,
        discharge_disposition=visit.code("PV1", 36),
        discharge_destination=visit.code("PV1", 37),
        entry_mode=visit.code("ZFM", 1),
        exit_mode=visit.code("ZFM", 2),
        attending=attending,
        referring=referring,
        admitting=admitting,
        hospital=_hospital(place.facility if place is not None else None) or hospital,
        contacts=contacts_of(notes, visit.contacts),
        protected=_protected(visit),
        dmp_feeding=visit.code("ZFA", 9),
        dmp_consultation=visit.code("ZFA", 11),
        moved_from=_moved_from(notes, visit) if trigger.trigger == "A44" else (),
    )


def _identifier(notes: Notebook, raw: str, kind: str) -> Identifier | None:
    return identifier(raw, notes.syntax, kind) if raw else None


def _event(notes: Notebook, trigger: Trigger, segments: list[Segment], movements: tuple[Movement, ...]) -> str:
    """Name what happened; the movements of older French events (Z80 to Z98) are named by their action."""
    if trigger.trigger == "A08":
        notes.info("hl7v2.trigger.a08", "MSH-9.2", "A08 is not used in France; read as an update of stay and patient")
    if trigger.trigger.startswith("Z") and movements and movements[0].action is not None:
        if trigger.trigger == "Z99" and movements[0].action is not MovementAction.UPDATE:
            notes.warn("hl7v2.zbe.action", segments[0].where(4), "a Z99 only updates: another action stands in ZBE-4")
        return _NAMES_OF_ACTIONS[movements[0].action]
    if not movements and trigger.trigger not in ("A08", "A44"):
        notes.info("hl7v2.zbe.missing", "ZBE", "the message has no movement segment (ZBE), which PAM France requires")
    return trigger.event


def _status(trigger: Trigger, movements: tuple[Movement, ...], visit: Visit, discharged: str | None) -> StayStatus:
    """Say the state of the stay after the event; a historic movement says nothing of the present one."""
    if any(movement.historic for movement in movements):
        return StayStatus.FINISHED if visit.first("PV1", 45) and discharged else StayStatus.UNKNOWN
    if trigger.status is StayStatus.UNKNOWN and movements:
        original = trigger_of("ADT", movements[0].original_trigger or "")
        if original is not None and original.status is not StayStatus.UNKNOWN:
            return original.status
        if trigger.trigger != "Z99" and trigger.trigger.startswith("Z"):
            return StayStatus.IN_PROGRESS
    return trigger.status


def _period(
    notes: Notebook, visit: Visit, trigger: Trigger, movements: tuple[Movement, ...]
) -> tuple[str | None, str | None]:
    """Read PV1-44 and 45; failing them, the movement that began or ended the stay."""
    admitted, discharged = visit.time(notes, "PV1", 44), visit.time(notes, "PV1", 45)
    inserted = [one for one in movements if one.action is MovementAction.INSERT and not one.historic]
    if inserted and admitted is None and trigger.trigger in _STARTS:
        admitted = inserted[0].start
    if inserted and discharged is None and trigger.trigger == "A03":
        discharged = inserted[0].start
    return admitted, discharged


def _movement(notes: Notebook, zbe: Segment) -> Movement:
    action = zbe.code(4)
    shifted = 0
    if action not in _ACTIONS:
        neighbours = [n for n in (3, 5) if zbe.code(n) in _ACTIONS]
        if neighbours:
            notes.error("hl7v2.zbe.shifted", zbe.where(4), "the fields of the movement are shifted by one")
            if notes.context.options.get("zbe") == "lenient":
                shifted = neighbours[0] - 4
                action = zbe.code(neighbours[0])
        else:
            notes.warn("hl7v2.zbe.action", zbe.where(4), "the action of the movement is missing or unknown")
    syntax = notes.syntax
    historic = zbe.code(5 + shifted)
    units = [zbe.first(n + shifted) for n in (7, 8)]
    found = (entity(syntax.components(raw), syntax) for raw in zbe.repetitions(1))
    return Movement(
        identifiers=tuple(one for one in found if one is not None),
        start=notes.time(zbe, 2),
        action=MovementAction(action) if action in _ACTIONS else None,
        historic={"Y": True, "N": False}.get(historic),
        original_trigger=zbe.code(6 + shifted) or None,
        medical_unit=organization(units[0], syntax) if units[0] and units[0] != NULL else None,
        care_unit=organization(units[1], syntax) if units[1] and units[1] != NULL else None,
        nature=zbe.code(9 + shifted) or None,
    )


def _doctors(notes: Notebook, visit: Visit) -> tuple[Professional | None, Professional | None, Professional | None]:
    """Read PV1-7, 8 and 17, else the ROL AT, RP and AD that follow the visit."""
    people = {n: _professional(notes, visit.first("PV1", n)) for n in (7, 8, 17)}
    places = {"AT": 7, "RP": 8, "AD": 17}
    for rol in visit.roles:
        n = places.get(rol.code(3))
        if n is None or people[n] is not None or rol.code(2) == "DE":
            notes.leave(rol)
        else:
            people[n] = role_holder(notes, rol)
    return people[7], people[8], people[17]


def _professional(notes: Notebook, raw: str) -> Professional | None:
    return professional(raw, notes.syntax) if raw else None


def _hospital(facility: Identifier | None) -> Organization | None:
    if facility is None or facility.system is None:
        return None
    return Organization(name=facility.assigner, identifiers=(facility.model_copy(update={"assigner": None}),))


def _protected(visit: Visit) -> bool | None:
    """Read PV2-22 (protected visit) and PV1-16 (VIP)."""
    said = {visit.code("PV2", 22), visit.code("PV1", 16)} - {None}
    return True if "Y" in said else False if "N" in said else None


def _moved_from(notes: Notebook, visit: Visit) -> tuple[Identifier, ...]:
    """Read MRG of an A44: the patient (MRG-1) and the account (MRG-3) that held the stay before."""
    mrg = visit.one.get("MRG")
    if mrg is None:
        notes.error("hl7v2.mrg.missing", "MRG", "the message does not say where the account comes from")
        return ()
    found = [identifier(raw, notes.syntax) for raw in mrg.repetitions(1)]
    found += [identifier(raw, notes.syntax, "AN") for raw in mrg.repetitions(3)]
    return tuple(one for one in found if one is not None)
