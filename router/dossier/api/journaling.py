"""What tools write becomes a Message of the journal: kept as it was sent, read by the pipeline, routed to the others.

What no kind of Item carries yet (a measure, a calendar) is kept as a Message as well, and said to go no further.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import orjson

from router.dossier.api.calls import Call
from router.dossier.store.categories import category_of
from router.dossier.store.elements import Json, Resource, child, said
from router.dossier.store.following import DERIVED
from router.dossier.store.searching import Found
from router.journal import tables
from router.journal.appending import REPORT_PLACE, AppendMessage, append_messages
from router.journal.blobs import LARGE, BlobStore
from router.journal.tables import MessageState
from router.journal.unit import PROCESS_MESSAGE, Unit
from schemas.habilitation import DataCategory

SOURCE = "dossier"
"""The source of these messages, as conditions of routes name it."""

_READ = frozenset(
    {
        "DocumentReference",
        "DiagnosticReport",
        "Encounter",
        "Communication",
        "CarePlan",
        "QuestionnaireResponse",
        "Appointment",
        "Task",
    }
)


def has_item(resource: Resource) -> bool:
    """Say whether the format `fhir` reads an Item from a resource of this type."""
    kind = said(resource, "resourceType")
    return kind in _READ or (kind == "Observation" and category_of(resource) == DataCategory.LAB.value)


def journaled(
    unit: Unit, blobs: BlobStore, call: Call, written: Sequence[Resource], known: Sequence[Found], *, final: bool
) -> int:
    """Keep what was written as a Message; gives its number. `final` for what the pipeline has nothing to do with.

    The resources go with the Patients whom they are about and the people whom they mention (`known`), as the dossier
    knows them, so that they are recognised.
    """
    read = not final and any(has_item(one) for one in written)
    people = [_known(one) for one in known] if read else []
    entries: list[Json] = [
        {"fullUrl": f"{call.base}/{said(one, 'resourceType')}/{said(one, 'id')}", "resource": one}
        for one in [*people, *written]
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    content = orjson.dumps(bundle)
    large = len(content) > LARGE
    first = written[0]
    control = f"{said(first, 'resourceType')}/{said(first, 'id')}/{call.now}"
    message = AppendMessage(
        identity=unit.sealer.digest(SOURCE.encode(), control.encode(), hashlib.sha256(content).digest()),
        received_at=call.now,
        source=SOURCE,
        control_id=control[:256],
        message_type=f"{call.method} {said(first, 'resourceType')}"[:32],
        peer=call.may.reader.name[:128],
        size=len(content),
        content=None if large else content,
        blob=blobs.put(content) if large else None,
    )
    number = append_messages(unit, [message], look_first=True)[0].message_id
    if not read:
        finding = {
            "severity": "info",
            "code": "dossier.kept",
            "where": said(first, "resourceType"),
            "message": "kept in the dossier; no kind of item carries it to other destinations",
        }
        report = unit.sealer.seal(orjson.dumps({"findings": [finding], "unread": [], "charset": "utf-8"}), REPORT_PLACE)
        row = {"b_id": number, "state": MessageState.PROCESSED.value, "processed_at": call.now, "format": "fhir"}
        unit.change(PROCESS_MESSAGE, {**row, "worst": 1, "unread": 0, "mappings": None})
        unit.add(tables.reading, {"message_id": number, "sealed_report": report})
    return number


def numbered(resource: Resource, version: int) -> Resource:
    """Give a plan or grid with the version that it is, so that the document read of it replaces the one before."""
    if said(resource, "resourceType") not in DERIVED:
        return resource
    return {**resource, "meta": {**(child(resource, "meta") or {}), "versionId": str(version)}}


def _known(one: Found) -> Resource:
    return {"resourceType": one.type, "id": one.logical_id, **one.resource}
