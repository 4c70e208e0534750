"""Appointments: visits, consultations, transports and meetings about a person, as an agenda holds them."""

from __future__ import annotations

from enum import StrEnum

from schemas.actors import Organization, Professional
from schemas.base import Frozen, PartialDateTime
from schemas.coding import Coding, Identifier


class AppointmentState(StrEnum):
    """The states of FHIR R4 (`appointmentstatus`)."""

    PROPOSED = "proposed"
    PENDING = "pending"
    WAITLIST = "waitlist"
    BOOKED = "booked"
    ARRIVED = "arrived"
    CHECKED_IN = "checked-in"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    NOSHOW = "noshow"
    ENTERED_IN_ERROR = "entered-in-error"


class Appointment(Frozen):
    """One appointment. `number` is its identity at who keeps the agenda; `starts_at` and `ends_at` have an offset.

    `kind` is what it is (a visit, a consultation…), `place` where it is in words.
    """

    number: Identifier | None = None
    state: AppointmentState
    kind: Coding | None = None
    title: str | None = None
    starts_at: PartialDateTime | None = None
    ends_at: PartialDateTime | None = None
    place: str | None = None
    professionals: tuple[Professional, ...] = ()
    organizations: tuple[Organization, ...] = ()
    comment: str | None = None
    created_at: PartialDateTime | None = None
