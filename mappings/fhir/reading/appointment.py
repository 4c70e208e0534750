"""Appointments from FHIR (GAP gap-fr-appointment, FR Core fr-core-appointment)."""

from __future__ import annotations

from mappings.fhir.reading.actors import PEOPLE, read_organization, read_professional, read_sender
from mappings.fhir.reading.datatypes import read_identifier, read_one_code
from mappings.fhir.reading.patient import read_patient
from mappings.fhir.reading.source import Entry, Source
from mappings.fhir.reading.taking import Node, child, children, forget, said, take_moment, take_own_text, take_text
from schemas.actors import Organization, Professional
from schemas.appointment import Appointment, AppointmentState
from schemas.coding import Identifier
from schemas.item import AppointmentItem, Provenance

_STATES = frozenset(AppointmentState)


def is_appointment(entry: Entry) -> bool:
    """Say whether an Appointment has a state: one without says nothing that could be acted upon."""
    return said(entry.resource, "status") in _STATES


def read_appointment(entry: Entry, source: Source) -> AppointmentItem:
    """Read an Appointment; who takes part beside the person are professionals and organisations."""
    node = entry.resource
    entry.read = True
    number = own_number(node)
    subject: Node | None = None
    people: list[Professional] = []
    places: list[Organization] = []
    where: list[str] = []
    for one in children(node, "participant"):
        actor = child(one, "actor") or {}
        kind = _kind(actor, node, source)
        forget(one, "status", "required")
        if kind == "Patient":
            subject = subject or actor
        elif kind == "Location":
            where += [name] if (name := _location(actor, node, source)) else []
        elif kind in PEOPLE and (person := read_professional(actor, node, source)) is not None:
            people.append(person)
        elif kind == "Organization" and (place := read_organization(actor, node, source)) is not None:
            places.append(place)
    kinds = [child(node, "appointmentType"), *children(node, "serviceType")]
    starts = take_moment(node, "start")
    content = Appointment(
        number=number,
        state=AppointmentState(take_text(node, "status") or ""),
        kind=next((code for one in kinds if one is not None and (code := read_one_code(one, source))), None),
        title=take_text(node, "description"),
        starts_at=starts,
        ends_at=take_moment(node, "end"),
        place=take_own_text(node, "place") or ", ".join(where) or None,
        professionals=tuple(people),
        organizations=tuple(places),
        comment=take_text(node, "comment"),
        created_at=take_moment(node, "created"),
    )
    return AppointmentItem(
        id="",
        occurred_at=starts,
        patient=read_patient(subject, node, source, entry.where),
        sender=read_sender(node, None, source),
        content=content,
        source=Provenance(format="fhir", where=entry.where),
    )


def own_number(node: Node) -> Identifier | None:
    """Give the first identifier, else the resource's own id: the number by which versions are told to be one thing."""
    numbers = [number for one in children(node, "identifier") if (number := read_identifier(one)) is not None]
    own = said(node, "id")
    return next(iter(numbers), None) or (Identifier(value=own) if own else None)


def _kind(actor: Node, node: Node, source: Source) -> str:
    entry = source.find(actor, node)
    if entry is not None:
        return entry.kind
    return said(actor, "type") or said(actor, "reference").rpartition("/")[0].rpartition("/")[2]


def _location(actor: Node, node: Node, source: Source) -> str:
    entry = source.resolve(actor, node)
    if entry is None:
        forget(actor, "type")
        return take_text(actor, "display") or ""
    return take_text(entry.resource, "name") or ""
