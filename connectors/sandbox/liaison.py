"""What a coordination tool writes into the *cahier de liaison*: a note as a FHIR Communication, posted to a router."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import orjson

from connectors.sandbox.people import Person, Practitioner
from connectors.sandbox.registration import patient_resource
from connectors.sandbox.reports import LABORATORY_AUTHORITY

NOTES = "urn:oid:1.2.250.1.999.35.8"
"""The invented coordination tool's own numbers of notes."""

_PATIENT, _AUTHOR, _NOTE = (f"urn:uuid:00000000-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))


def note_bundle(person: Person, author: Practitioner, subject: str, text: str, *, number: str, at: datetime) -> bytes:
    """Write a note about a person as FHIR R4: a Bundle with the Communication and its Patient."""
    sender: dict[str, Any] = {
        "resourceType": "Practitioner",
        "identifier": [{"system": "https://rpps.esante.gouv.fr", "value": author.rpps}],
        "name": [{"family": author.family_name, "given": [author.given_name]}],
    }
    communication: dict[str, Any] = {
        "resourceType": "Communication",
        "identifier": [{"system": NOTES, "value": number}],
        "status": "completed",
        "topic": {"text": subject},
        "subject": {"reference": _PATIENT},
        "sender": {"reference": _AUTHOR},
        "sent": at.isoformat(timespec="seconds"),
        "payload": [{"contentString": text}],
    }
    entries = [
        {"fullUrl": _PATIENT, "resource": patient_resource(person, LABORATORY_AUTHORITY)},
        {"fullUrl": _AUTHOR, "resource": sender},
        {"fullUrl": _NOTE, "resource": communication},
    ]
    return orjson.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})


async def post_note(url: str, api_key: str, content: bytes, *, number: str) -> int:
    """Post a note to a router under its number; gives the HTTP status, 202 when it is kept. Raises httpx.HTTPError."""
    headers = {"Content-Type": "application/fhir+json", "X-API-Key": api_key, "X-Message-Id": number}
    async with httpx.AsyncClient(timeout=30.0, trust_env=False) as client:
        answered = await client.post(url, content=content, headers=headers)
    return answered.status_code
