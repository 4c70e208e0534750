"""An appointment: Appointment (FR Core fr-core-appointment), its person and who takes part as participants."""

from __future__ import annotations

from mappings.fhir.writing.actors import organization, professional, put_recipients, put_sender
from mappings.fhir.writing.bundle import BundleBuilder, Resource, token
from mappings.fhir.writing.datatypes import concept, extend, extension, identifier, put_date_time, put_instant
from mappings.fhir.writing.patient import patient
from schemas.coding import Identifier
from schemas.item import AppointmentItem


def write_appointment(builder: BundleBuilder, item: AppointmentItem) -> None:
    """Add the Appointment and whom it mentions to the Bundle."""
    content = item.content
    out: Resource = {"resourceType": "Appointment"}
    key = put_number(builder, out, content.number)
    out["status"] = content.state.value
    if content.kind is not None:
        out["serviceType"] = [concept((content.kind,), None, builder)]
    if content.title:
        out["description"] = content.title
    put_instant(out, "start", content.starts_at, builder.zone)
    put_instant(out, "end", content.ends_at, builder.zone)
    put_date_time(out, "created", content.created_at, builder.zone)
    if content.comment:
        out["comment"] = content.comment
    actors = [patient(builder, item.patient, item.id)]
    actors += [professional(builder, one, out) for one in content.professionals]
    actors += [organization(builder, one, out) for one in content.organizations]
    out["participant"] = [{"actor": actor, "status": "accepted"} for actor in actors if actor]
    if content.place:
        extend(out, extension("place", "valueString", content.place))
    put_sender(builder, item.sender, None, out)
    put_recipients(builder, item.recipients, out)
    builder.put(out, f"appointment|{builder.sender}|{key or item.id}", key)


def put_number(builder: BundleBuilder, out: Resource, number: Identifier | None) -> str | None:
    """Write the number of a thing, and give the search that finds it; None where it has none."""
    if number is None or not number.value:
        return None
    written = identifier(number, builder)
    out["identifier"] = [written]
    return token(str(written.get("system", "")), str(written["value"]))
