"""A document that somebody else submits to the sandbox's document-sharing server: an ITI-65 transaction, by hand."""

from __future__ import annotations

import base64
from datetime import datetime
from hashlib import sha1
from uuid import NAMESPACE_URL, uuid5

from connectors.sandbox.pdsm_rules import CONFIDENTIALITY, MHD, Json, Resource

_URI = "urn:ietf:rfc:3986"
_GENERALIST = {"system": "https://rpps.esante.gouv.fr", "value": "99990000012"}
_SURGERY = {"system": "urn:oid:1.2.250.1.71.4.2.2", "value": "190000017"}


def deposited(
    system: str,
    number: str,
    content: bytes,
    at: datetime,
    *,
    title: str = "Compte rendu de consultation",
    unique_id: str = "",
    media_type: str = "application/pdf",
    replaces: str = "",
    source_id: str = "1.2.250.1.999.7",
) -> Resource:
    """Make the transaction of a general practitioner's document about the patient of this number.

    `unique_id` is an OID, made from the content when it is empty; `replaces` the id of a DocumentReference there.
    """
    unique = unique_id or f"2.25.{uuid5(NAMESPACE_URL, title + base64.b64encode(content).decode()).int}"
    document, binary, submission = (f"urn:uuid:{uuid5(NAMESPACE_URL, f'{unique}/{part}')}" for part in "dbs")
    moment = at.isoformat(timespec="seconds")
    reference: Resource = {
        "resourceType": "DocumentReference",
        "contained": _people(system, number),
        "masterIdentifier": {"system": _URI, "value": f"urn:oid:{unique}"},
        "status": "current",
        "type": _coded("http://loinc.org", "11488-4", "CR ou fiche de consultation"),
        "category": [_coded("urn:oid:1.2.250.1.213.1.1.4.1", "10", "Compte rendu")],
        "subject": {"reference": f"Patient?identifier={system}|{number}"},
        "date": moment,
        "author": [{"reference": "#auteur"}],
        "custodian": {"reference": "#cabinet"},
        "description": title,
        "securityLabel": [_coded(CONFIDENTIALITY, "N", "normal")],
        "content": [
            {
                "attachment": {
                    "contentType": media_type,
                    "language": "fr-FR",
                    "url": binary,
                    "size": len(content),
                    "hash": base64.b64encode(sha1(content, usedforsecurity=False).digest()).decode(),
                    "title": title,
                    "creation": moment,
                },
                "format": {"system": "urn:oid:1.3.6.1.4.1.19376.1.2.3", "code": "urn:ihe:iti:xds-sd:pdf:2008"},
            }
        ],
        "context": {
            "period": {"start": moment},
            "facilityType": _coded("urn:oid:1.2.250.1.71.4.2.4", "SA07", "Cabinet individuel"),
            "practiceSetting": _coded("urn:oid:1.2.250.1.213.1.1.4.9", "AMBULATOIRE", "Ambulatoire"),
            "sourcePatientInfo": {"reference": "#patient"},
        },
    }
    if replaces:
        reference["relatesTo"] = [{"code": "replaces", "target": {"reference": f"DocumentReference/{replaces}"}}]
    lot: Resource = {
        "resourceType": "List",
        "contained": _people(system, number),
        "extension": [
            {
                "url": MHD + "ihe-designationType",
                "valueCodeableConcept": _coded("urn:oid:1.2.250.1.213.2.2", "07", "Ville"),
            },
            {"url": MHD + "ihe-sourceId", "valueIdentifier": {"system": _URI, "value": f"urn:oid:{source_id}"}},
        ],
        "identifier": [{"system": _URI, "value": submission}],
        "status": "current",
        "mode": "working",
        "code": _coded("https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "submissionset", ""),
        "subject": {"reference": f"Patient?identifier={system}|{number}"},
        "date": moment,
        "source": {"reference": "#auteur"},
        "entry": [{"item": {"reference": document}}],
    }
    file: Resource = {
        "resourceType": "Binary",
        "contentType": media_type,
        "data": base64.b64encode(content).decode(),
    }
    entries: list[Json] = [
        {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": str(resource["resourceType"])}}
        for url, resource in ((submission, lot), (document, reference), (binary, file))
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _people(system: str, number: str) -> list[Json]:
    return [
        {"resourceType": "Patient", "id": "patient", "identifier": [{"system": system, "value": number}]},
        {
            "resourceType": "Practitioner",
            "id": "auteur",
            "identifier": [dict(_GENERALIST)],
            "name": [{"family": "TESTEUR"}],
        },
        {"resourceType": "Organization", "id": "cabinet", "identifier": [dict(_SURGERY)], "name": "CABINET TEST"},
    ]


def _coded(system: str, code: str, display: str) -> Resource:
    coding: Resource = {"system": system, "code": code}
    if display:
        coding["display"] = display
    return {"coding": [coding]}
