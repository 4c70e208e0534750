"""A whole FHIR content to Items: what it is about decides which Items there are.

DiagnosticReports are reports, DocumentReferences documents, Communications notes, CarePlans and QuestionnaireResponses
documents that say what they hold, Appointments and Tasks what they are; laboratory Observations that no report gathers
make one report a patient. An Encounter is a stay unless it is part of another or only the context of a report or
document; a Patient is an identity event when nothing else in the content is about him, or when the Bundle says so.
"""

from __future__ import annotations

from mappings.contracts import FormatError, ReadContext, Reading, item_id
from mappings.fhir import systems
from mappings.fhir.reading.appointment import is_appointment, read_appointment
from mappings.fhir.reading.document import read_document
from mappings.fhir.reading.identity import is_absorbed, read_identity
from mappings.fhir.reading.lab import read_loose, read_report
from mappings.fhir.reading.liaison import is_liaison_note, read_liaison_note
from mappings.fhir.reading.note import read_note
from mappings.fhir.reading.plan import read_answers, read_plan
from mappings.fhir.reading.source import Entry, Source
from mappings.fhir.reading.stay import read_stay, source_event
from mappings.fhir.reading.taking import Node, child, children, said
from mappings.fhir.reading.task import is_task, read_task
from schemas.finding import Severity
from schemas.item import Item

_CONTEXT_ONLY = frozenset(
    {"Patient", "Practitioner", "PractitionerRole", "Organization", "Location", "Specimen", "ServiceRequest"}
)


def read_bundle(content: bytes, context: ReadContext) -> Reading:
    """Read a FHIR content; raises FormatError when it is not FHIR in JSON, or holds no resource at all."""
    source = Source(content, context)
    if not source.entries:
        raise FormatError("fhir.bundle.empty", "Bundle", "the Bundle holds no resource")
    items: list[Item] = []

    items.extend(read_report(entry, source) for entry in source.of_kind("DiagnosticReport"))
    items.extend(read_loose(group, source) for group in _loose_observations(source))
    items.extend(
        read_liaison_note(entry, source) if is_liaison_note(entry.resource) else read_document(entry, source)
        for entry in source.of_kind("DocumentReference")
    )
    items.extend(read_note(entry, source) for entry in source.of_kind("Communication"))
    items.extend(read_plan(entry, source) for entry in source.of_kind("CarePlan"))
    items.extend(read_answers(entry, source) for entry in source.of_kind("QuestionnaireResponse"))
    items.extend(read_appointment(entry, source) for entry in source.of_kind("Appointment") if is_appointment(entry))
    items.extend(read_task(entry, source) for entry in source.of_kind("Task") if is_task(entry))
    contacts = source.of_kind("RelatedPerson")
    items.extend(read_stay(entry, movements, contacts, source) for entry, movements in _stays(source))
    event, _ = source_event(source)
    if (event or "").startswith("patient.") or not items:
        for entry in source.of_kind("Patient"):
            if not entry.read and not is_absorbed(entry):
                items.append(read_identity(entry, contacts, source))  # noqa: PERF401 reading one marks others as read
    _say_what_is_not_read(source)
    control_id, message_type, test = _control_id(source), _message_type(source, items), _is_test(source)
    return Reading(
        items=tuple(item.model_copy(update={"id": item_id(content, rank)}) for rank, item in enumerate(items)),
        findings=tuple(source.findings),
        unread=source.unread(),
        control_id=control_id,
        message_type=message_type,
        charset="utf-8",
        test=test,
    )


def _loose_observations(source: Source) -> list[list[Entry]]:
    """Group by patient the laboratory Observations that no report or panel has taken."""
    groups: dict[str, list[Entry]] = {}
    for entry in source.of_kind("Observation"):
        if entry.read or not _is_laboratory(entry.resource):
            continue
        subject = child(entry.resource, "subject") or {}
        groups.setdefault(said(subject, "reference") or str(subject.get("identifier")), []).append(entry)
    for group in groups.values():
        members = {
            id(found)
            for entry in group
            for one in children(entry.resource, "hasMember")
            if (found := source.find(one, entry.resource)) not in {None, entry}
        }
        group.sort(key=lambda entry: id(entry) in members)
    return list(groups.values())


def _is_laboratory(node: Node) -> bool:
    codes = [said(coding, "code") for category in children(node, "category") for coding in children(category, "coding")]
    return not codes or bool({"laboratory", "LAB"} & set(codes))


def _stays(source: Source) -> list[tuple[Entry, list[Entry]]]:
    """Give each stay with its movements."""
    encounters = [entry for entry in source.of_kind("Encounter") if not entry.read]
    parents: dict[int, list[Entry]] = {}
    parts: set[int] = set()
    for entry in encounters:
        whole = source.find(child(entry.resource, "partOf"), entry.resource)
        if whole is not None and whole is not entry and whole in encounters:
            parents.setdefault(id(whole), []).append(entry)
            parts.add(id(entry))
    return [(entry, parents.get(id(entry), [])) for entry in encounters if id(entry) not in parts]


def _say_what_is_not_read(source: Source) -> None:
    for entry in source.entries:
        if "modifierExtension" in entry.resource or "implicitRules" in entry.resource:
            source.note(
                Severity.ERROR,
                "fhir.modifier",
                entry.where,
                "a modifier that Passerelle does not know may change the meaning of this resource",
            )
        if not entry.read and entry.kind not in _CONTEXT_ONLY:
            source.note(
                Severity.WARNING, "fhir.resource.not_read", entry.where, "no Item is made of this type of resource"
            )


def _control_id(source: Source) -> str | None:
    if source.bundle is None:
        return said(source.document, "id") or None
    return said(child(source.bundle, "identifier") or {}, "value") or said(source.bundle, "id") or None


def _message_type(source: Source, items: list[Item]) -> str:
    what = items[0].kind if items else "nothing"
    if source.bundle is None:
        return what
    return f"{said(source.bundle, 'type') or 'Bundle'} {what}"


def _is_test(source: Source) -> bool | None:
    meta = child(source.document, "meta") or {}
    labels = (*children(meta, "tag"), *children(meta, "security"))
    return (
        True
        if any(said(one, "code") == "HTEST" and said(one, "system") == systems.ACT_REASON for one in labels)
        else None
    )
