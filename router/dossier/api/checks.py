"""What a resource must be before it is kept: FHIR R4 (a second opinion by fhirclient), and its profile's own rules.

The two profiles of DocumentReference contradict one another (CDL forbids the custodian that PDSm requires): one that
claims a profile that is not known is refused, as its rules are not known either.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha1

from mappings.fhir.check import check_with_fhirclient
from router.dossier.api.capability import PROFILES
from router.dossier.api.outcomes import Refused
from router.dossier.store.categories import NOTE_CODES, is_note
from router.dossier.store.elements import Json, Resource, child, children, codes, dumped, said, span, walk
from router.dossier.store.parameters import NDE
from schemas.units import known_ucum

UCUM = "http://unitsofmeasure.org"
SIMPLIFIED = PROFILES["DocumentReference"][2]
COMPREHENSIVE = PROFILES["DocumentReference"][1]

UNITS = {
    "29463-7": {"kg", "g"},
    "8302-2": {"cm", "m"},
    "8310-5": {"Cel"},
    "8867-4": {"/min"},
    "9279-1": {"/min"},
    "8480-6": {"mm[Hg]"},
    "8462-4": {"mm[Hg]"},
    "20564-1": {"%"},
    "59408-5": {"%"},
    "39156-5": {"kg/m2"},
    "8280-0": {"cm"},
    "8287-5": {"cm"},
}
"""Units of the vital signs (JDV_SignesVitaux): a weight in centimetres is an error that somebody may act upon."""


def check(resource: Resource) -> None:
    """Check a resource. Raises Refused (422) with the places that are wrong."""
    kind = said(resource, "resourceType")
    findings = check_with_fhirclient(dumped(resource))
    if findings:
        places = tuple(sorted({finding.where for finding in findings}))[:20]
        raise Refused(422, f"This is not a {kind} of FHIR R4: {findings[0].message}.", where=places, code="structure")
    if kind == "DocumentReference":
        _check_document(resource)
    elif kind == "Observation":
        _check_units(resource)
    elif kind == "CommunicationRequest":
        _check_event(resource)
    elif kind == "List":
        _check_submission(resource)


def _wrong(sentence: str, *where: str, code: str = "business-rule") -> Refused:
    return Refused(422, sentence, where=where, code=code)


def _check_document(resource: Resource) -> None:
    meta = child(resource, "meta") or {}
    claimed = meta.get("profile")
    unknown = [one for one in claimed if one not in PROFILES["DocumentReference"]] if isinstance(claimed, list) else []
    if unknown:
        raise _wrong(
            "This profile is not known here; GET /fhir/metadata lists those that are.",
            "DocumentReference.meta.profile",
            code="not-supported",
        )
    if is_note(resource):
        _check_note(resource)
    elif isinstance(claimed, list) and (SIMPLIFIED in claimed or COMPREHENSIVE in claimed):
        _check_shared(resource, simplified=SIMPLIFIED in claimed)
    for rank, content in enumerate(children(resource, "content")):
        _check_file(child(content, "attachment") or {}, f"DocumentReference.content[{rank}].attachment")


def _check_note(resource: Resource) -> None:
    """Check a note of the "cahier de liaison" (CDL cdl-document-reference)."""
    there = [f"DocumentReference.{name}" for name in ("docStatus", "authenticator", "custodian") if name in resource]
    if there:
        raise _wrong("A note of the liaison booklet has none of these elements.", *there)
    if not any(code in NOTE_CODES for _, code in codes(resource.get("type"))):
        raise _wrong("The type of a note is one of JDV_J23 (TRE_R234).", "DocumentReference.type", code="code-invalid")
    if len(children(resource, "securityLabel")) > 1:
        raise _wrong("A note has one visibility at most.", "DocumentReference.securityLabel")
    _require(resource, "subject", "author")
    for relation in children(resource, "relatesTo"):
        if said(relation, "code") not in {"appends", "replaces"}:
            raise _wrong("A reply appends to the note that it answers.", "DocumentReference.relatesTo.code")


def _check_shared(resource: Resource, *, simplified: bool) -> None:
    """Check a document after PDSm: what sharing with other systems asks for."""
    _require(resource, "subject", "custodian", "author", "date")
    forms = [child(one, "attachment") or {} for one in children(resource, "content")]
    if simplified:
        if said(resource, "status") != "current":
            raise _wrong("A document is published as current.", "DocumentReference.status")
        if len(forms) != 1 or not said(forms[0], "data") or "url" in forms[0]:
            raise _wrong(
                "Simplified publication has one file, in its data.", "DocumentReference.content.attachment.data"
            )
        return
    if not said(child(child(resource, "context") or {}, "period") or {}, "start"):
        raise _wrong("The beginning of the act is missing.", "DocumentReference.context.period.start")
    missing = [name for name in ("title", "size", "hash") if any(name not in form for form in forms)]
    if missing:
        raise _wrong("This is missing.", *(f"DocumentReference.content.attachment.{name}" for name in missing))


def _check_submission(resource: Resource) -> None:
    """Check the submission set of a publication (IHE MHD ITI-65, PDSm): a List that names what it submits."""
    _require(resource, "subject", "source", "date", "entry", "identifier")
    if not any(code == "submissionset" for _, code in codes(resource.get("code"))):
        raise _wrong("A List is taken as the submission set of a publication.", "List.code", code="code-invalid")


def _require(resource: Resource, *names: str) -> None:
    kind = said(resource, "resourceType")
    missing = [f"{kind}.{name}" for name in names if not resource.get(name)]
    if missing:
        raise _wrong("These elements are missing.", *missing, code="required")


def _check_file(form: Resource, where: str) -> None:
    data = said(form, "data")
    if not data:
        return
    try:
        plain = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("The file is not base64.", f"{where}.data", code="value") from None
    stated = said(form, "hash")
    if stated and stated != base64.b64encode(sha1(plain, usedforsecurity=False).digest()).decode():
        raise _wrong("The hash is not that of the file (SHA-1 in base64).", f"{where}.hash", code="value")
    size = form.get("size")
    if size is not None and size != len(plain):
        raise _wrong("The size is not that of the file.", f"{where}.size", code="value")


def _check_units(resource: Resource) -> None:
    parts: list[tuple[Json, Resource, str]] = [(resource.get("code"), resource, "Observation")]
    parts += [
        (one.get("code"), one, f"Observation.component[{rank}]")
        for rank, one in enumerate(children(resource, "component"))
    ]
    for code, part, where in parts:
        quantity = child(part, "valueQuantity")
        if quantity is None:
            continue
        unit = said(quantity, "code")
        expected = {wanted for _, one in codes(code) for wanted in UNITS.get(one, ())}
        if expected and unit not in expected:
            raise _wrong(
                f"This measure is in {' or '.join(sorted(expected))} (UCUM).",
                f"{where}.valueQuantity.code",
                code="value",
            )
        if said(quantity, "system") == UCUM and unit and unit not in known_ucum() | {"1"} and not expected:
            raise _wrong("This is not a UCUM unit that is known here.", f"{where}.valueQuantity.code", code="value")


def _check_event(resource: Resource) -> None:
    """Check an event that is declared (NdE nde-eventdeclaration), where it claims to be one."""
    meta = child(resource, "meta") or {}
    claimed = meta.get("profile")
    if not isinstance(claimed, list) or NDE + "nde-eventdeclaration" not in claimed:
        return
    _require(resource, "subject", "requester", "authoredOn", "payload", "contained")
    for name in ("event-type", "event-time"):
        if not list(walk(resource, f"ext({NDE}{name})")):
            raise _wrong(
                "This extension is missing.", f"CommunicationRequest.extension('{NDE}{name}')", code="required"
            )
    if span(said(resource, "authoredOn")) is None:
        raise _wrong("This is not a date.", "CommunicationRequest.authoredOn", code="value")
