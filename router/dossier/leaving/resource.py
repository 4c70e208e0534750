"""What tools are given of an alert: a CommunicationRequest as the ANS's "notification d'événements" names its parts.

It says that something happened, when, and where it can be read; who may read that is decided when they do. Event types
of TRE_R254 are used where there is one (ADM, SOR, DOC, NOT), else our own code. An annulled event is the same resource
with the status `revoked`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import select, update

from router.dossier.happenings import Event
from router.dossier.leaving.wording import title_of
from router.dossier.queue import Due
from router.dossier.store.drafts import LIVE, draft, name_id, patient_id
from router.dossier.store.elements import Json, Resource
from router.dossier.store.indexing import index
from router.dossier.store.writing import Keeper, Kept, body_of
from router.engine.clock import moment
from router.journal import tables
from router.journal.operations import BODY_PLACE
from router.journal.unit import Unit
from schemas.item import ITEM, Item, StayItem

NDE = "https://interop.esante.gouv.fr/ig/fhir/nde/StructureDefinition/"
R254 = "https://mos.esante.gouv.fr/NOS/TRE_R254-TypeEvenement/FHIR/TRE-R254-TypeEvenement"
OWN = "https://passerelle.example/fhir/CodeSystem/dossier-event"
_NATIONAL = {"ADM": "ADM", "SOR": "SOR", "DOC": "DOC", "NOT": "NOT", "URGENT": "NOT"}
_PRIORITY = {"urgent": "urgent", "attention": "asap", "info": "routine"}
_ABOUT = ("Encounter", "DocumentReference", "DiagnosticReport", "Task")


def keep_resource(unit: Unit, one: Due, now: int) -> Kept:
    """Keep the resource of an alert, made when it is first needed; that of an annulment is the annulled one's."""
    alert = tables.alert.c
    annulled = _annulled(unit, one) if one.event == Event.ANNULLED.value else None
    number = one.alert_id if annulled is None else annulled
    own = unit.connection.execute(select(tables.alert).where(alert.id == number)).one()
    name = name_id("alert", str(number))
    keeper = Keeper(unit, now)
    row = keeper.row("CommunicationRequest", name)
    if row is None:
        resource = _resource(unit, name, own, one.patient_id)
        indexed = replace(
            index(unit.sealer, resource),
            category=one.thing.category.value,
            marks=int(one.thing.marks),
            at=one.thing.at,
            author=one.thing.author,
            thing=one.thing.thing or unit.sealer.token("entry", f"alert/{number}"),
        )
        (kept,) = keeper.keep([draft(unit.sealer, resource, one.patient_id, indexed=indexed)])
        row = keeper.row("CommunicationRequest", name)
        assert row is not None  # noqa: S101 - it was kept just now
    else:
        kept = Kept(row.id, row.type, row.logical_id, row.version, row.updated_at, created=False, changed=False)
    if annulled is not None and row.state == LIVE:
        body = body_of(unit.connection, unit, row.id, row.version)
        if body.get("status") != "revoked":
            kept = keeper.change(row, {**body, "status": "revoked"}, same=True)
    unit.connection.execute(
        update(tables.alert).where(alert.id == one.alert_id, alert.resource_id.is_(None)).values(resource_id=kept.id)
    )
    return kept


def _annulled(unit: Unit, one: Due) -> int | None:
    """Give the alert that an annulment took back: both were written in one moment."""
    column = tables.alert.c
    found = select(column.id).where(
        column.dossier_id == one.dossier_id, column.annulled_at == one.at, column.id < one.alert_id
    )
    number: int | None = unit.connection.execute(found.order_by(column.id.desc()).limit(1)).scalar()
    return number


def _resource(unit: Unit, name: str, alert: Any, patient: int) -> Resource:
    event = str(alert.event)
    item = _item(unit, alert.item_id)
    happened = moment(alert.at).isoformat(timespec="seconds")
    coding: dict[str, Json] = {"system": OWN, "code": event, "display": title_of(event)}
    if event in _NATIONAL:
        coding = {"system": R254, "code": _NATIONAL[event]}
    time = item.occurred_at if item is not None and item.occurred_at and "T" in item.occurred_at else happened
    out: Resource = {
        "resourceType": "CommunicationRequest",
        "id": name,
        "extension": [
            {"url": NDE + "event-type", "valueCodeableConcept": {"coding": [coding], "text": title_of(event)}},
            {"url": NDE + "event-time", "valueDateTime": time},
        ],
        "status": "active",
        "priority": _PRIORITY[alert.level],
        "subject": {"reference": f"Patient/{patient_id(patient)}"},
        "authoredOn": happened,
        "payload": [{"contentString": title_of(event)}],
    }
    about = _about(unit, alert.item_id)
    if about:
        out["about"] = [{"reference": one} for one in about]
    if isinstance(item, StayItem) and item.content.hospital is not None and item.content.hospital.name:
        hospital: Resource = {"resourceType": "Organization", "id": "hospital", "name": item.content.hospital.name}
        numbers: list[Json] = [
            {"system": one.system, "value": one.value} for one in item.content.hospital.identifiers if one.system
        ]
        if numbers:
            hospital["identifier"] = numbers
        out["contained"] = [hospital]
        out["requester"] = {"reference": "#hospital"}
    return out


def _item(unit: Unit, number: int | None) -> Item | None:
    """Give the Item that an alert is about; None where it is about none, or its retention has ended."""
    if number is None:
        return None
    found = select(tables.item.c.sealed_body).where(tables.item.c.id == number)
    sealed = unit.connection.execute(found).scalar()
    return None if sealed is None else ITEM.validate_json(unit.sealer.open(sealed, BODY_PLACE))


def _about(unit: Unit, number: int | None) -> list[str]:
    """Give the references of the resources that an Item is, where they are made already."""
    resource, said = tables.resource.c, tables.resource_item.c
    statement = (
        select(resource.type, resource.logical_id)
        .join(tables.resource_item, said.resource_id == resource.id)
        .where(said.item_id == number, resource.type.in_(_ABOUT))
    )
    return [f"{row.type}/{row.logical_id}" for row in unit.connection.execute(statement)] if number is not None else []
