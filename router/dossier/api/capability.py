"""The CapabilityStatement: what the API does, made from the same tables by which it does it."""

from __future__ import annotations

from router.dossier.api.having import THINGS
from router.dossier.store.elements import Json, Resource
from router.dossier.store.parameters import OF_NOBODY, TYPES, Kind, is_hidden, parameters

WRITABLE = frozenset(
    {
        "RelatedPerson",
        "CareTeam",
        "Practitioner",
        "PractitionerRole",
        "Organization",
        "Device",
        "DocumentReference",
        "DiagnosticReport",
        "Observation",
        "Encounter",
        "Communication",
        "CommunicationRequest",
        "Appointment",
        "Schedule",
        "Slot",
        "CarePlan",
        "List",
        "QuestionnaireResponse",
        "Task",
        "Subscription",
    }
)
"""Types that tools write. Patients and consents are decided by people: in the dashboard, by the referent."""

IN_TRANSACTIONS = frozenset({"List"})
"""Types that tools write in a transaction only: the submission set comes with what it submits."""

PROFILES = {
    "DocumentReference": (
        "https://interop.esante.gouv.fr/ig/fhir/cdl/StructureDefinition/cdl-document-reference",
        "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-comprehensive-document-reference",
        "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-simplified-publish",
    ),
    "CommunicationRequest": ("https://interop.esante.gouv.fr/ig/fhir/nde/StructureDefinition/nde-eventdeclaration",),
    "Encounter": ("https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-encounter",),
    "List": ("https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-submissionset-comprehensive",),
    "Patient": (
        "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient",
        "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-ins",
    ),
    "CareTeam": ("https://interop.esante.gouv.fr/ig/fhir/cds/StructureDefinition/cds-ihe-careteam",),
    "Subscription": ("http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription",),
}
"""Profiles that are understood, by type."""


ALERTS = "CommunicationRequest"


def capability(base: str, version: str, date: str) -> Resource:
    """Make the statement."""
    resources: list[Json] = [_resource(kind) for kind in TYPES]
    rest: Resource = {
        "mode": "server",
        "documentation": "Search with POST [type]/_search when a criterion is a trait or a number of a person: "
        "nothing of it is then in a URL. Unknown parameters are refused, never ignored. Resources are read and "
        "answered as application/fhir+json alone: XML is refused (406, 415).",
        "security": {
            "cors": False,
            "service": [
                {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                            "code": "OAuth",
                        }
                    ]
                }
            ],
            "description": "OAuth 2.0 client credentials at /oauth/token; On-Behalf-Of names the professional.",
        },
        "resource": resources,
        "interaction": [{"code": "transaction"}],
    }
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "Passerelle", "version": version},
        "implementation": {"description": "Passerelle: coordination dossier", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "patchFormat": ["application/json-patch+json", "application/fhir+json"],
        "rest": [rest],
    }


def _resource(kind: str) -> Resource:
    codes = ["read", "vread", "history-instance", "history-type", "search-type"]
    if kind == "Binary":
        codes = ["read"]
    if kind in WRITABLE:
        codes += ["create", "update"]
    if kind in IN_TRANSACTIONS:
        codes += ["create"]
    if kind == "DocumentReference":
        codes += ["patch", "delete"]
    if kind == "Subscription":
        codes += ["delete"]
    found: Resource = {
        "type": kind,
        **({"documentation": "Created in a transaction, with what it submits."} if kind in IN_TRANSACTIONS else {}),
        "interaction": [{"code": code} for code in codes],
        "versioning": "versioned-update" if kind in WRITABLE else "versioned",
        "readHistory": kind != "Binary",
        "updateCreate": False,
        "conditionalCreate": kind in WRITABLE,
        "conditionalRead": "not-match",
        "conditionalUpdate": kind in WRITABLE and kind not in OF_NOBODY,
        "conditionalDelete": "single" if kind == "DocumentReference" else "not-supported",
    }
    if kind in PROFILES:
        found["supportedProfile"] = list[Json](PROFILES[kind])
    own = [one for one in parameters(kind).values() if not is_hidden(one)]
    if own:
        found["searchParam"] = [{"name": one.name, "type": one.fhir_type} for one in own]
    references = [f"{kind}:{one.name}" for one in own if one.kind is Kind.REFERENCE]
    if references:
        found["searchInclude"] = list[Json](["*", *references])
    if kind == "Subscription":
        base = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-"
        found["operation"] = [{"name": name, "definition": base + name} for name in ("status", "events")]
    operations = [*(["mark-read", "read-by"] if kind in THINGS else []), *(["mark-read"] if kind == ALERTS else [])]
    operations += ["agenda"] if kind == "Patient" else []
    operations += ["sent"] if kind in WRITABLE and kind not in OF_NOBODY else []
    if operations:
        own_base = "https://passerelle.example/fhir/OperationDefinition/"
        found["operation"] = [{"name": name, "definition": own_base + name} for name in operations]
    return found
