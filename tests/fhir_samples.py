"""Resources that tools send, about the scene's fictitious patient."""

from __future__ import annotations

import base64
from typing import Any

CDL = "https://interop.esante.gouv.fr/ig/fhir/cdl/StructureDefinition/cdl-document-reference"
PDSM = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/"
NOTE_TYPES = "https://mos.esante.gouv.fr/NOS/TRE_R234-TypeNote/FHIR/TRE-R234-TypeNote"
RPPS = "https://rpps.esante.gouv.fr"
VISIBILITY = "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"


def text(words: str) -> str:
    return base64.b64encode(words.encode()).decode()


def note(patient: str, number: str = "NOTE-1", *, author: str = "89900000001", **more: Any) -> dict[str, Any]:
    """A note of the liaison booklet, with its author inside."""
    return {
        "resourceType": "DocumentReference",
        "meta": {"profile": [CDL]},
        "contained": [
            {
                "resourceType": "Practitioner",
                "id": "moi",
                "identifier": [{"system": RPPS, "value": author}],
                "name": [{"family": "TESTMEDECIN", "given": ["Anne"]}],
            }
        ],
        "masterIdentifier": {"system": "urn:oid:2.999.67.5", "value": number},
        "status": "current",
        "type": {"coding": [{"system": NOTE_TYPES, "code": "OBS"}]},
        "subject": {"reference": patient},
        "date": "2026-03-06T09:12:00+01:00",
        "author": [{"reference": "#moi"}],
        "description": "Pansement",
        "content": [{"attachment": {"contentType": "text/plain", "data": text("Odeur au pansement.")}}],
        **more,
    }


def letter(patient: str, number: str = "2.999.5.1", **more: Any) -> dict[str, Any]:
    """A document after PDSm, simplified."""
    return {
        "resourceType": "DocumentReference",
        "meta": {"profile": [PDSM + "pdsm-simplified-publish"]},
        "contained": [
            {"resourceType": "Organization", "id": "cab", "name": "CABINET FICTIF"},
            {
                "resourceType": "Practitioner",
                "id": "moi",
                "identifier": [{"system": RPPS, "value": "89900000001"}],
                "name": [{"family": "TESTMEDECIN"}],
            },
        ],
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{number}"},
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34133-9"}]},
        "category": [{"coding": [{"system": "https://mos.esante.gouv.fr/NOS/TRE_A03-ClasseDocument", "code": "11"}]}],
        "subject": {"reference": patient},
        "date": "2026-03-06T09:12:00+01:00",
        "author": [{"reference": "#moi"}],
        "custodian": {"reference": "#cab"},
        "content": [{"attachment": {"contentType": "application/pdf", "title": "Synthèse", "data": "JVBERi0xLjQK"}}],
        **more,
    }


def weight(patient: str, unit: str = "kg", value: float = 62.5) -> dict[str, Any]:
    """A weight."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "vital-signs",
                    }
                ]
            }
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": patient},
        "effectiveDateTime": "2026-03-06T09:12:00+01:00",
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
    }


def appointment(patient: str, start: str = "2026-11-20T08:30:00+01:00") -> dict[str, Any]:
    """A visit at home."""
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "start": start,
        "end": start.replace("T08", "T09"),
        "participant": [{"actor": {"reference": patient}, "status": "accepted"}],
    }


def transaction(*entries: tuple[str, str, dict[str, Any] | None], urls: tuple[str, ...] = ()) -> dict[str, Any]:
    """A transaction of (method, url, resource); `urls` are the fullUrls, in order."""
    made: list[dict[str, Any]] = []
    for rank, (method, url, resource) in enumerate(entries):
        entry: dict[str, Any] = {"request": {"method": method, "url": url}}
        if resource is not None:
            entry["resource"] = resource
        if rank < len(urls):
            entry["fullUrl"] = urls[rank]
        made.append(entry)
    return {"resourceType": "Bundle", "type": "transaction", "entry": made}
