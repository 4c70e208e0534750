"""What a tool writes, as the dossier takes it: notes, documents, plans, evaluations, appointments, requests."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any

Resource = dict[str, Any]

CDL = "https://interop.esante.gouv.fr/ig/fhir/cdl/StructureDefinition/"
PDSM = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/"
NOTE_TYPES = "https://mos.esante.gouv.fr/NOS/TRE_R234-TypeNote/FHIR/TRE-R234-TypeNote"
VISIBILITY = "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
CLASSES = "https://mos.esante.gouv.fr/NOS/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"
LOINC = "http://loinc.org"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
FACILITIES = "https://mos.esante.gouv.fr/NOS/TRE_R02-SecteurActivite/FHIR/TRE-R02-SecteurActivite"
SETTINGS = "https://mos.esante.gouv.fr/NOS/TRE_A01-CadreExercice/FHIR/TRE-A01-CadreExercice"
FORMAT = {
    "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
    "code": "urn:ihe:iti:xds-sd:pdf:2008",
    "display": "Document à corps non structuré en PDF",
}


def author_of(user: str, name: str) -> Resource:
    """Describe on whose behalf the tool writes: `user` is `system|value`."""
    system, _, value = user.partition("|")
    return {
        "resourceType": "Practitioner",
        "id": "auteur",
        "identifier": [{"system": system, "value": value}],
        "name": [{"family": name}],
    }


def structure_of(finess: str, name: str) -> Resource:
    """Describe the structure that the tool works for."""
    return {
        "resourceType": "Organization",
        "id": "structure",
        "identifier": [{"system": "urn:oid:1.2.250.1.71.4.2.2", "value": f"1{finess}"}],
        "name": name,
    }


def note(
    patient: str,
    code: str,
    title: str,
    words: str,
    *,
    number: tuple[str, str],
    author: Resource,
    at: datetime,
    urgent: bool = False,
    visibility: str = "",
    photos: Sequence[tuple[str, bytes]] = (),
    replies_to: str = "",
) -> Resource:
    """Make a note of the liaison booklet (CDL cdl-document-reference); `photos` are (media type, bytes)."""
    parts = [_attachment("text/plain; charset=utf-8", words.encode(), "Texte", at)]
    parts += [_attachment(media, content, f"Photo {rank}", at) for rank, (media, content) in enumerate(photos, 1)]
    resource: Resource = {
        "resourceType": "DocumentReference",
        "meta": {"profile": [CDL + "cdl-document-reference"]},
        "contained": [author],
        "masterIdentifier": {"system": number[0], "value": number[1]},
        "status": "current",
        "type": {"coding": [{"system": NOTE_TYPES, "code": code}]},
        "subject": {"reference": patient},
        "date": at.isoformat(timespec="seconds"),
        "author": [{"reference": f"#{author['id']}"}],
        "description": title,
        "content": [{"attachment": one} for one in parts],
    }
    if urgent:
        resource["extension"] = [{"url": CDL + "cdl-ext-is-emergency", "valueBoolean": True}]
    if visibility:
        resource["securityLabel"] = [{"coding": [{"system": VISIBILITY, "code": visibility}]}]
    if replies_to:
        resource["relatesTo"] = [{"code": "appends", "target": {"reference": replies_to}}]
    return resource


def document(
    patient: str,
    type_code: str,
    category: str,
    title: str,
    content: bytes,
    *,
    oid: str,
    author: Resource,
    custodian: Resource,
    at: datetime,
    media_type: str = "application/pdf",
    replaces: str = "",
) -> Resource:
    """Make a document (PDSm simplified publication) with what the DMP asks of it; `oid` names it, as `urn:oid:…`."""
    role: Resource = {
        "resourceType": "PractitionerRole",
        "id": "role",
        "practitioner": {"reference": f"#{author['id']}"},
        "organization": {"reference": f"#{custodian['id']}"},
    }
    resource: Resource = {
        "resourceType": "DocumentReference",
        "meta": {"profile": [PDSM + "pdsm-simplified-publish"]},
        "contained": [author, custodian, role],
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": oid},
        "status": "current",
        "type": _coded(LOINC, type_code, title),
        "category": [_coded(CLASSES, category, title)],
        "subject": {"reference": patient},
        "date": at.isoformat(timespec="seconds"),
        "author": [{"reference": "#role"}],
        "authenticator": {"reference": f"#{author['id']}"},
        "custodian": {"reference": f"#{custodian['id']}"},
        "description": title,
        "securityLabel": [_coded(CONFIDENTIALITY, "N", "Normal")],
        "content": [{"attachment": _attachment(media_type, content, title, at), "format": FORMAT}],
        "context": {
            "period": {"start": at.isoformat(timespec="seconds")},
            "facilityType": _coded(FACILITIES, "SA05", "Centre de santé"),
            "practiceSetting": _coded(SETTINGS, "AMBULATOIRE", "Ambulatoire"),
        },
    }
    if replaces:
        resource["relatesTo"] = [{"code": "replaces", "target": {"reference": replaces}}]
    return resource


def evaluation(
    patient: str, questionnaire: str, answers: Sequence[tuple[str, str, Resource]], *, author: Resource, at: datetime
) -> Resource:
    """Make a filled grid; answers are (linkId, label, the `value[x]` of the answer)."""
    return {
        "resourceType": "QuestionnaireResponse",
        "contained": [author],
        "questionnaire": questionnaire,
        "status": "completed",
        "subject": {"reference": patient},
        "authored": at.isoformat(timespec="seconds"),
        "author": {"reference": f"#{author['id']}"},
        "item": [{"linkId": link, "text": label, "answer": [value]} for link, label, value in answers],
    }


def plan(patient: str, title: str, actions: Sequence[str], *, number: tuple[str, str], start: str) -> Resource:
    """Make a plan, with what is to be done."""
    return {
        "resourceType": "CarePlan",
        "identifier": [{"system": number[0], "value": number[1]}],
        "status": "active",
        "intent": "plan",
        "title": title,
        "subject": {"reference": patient},
        "period": {"start": start},
        "activity": [{"detail": {"status": "in-progress", "description": action}} for action in actions],
    }


def appointment(patient: str, start: datetime, end: datetime, *, number: tuple[str, str], words: str) -> Resource:
    """Make an appointment at the person's home."""
    return {
        "resourceType": "Appointment",
        "identifier": [{"system": number[0], "value": number[1]}],
        "status": "booked",
        "description": words,
        "start": start.isoformat(timespec="seconds"),
        "end": end.isoformat(timespec="seconds"),
        "participant": [{"actor": {"reference": patient}, "status": "accepted"}],
    }


