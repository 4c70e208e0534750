"""Identity events: a Patient that is updated, merged into another, or given another identifier.

A merge updates both: the survivor `replaces` the absorbed, which becomes inactive with a link `replaced-by`.
"""

from __future__ import annotations

from mappings.fhir import systems
from mappings.fhir.writing.actors import contact, put_recipients, put_sender
from mappings.fhir.writing.bundle import BundleBuilder, Resource, name_uuid
from mappings.fhir.writing.datatypes import criteria, date_time, extend, identifier, usable
from mappings.fhir.writing.patient import patient_resource
from schemas.coding import Identifier
from schemas.finding import Severity
from schemas.identifiers import ins_of
from schemas.item import IdentityItem

_COLLECTION = frozenset({"SM", "CV", "INSI", "CB", "RFID", "AV"})


def write_identity(builder: BundleBuilder, item: IdentityItem) -> None:
    """Add the survivor, and the absorbed of a merge, to the Bundle."""
    event = item.content
    builder.tags.append({"system": systems.EVENT_TAG, "code": event.event})
    builder.tags.append({"system": systems.TRIGGER_TAG, "code": event.trigger})
    survivor, key = patient_resource(builder, item.patient)
    survivor["active"] = True
    _put_provenance(survivor, builder, item)
    absorbed = _absorbed(builder, item)
    name = f"patient|{key or item.id}"
    if event.event == "patient.identifier_changed" and absorbed:
        old = [identifier(one, builder, "old") for one in absorbed]
        identifiers = survivor.setdefault("identifier", [])
        if isinstance(identifiers, list):
            identifiers.extend(old)
        key = criteria(absorbed[0], builder)
        name = f"patient|{key}"
        absorbed = []
    reference: Resource = {"reference": f"urn:uuid:{name_uuid(name)}"}
    links = [_link(builder, one, event.event, reference) for one in absorbed]
    if links:
        survivor["link"] = links
    put_sender(builder, item.sender, None, survivor)
    put_recipients(builder, item.recipients, survivor)
    builder.put(survivor, name, key)
    for person in event.contacts:
        contact(builder, person, reference)


def _absorbed(builder: BundleBuilder, item: IdentityItem) -> list[Identifier]:
    """Give the identifiers that disappear, without those under an INS authority: withdrawn, they may not leave."""
    kept = [one for one in usable(item.content.absorbed) if ins_of(one) is None]
    if len(kept) < len(usable(item.content.absorbed)):
        builder.note(
            Severity.WARNING,
            "fhir.ins.withheld",
            "content.absorbed",
            "a withdrawn INS was not sent: the receiver loses it because the new Patient no longer has it",
        )
    return kept


def _link(builder: BundleBuilder, one: Identifier, event: str, survivor: Resource) -> Resource:
    if event != "patient.merged":
        kind = "seealso"
        if event == "patient.unlinked":
            builder.not_carried("content.event", "FHIR has no link that says that two patients are not the same")
    else:
        kind = "replaces"
    if kind == "seealso":
        return {"other": {"type": "Patient", "identifier": identifier(one, builder)}, "type": kind}
    absorbed: Resource = {
        "resourceType": "Patient",
        "identifier": [identifier(one, builder, "old")],
        "active": False,
        "link": [{"other": survivor, "type": "replaced-by"}],
    }
    key = criteria(one, builder)
    return {"other": builder.put(absorbed, f"patient|{key}", key), "type": kind}


def _put_provenance(survivor: Resource, builder: BundleBuilder, item: IdentityItem) -> None:
    """Say how and when the identity was obtained, within the reliability extension."""
    event = item.content
    inside: list[Resource] = []
    if event.obtained_by in _COLLECTION:
        coding = {"system": systems.METHOD_COLLECTION, "code": event.obtained_by}
        inside.append({"url": "methodCollection", "valueCoding": coding})
    elif event.obtained_by:
        builder.not_carried("content.obtained_by", "FR Core has no code for this way of obtaining an identity")
    if event.obtained_on:
        day = date_time(event.obtained_on[:10], builder.zone)
        if day is not None:
            inside.append({"url": "dateInterrogationINSi", "valueDate": day})
        else:
            builder.not_carried("content.obtained_on", "the date on which the identity was obtained is not a date")
    if event.ins_removed:
        extend(survivor, {"url": systems.OUR_EXT + "ins-removed", "valueBoolean": True})
    if item.occurred_at is not None:
        occurred: Resource = {"url": systems.OUR_EXT + "occurred", "valueDateTime": None}
        moment = date_time(item.occurred_at, builder.zone)
        if moment is not None:
            extend(survivor, {**occurred, "valueDateTime": moment})
    if not inside:
        return
    extensions = survivor.get("extension")
    for one in extensions if isinstance(extensions, list) else []:
        if one["url"] == systems.RELIABILITY:
            one["extension"].extend(inside)
            return
    extend(survivor, {"url": systems.RELIABILITY, "extension": inside})
