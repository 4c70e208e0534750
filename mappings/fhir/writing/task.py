"""A request: Task, with who asks and who answers."""

from __future__ import annotations

from mappings.fhir.writing.actors import organization, professional, put_recipients, put_sender
from mappings.fhir.writing.appointment import put_number
from mappings.fhir.writing.bundle import BundleBuilder, Resource
from mappings.fhir.writing.datatypes import concept, put_date_time
from mappings.fhir.writing.patient import patient
from schemas.actors import Organization, Professional
from schemas.item import TaskItem


def write_task(builder: BundleBuilder, item: TaskItem) -> None:
    """Add the Task and whom it mentions to the Bundle."""
    content = item.content
    out: Resource = {"resourceType": "Task"}
    key = put_number(builder, out, content.number)
    out["status"] = content.state.value
    out["intent"] = "order"
    if content.urgent is not None:
        out["priority"] = "urgent" if content.urgent else "routine"
    if content.kind is not None:
        out["code"] = concept((content.kind,), None, builder)
    if content.title:
        out["description"] = content.title
    if content.reason:
        out["reasonCode"] = {"text": content.reason}
    out["for"] = patient(builder, item.patient, item.id)
    put_date_time(out, "authoredOn", content.authored_at, builder.zone)
    put_date_time(out, "lastModified", content.changed_at, builder.zone)
    _put(builder, out, "requester", content.requester, content.requester_organization)
    _put(builder, out, "owner", content.owner, content.owner_organization)
    if content.due_at:
        period: Resource = {}
        put_date_time(period, "end", content.due_at, builder.zone)
        out["restriction"] = {"period": period}
    if content.notes:
        out["note"] = [{"text": one} for one in content.notes]
    put_sender(builder, item.sender, None, out)
    put_recipients(builder, item.recipients, out)
    builder.put(out, f"task|{builder.sender}|{key or item.id}", key)


def _put(
    builder: BundleBuilder, out: Resource, name: str, person: Professional | None, where: Organization | None
) -> None:
    """Write who asks or answers: FHIR has one place for it, the person's before the organisation's."""
    found = professional(builder, person, out) if person is not None else {}
    if found and where is not None:
        builder.not_carried(f"content.{name}_organization", "a Task names the person alone")
    found = found or (organization(builder, where, out) if where is not None else {})
    if found:
        out[name] = found