def task(patient: str, words: str, *, number: tuple[str, str], at: datetime, status: str = "requested") -> Resource:
    """Make a request to the coordination (sollicitation, orientation)."""
    return {
        "resourceType": "Task",
        "identifier": [{"system": number[0], "value": number[1]}],
        "status": status,
        "intent": "order",
        "description": words,
        "for": {"reference": patient},
        "authoredOn": at.isoformat(timespec="seconds"),
        "lastModified": at.isoformat(timespec="seconds"),
    }


def subscription(criteria: str, endpoint: str, *, content: str, secret: str, secret_url: str, label: str) -> Resource:
    """Make a Subscription to a topic (backport) or to a search; nothing but the content's form is asked beside it."""
    backport = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content"
    return {
        "resourceType": "Subscription",
        "extension": [{"url": secret_url, "valueString": secret}],
        "status": "requested",
        "reason": f"Actualités des dossiers pour {label}",
        "criteria": criteria,
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
            "_payload": {"extension": [{"url": backport, "valueCode": content}]},
        },
    }


def _coded(system: str, code: str, label: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": label}]}


def _attachment(media_type: str, content: bytes, title: str, at: datetime) -> Resource:
    return {
        "contentType": media_type,
        "language": "fr-FR",
        "data": base64.b64encode(content).decode(),
        "title": title,
        "creation": at.isoformat(timespec="seconds"),
    }
