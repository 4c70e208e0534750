"""Hospital stays and their movements (IHE PAM France)."""

from __future__ import annotations

from enum import StrEnum

from schemas.actors import Contact, Organization, Professional
from schemas.base import Frozen, PartialDateTime
from schemas.coding import Coding, Identifier


class StayStatus(StrEnum):
    """State of the stay after the event; the words are FHIR's encounter-status."""

    PLANNED = "planned"
    IN_PROGRESS = "in-progress"
    ON_LEAVE = "onleave"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class MovementAction(StrEnum):
    """ZBE-4: what the message does to the movement."""

    INSERT = "INSERT"
    UPDATE = "UPDATE"
    CANCEL = "CANCEL"


class Location(Frozen):
    """Where the patient is (HL7v2 PL): care unit (UF), room, bed, facility, bed status."""

    unit: str | None = None
    room: str | None = None
    bed: str | None = None
    facility: Identifier | None = None
    status: str | None = None


class Movement(Frozen):
    """One movement (segment ZBE): key `identifiers`, effective `start`, responsible units, nature (ZBE-9).

    Movements are ordered by `start`, never by arrival; the same key is an upsert.
    """

    identifiers: tuple[Identifier, ...] = ()
    start: PartialDateTime | None = None
    action: MovementAction | None = None
    historic: bool | None = None
    original_trigger: str | None = None
    medical_unit: Organization | None = None
    care_unit: Organization | None = None
    nature: str | None = None


class Stay(Frozen):
    """What a movement message says of a hospital visit.

    `event` is the canonical name (`stay.started`, `movement.added`…), `trigger` the HL7 event (`A01`).
    `visit` is PV1-19 (else PID-18), `account` PID-18, `patient_class` PV1-2 as sent. `moved_from` are the patient and
    the account that held the stay before it was moved to this patient (A44).
    """

    event: str
    trigger: str
    status: StayStatus = StayStatus.UNKNOWN
    visit: Identifier | None = None
    account: Identifier | None = None
    pre_admission: Identifier | None = None
    patient_class: str | None = None
    admission_type: str | None = None
    treatment_mode: str | None = None
    admit_source: str | None = None
    location: Location | None = None
    prior_location: Location | None = None
    movements: tuple[Movement, ...] = ()
    admitted_at: PartialDateTime | None = None
    discharged_at: PartialDateTime | None = None
    expected_admission_at: PartialDateTime | None = None
    expected_discharge_at: PartialDateTime | None = None
    reason: Coding | None = None
    discharge_disposition: str | None = None
    discharge_destination: str | None = None
    entry_mode: str | None = None
    exit_mode: str | None = None
    attending: Professional | None = None
    referring: Professional | None = None
    admitting: Professional | None = None
    hospital: Organization | None = None
    contacts: tuple[Contact, ...] = ()
    protected: bool | None = None
    dmp_feeding: str | None = None
    dmp_consultation: str | None = None
    moved_from: tuple[Identifier, ...] = ()
