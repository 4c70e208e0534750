"""Identity events from FHIR: Patients that a content is itself about, with the links of a merge."""

from __future__ import annotations

from mappings.fhir import systems
from mappings.fhir.reading.actors import read_recipients, read_sender
from mappings.fhir.reading.datatypes import read_identifier, read_identifiers
from mappings.fhir.reading.patient import patient_of
from mappings.fhir.reading.source import Entry, Source
from mappings.fhir.reading.stay import read_contacts, source_event
from mappings.fhir.reading.taking import (
    Node,
    child,
    children,
    forget,
    said,
    take_extension,
    take_flag,
    take_moment,
    take_text,
)
from schemas.coding import Identifier
from schemas.identity_event import IdentityEvent
from schemas.item import IdentityItem, Provenance

_TRIGGERS = {"patient.merged": "A40", "patient.created": "A28", "patient.updated": "A31", "patient.linked": "A24"}


def is_absorbed(entry: Entry) -> bool:
    """Tell a Patient that another replaces: it is part of the survivor's event."""
    return any(said(one, "type") == "replaced-by" for one in children(entry.resource, "link"))


def read_identity(entry: Entry, contacts: list[Entry], source: Source) -> IdentityItem:
    """Read a Patient as an identity event: merged when it replaces another, else created or updated."""
    node = entry.resource
    entry.read = True
    event, trigger = source_event(source)
    absorbed, kind = _links(node, source)
    former = _former(node)
    if event is None:
        event = kind or ("patient.created" if entry.method == "POST" else "patient.updated")
    obtained_by, obtained_on = _obtained(node)
    removed = take_extension(node, systems.OUR_EXT + "ins-removed")
    occurred = take_extension(node, systems.OUR_EXT + "occurred")
    recipients = read_recipients(node, source)
    sender = read_sender(node, None, source)
    patient = patient_of(entry, source)
    if event != "patient.identifier_changed":
        patient = patient.model_copy(update={"identifiers": (*patient.identifiers, *former)})
        former = ()
    return IdentityItem(
        id="",
        occurred_at=take_moment(occurred, "valueDateTime") if occurred else None,
        patient=patient,
        sender=sender,
        recipients=recipients,
        content=IdentityEvent(
            event=event,
            trigger=trigger if trigger is not None else _TRIGGERS.get(event, ""),
            absorbed=(*absorbed, *former),
            ins_removed=bool(removed and take_flag(removed, "valueBoolean")),
            obtained_by=obtained_by,
            obtained_on=obtained_on,
            contacts=tuple(read_contacts(contacts, source)),
        ),
        source=Provenance(format="fhir", where=entry.where),
    )


def _links(node: Node, source: Source) -> tuple[tuple[Identifier, ...], str | None]:
    absorbed: list[Identifier] = []
    kind: str | None = None
    for one in children(node, "link"):
        if said(one, "type") not in {"replaces", "seealso"}:
            continue
        kind = "patient.merged" if take_text(one, "type") == "replaces" else kind or "patient.linked"
        other = child(one, "other")
        entry = source.resolve(other, node)
        if entry is not None and entry.kind == "Patient":
            absorbed.extend(read_identifiers(entry))
            forget(entry.resource, "active", "link")
        else:
            logical = child(other, "identifier") if other else None
            number = read_identifier(logical) if logical else None
            if number is not None:
                absorbed.append(number)
                forget(other or {}, "type")
    return tuple(absorbed), kind


def _former(node: Node) -> tuple[Identifier, ...]:
    """Take the identifiers that are no longer in use."""
    found = []
    for one in children(node, "identifier"):
        if said(one, "use") == "old":
            number = read_identifier(one)
            if number is not None:
                found.append(number)
    return tuple(found)


def _obtained(node: Node) -> tuple[str | None, str | None]:
    method: str | None = None
    day: str | None = None
    for one in children(node, "extension"):
        if said(one, "url") != systems.RELIABILITY:
            continue
        how, when = take_extension(one, "methodCollection"), take_extension(one, "dateInterrogationINSi")
        coding = child(how, "valueCoding") if how else None
        if coding is not None:
            method = take_text(coding, "code")
            forget(coding, "system", "display")
        if when is not None:
            day = take_text(when, "valueDate")
    return method, day
