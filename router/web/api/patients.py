"""Patients known to the coordination dossier: registering them lets the Items that waited for them go on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson
from fastapi import APIRouter, Request
from pydantic import ValidationError

from router.identity.patients import Registration, register
from router.web.access import Office, Operator
from router.web.api.declared import problems
from router.web.api.models import PatientsOut
from router.web.api.problems import Refused
from router.web.context import PatientsRefused
from router.web.desk import Desk
from schemas.identity import PatientIdentity

router = APIRouter(tags=["patients"])

TOGETHER = 200
"""Registrations submitted at a time: they share transactions."""

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": PatientIdentity.model_json_schema(ref_template="#/components/schemas/{model}")
            },
            "application/fhir+json": {"schema": {"type": "object"}},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


@router.post("/patients", status_code=201, openapi_extra=_BODY, responses=problems(400, 415))
async def register_patients(
    request: Request, desk: Office, caller: Operator, in_coordination: bool = True
) -> PatientsOut:
    """Register one PatientIdentity (JSON), or many (FHIR Bundle, CSV): new ones are added, known ones updated."""
    content = await request.body()
    media_type = request.headers.get("Content-Type", "application/json").partition(";")[0].strip().lower()
    patients = await desk.work(lambda: _read(desk, content, media_type))
    done: list[Registration] = []
    for start in range(0, len(patients), TOGETHER):
        changes = [
            register(patient, in_coordination=in_coordination, now=desk.now())
            for patient in patients[start : start + TOGETHER]
        ]
        done += await asyncio.gather(*(desk.submit(change) for change in changes))
    conflicts = sum(one.conflict for one in done)
    await desk.audit(caller.name, "register patients", f"{len(done)} patients")
    desk.changed()
    if conflicts and len(done) == 1:
        raise Refused(409, "The numbers of this identity belong to several known patients; nothing was changed.")
    kept = [one for one in done if not one.conflict]
    created = sum(one.created for one in kept)
    return PatientsOut(
        ids=[one.patient_id for one in kept], created=created, updated=len(kept) - created, conflicts=conflicts
    )


def _read(desk: Desk, content: bytes, media_type: str) -> Sequence[PatientIdentity]:
    """Read what was sent. Raises Refused with the fields that are wrong, never with what they hold."""
    if media_type == "application/json":
        try:
            found = orjson.loads(content)
        except orjson.JSONDecodeError:
            raise Refused(400, "The body is not JSON.") from None
        if not (isinstance(found, dict) and "resourceType" in found):
            try:
                return [PatientIdentity.model_validate_json(content)]
            except ValidationError as wrong:
                places = {".".join(str(part) for part in error["loc"]) or "body" for error in wrong.errors()}
                raise Refused(422, f"These fields are missing or malformed: {', '.join(sorted(places))}.") from None
        media_type = "application/fhir+json"
    if desk.context.read_patients is None:
        raise Refused(415, "Send one patient as JSON (application/json, a PatientIdentity).")
    try:
        return desk.context.read_patients(content, media_type)
    except PatientsRefused as refused:
        raise Refused(422, str(refused)) from None
