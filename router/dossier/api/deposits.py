"""Documents that a route takes to the DMP: refused at once to a tool whose patient has no qualified INS (S18).

Without this, the document would be kept and its Delivery wait for a person, and the tool would believe it deposited.
"""

from __future__ import annotations

import orjson
from sqlalchemy import Connection

from mappings.contracts import FormatError, ReadContext
from mappings.registry import format_named
from router.config.load import Loaded
from router.dossier.api.journaling import SOURCE
from router.dossier.api.outcomes import Refused
from router.dossier.store.elements import Json, Resource, children
from router.dossier.store.searching import Found
from router.engine.plan import Plan
from router.engine.routing import item_view, looks_into_content, patient_view, routes_of
from router.identity.attached import attached
from router.identity.patients import Patient, load_patients
from router.journal.sealing import Sealer
from schemas.identity_status import ins_usable
from schemas.item import DocumentItem

DMP = "dmp"
"""The connector of destinations to which nothing goes under an identity that is not qualified."""


class Deposits:
    """Knows which destinations are the DMP's, and which routes lead there. `source` is that of what tools write."""

    def __init__(self, plan: Plan, destinations: frozenset[str], source: str) -> None:
        self._plan = plan
        self._source = source
        self._destinations = destinations
        self._routes = tuple(one for one in plan.routes if destinations & set(one.to))
        self._whole = looks_into_content(self._routes)

    @property
    def any(self) -> bool:
        """Whether anything may lead to the DMP at all."""
        return bool(self._routes)

    def check(self, connection: Connection, sealer: Sealer, document: Resource, patient: Found, sent_as: str) -> None:
        """Refuse a document that a route would take to the DMP under an identity that is not qualified.

        `sent_as` is the type of the message that it would be. Raises Refused (422).
        """
        if not self._routes or patient.patient is None:
            return
        known = load_patients(connection, sealer, [patient.patient]).get(patient.patient)
        if known is None:
            return
        for item in self._read(document, patient):
            identity = attached(item, known.identity).patient
            usable = identity.ins is not None and ins_usable(identity.status, identity.attributes)
            if not usable and self._leads(item, known, sent_as):
                raise Refused(
                    422,
                    "This document would go to the DMP, and the identity of its patient is not qualified: nothing was "
                    "kept or sent. Have the INS looked up (INSi), then send it again.",
                    where=("DocumentReference.subject",),
                    code="business-rule",
                )

    def _leads(self, item: DocumentItem, known: Patient, sent_as: str) -> bool:
        variables = {
            "item": item_view(item, whole=self._whole),
            "patient": patient_view(known=True, in_coordination=known.in_coordination),
            "source": self._source,
            "message": {"type": sent_as, "control_id": "", "test": False},
        }
        _, chosen = routes_of(self._routes, item, self._source, variables, attached=True)
        return not self._destinations.isdisjoint(chosen)

    def _read(self, document: Resource, patient: Found) -> list[DocumentItem]:
        """Read the document as the pipeline will, without the bytes of its files."""
        person: Resource = {"resourceType": "Patient", "id": patient.logical_id, **patient.resource}
        entries: list[Json] = [{"resource": person}, {"resource": _without_files(document)}]
        content = orjson.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})
        context = ReadContext(source=self._source, timezone=self._plan.timezone, environment=self._plan.environment)
        try:
            items = format_named("fhir").read(content, context).items
        except FormatError:
            return []  # it makes no Item: nothing of it goes anywhere
        return [one for one in items if isinstance(one, DocumentItem)]


def _without_files(document: Resource) -> Resource:
    contents: list[Json] = []
    for one in children(document, "content"):
        form = next(iter(children(one, "attachment")), {})
        contents.append({**one, "attachment": {name: value for name, value in form.items() if name != "data"}})
    return {**document, "content": contents}


def deposits_of(loaded: Loaded, plan: Plan) -> Deposits | None:
    """Give what knows which documents of tools would go to the DMP, None where they are kept whoever it is."""
    dmp = frozenset(one.name for one in loaded.destinations if one.section.connector == DMP)
    if not dmp or not loaded.configuration.dossier.refuse_unqualified:
        return None
    return Deposits(plan, dmp, SOURCE)
