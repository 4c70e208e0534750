"""Tasks from FHIR: requests to the coordination, orientations (ViaTrajectoire sdo-task), opinions."""

from __future__ import annotations

from mappings.fhir.reading.actors import read_recipients, read_sender, split_references
from mappings.fhir.reading.appointment import own_number
from mappings.fhir.reading.datatypes import read_one_code
from mappings.fhir.reading.patient import read_patient
from mappings.fhir.reading.source import Entry, Source
from mappings.fhir.reading.taking import child, children, forget, said, take_moment, take_text
from schemas.item import Provenance, TaskItem
from schemas.task import Task, TaskState

_STATES = frozenset(TaskState)
_URGENT = {"routine": False, "urgent": True, "asap": True, "stat": True}


def is_task(entry: Entry) -> bool:
    """Say whether a Task has a state: one without says nothing that could be acted upon."""
    return said(entry.resource, "status") in _STATES


def read_task(entry: Entry, source: Source) -> TaskItem:
    """Read a Task."""
    node = entry.resource
    entry.read = True
    number = own_number(node)
    asks, asked = child(node, "requester"), child(node, "owner")
    asking, requester = split_references([asks] if asks is not None else [], node, source)
    answering, owner = split_references([asked] if asked is not None else [], node, source)
    priority, reason = said(node, "priority"), child(node, "reasonCode")
    if priority in _URGENT:
        forget(node, "priority")
    restricted = child(child(node, "restriction") or {}, "period") or {}
    authored, changed = take_moment(node, "authoredOn"), take_moment(node, "lastModified")
    forget(node, "intent")
    content = Task(
        number=number,
        state=TaskState(take_text(node, "status") or ""),
        kind=read_one_code(child(node, "code"), source),
        title=take_text(node, "description"),
        reason=take_text(reason, "text") if reason is not None else None,
        urgent=_URGENT.get(priority),
        requester=requester,
        requester_organization=asking,
        owner=owner,
        owner_organization=answering,
        authored_at=authored,
        changed_at=changed,
        due_at=take_moment(restricted, "end"),
        notes=tuple(text for one in children(node, "note") if (text := take_text(one, "text"))),
    )
    return TaskItem(
        id="",
        occurred_at=authored,
        patient=read_patient(child(node, "for"), node, source, entry.where),
        sender=read_sender(node, None, source),
        recipients=read_recipients(node, source),
        content=content,
        source=Provenance(format="fhir", where=entry.where),
    )
