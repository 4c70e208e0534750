"""Which row of the habilitation matrix a resource belongs to, and what it says of its own visibility."""

from __future__ import annotations

from router.dossier.store.elements import Resource, children, codes, said
from schemas.coding import Coding
from schemas.habilitation import DataCategory
from schemas.tables import rows

NOTE_PROFILE = "https://interop.esante.gouv.fr/ig/fhir/cdl/StructureDefinition/cdl-document-reference"
NOTE_CODES = frozenset({"DEM-AVIS", "GEN", "INST", "INTERV", "OBS"})
"""TRE_R234: the types of the notes of a "cahier de liaison"."""

_BY_TYPE = {
    "Patient": DataCategory.IDENTITY,
    "RelatedPerson": DataCategory.IDENTITY,
    "CareTeam": DataCategory.IDENTITY,
    "Consent": DataCategory.IDENTITY,
    "Encounter": DataCategory.EVENTS,
    "CommunicationRequest": DataCategory.EVENTS,
    "Communication": DataCategory.NOTES,
    "DiagnosticReport": DataCategory.LAB,
    "Specimen": DataCategory.LAB,
    "ServiceRequest": DataCategory.LAB,
    "List": DataCategory.DOCUMENTS,
    "Appointment": DataCategory.AGENDA,
    "Schedule": DataCategory.AGENDA,
    "Slot": DataCategory.AGENDA,
    "CarePlan": DataCategory.PLANS,
    "QuestionnaireResponse": DataCategory.PLANS,
    "Task": DataCategory.PLANS,
}


def is_note(resource: Resource) -> bool:
    """Tell a note of the "cahier de liaison" from a document: both are DocumentReferences.

    By the profile that it claims, else by the code system of its type (TRE_R234; LOINC and TRE_A05 are documents').
    """
    if said(resource, "resourceType") != "DocumentReference":
        return False
    meta = resource.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    if isinstance(profiles, list) and NOTE_PROFILE in profiles:
        return True
    return any(
        code in NOTE_CODES and ("R234" in system or system.endswith(".213.1.1.5.98") or not system)
        for system, code in codes(resource.get("type"))
    )


def category_of(resource: Resource) -> str:
    """Give the data category; what is about nobody (an organisation, a place) has none."""
    kind = said(resource, "resourceType")
    if kind == "DocumentReference":
        return (DataCategory.NOTES if is_note(resource) else _of_document(resource)).value
    if kind == "Observation":
        return (DataCategory.MEASURES if _is_measure(resource) else DataCategory.LAB).value
    found = _BY_TYPE.get(kind)
    return found.value if found is not None else ""


def _of_document(resource: Resource) -> DataCategory:
    types = {code for _, code in codes(resource.get("type"))}
    classes = {code for one in children(resource, "category") for _, code in codes(one)}
    for row in rows("data_categories.csv"):
        if row["code"] in (types if row["system"] == "type" else classes):
            return DataCategory(row["category"])
    return DataCategory.DOCUMENTS


def _is_measure(resource: Resource) -> bool:
    found = {code for one in children(resource, "category") for _, code in codes(one)}
    return "vital-signs" in found


def labels_of(resource: Resource) -> list[Coding]:
    """Give the security labels: a document's own, and those of the resource's metadata."""
    meta = resource.get("meta")
    labels = [*children(resource, "securityLabel"), *(children(meta, "security") if isinstance(meta, dict) else ())]
    return [Coding(system=system or "", code=code) for one in labels for system, code in codes(one)]
