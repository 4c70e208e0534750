"""One document as one Message: a Bundle (collection) of its DocumentReference as it came, files and patient. No I/O.

The resources are those of the server; Passerelle adds what ties them together: a Binary around the bytes of a file that
came bare, the unique id of a replaced document beside the server's own id, the patient whom the server was asked about,
a tag that says that a document was deleted.
The format `fhir` reads it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from connectors.pdsm.client import Fetched
from connectors.pdsm.resources import Json, Resource, kind, master_identifier, objects, parsed, replaced_by, text
from mappings.contracts import WriteContext
from mappings.fhir import systems
from mappings.fhir.writing.bundle import BundleBuilder
from mappings.fhir.writing.patient import patient_resource
from schemas.identity import PatientIdentity

BINARY = "Binary"
TRAITS = (
    "ins", "status", "birth_name", "birth_given_names", "first_given_name", "birth_date", "sex", "birth_place",
)  # fmt: skip
"""What of a patient tells who it is: the rest is no business of a document's Message."""

FOLLOWED = "followed"
"""Id of the patient in a Bundle whose document does not say who it is about in a way that could be kept."""


@dataclass(frozen=True, slots=True)
class File:
    """A file as its Attachment names it (`url`, as written) and as it was fetched."""

    url: str
    fetched: Fetched


def bytes_of(fetched: Fetched, stated_type: str) -> Fetched:
    """Take the bytes out of a Binary resource, which a server may answer in the place of the bare bytes."""
    if "json" not in fetched.media_type or "json" in stated_type:
        return fetched
    resource = parsed(fetched.content)
    if resource is None or kind(resource) != BINARY:
        return fetched
    try:
        content = base64.b64decode(text(resource, "data"), validate=True)
    except ValueError:
        return fetched
    return Fetched(content, text(resource, "contentType"))


def gathered(
    document: Resource, files: Sequence[File] = (), patient: Resource | None = None, *, deleted: bool = False
) -> bytes:
    """Make the content of the Message; the same resources give the same bytes. `patient` is an entry."""
    bundle: Resource = {"resourceType": "Bundle"}
    if deleted:
        bundle["meta"] = {"tag": [{"system": systems.EVENT_TAG, "code": systems.DOCUMENT_DELETED}]}
    bundle["type"] = "collection"
    entries: list[Json] = [{"resource": document}]
    if patient is not None:
        entries.append(patient)
    for file in files:
        form = _form_of(document, file.url)
        binary: Resource = {
            "resourceType": BINARY,
            "contentType": text(form, "contentType") or file.fetched.media_type,
            "data": base64.b64encode(file.fetched.content).decode("ascii"),
        }
        folder, _, name = file.url.rpartition("/")
        if folder == BINARY:
            entries.append({"resource": {"resourceType": BINARY, "id": name, **binary}})
        else:
            entries.append({"fullUrl": file.url, "resource": binary})
    bundle["entry"] = entries
    return orjson.dumps(bundle)


def with_former(document: Resource, server_id: str, former: Resource) -> None:
    """Put the unique id of a replaced document beside the id that the server gave it."""
    found = master_identifier(former)
    for target in replaced_by(document):
        if found is not None and "identifier" not in target and text(target, "reference").endswith(f"/{server_id}"):
            system, value = found
            target["identifier"] = {"system": system, "value": value} if system else {"value": value}


def with_subject(document: Resource, identity: PatientIdentity, now: datetime) -> Resource:
    """Give the entry of the patient under whose number the document was asked for, and make it the subject.

    The server answers for what it gives under a qualified INS; the patient as the document's author knew him stays
    where it is (sourcePatientInfo), and whoever reads the Bundle compares the two.
    """
    context = WriteContext(now=now, identity="")
    known = PatientIdentity(**{name: getattr(identity, name) for name in TRAITS})
    patient, _ = patient_resource(BundleBuilder(context, FOLLOWED), known, {})
    subject = document.get("subject")
    reference = text(subject, "reference")
    if not isinstance(subject, dict) or not reference or reference.startswith("#"):
        held = document.setdefault("context", {})
        if reference and isinstance(held, dict):
            held.setdefault("sourcePatientInfo", {"reference": reference})
        document["subject"] = {"reference": f"Patient/{FOLLOWED}"}
        return {"resource": {**_plain(patient), "id": FOLLOWED}}
    if ":" not in reference and "?" not in reference:
        return {"resource": {**_plain(patient), "id": reference.rsplit("/", 1)[-1]}}
    return {"fullUrl": reference, "resource": _plain(patient)}


def _plain(resource: dict[str, object]) -> Resource:
    """Turn what the writer built into plain JSON."""
    plain: Resource = orjson.loads(orjson.dumps(resource))
    return plain


def _form_of(document: Resource, url: str) -> Json:
    for content in objects(document, "content"):
        form = content.get("attachment")
        if text(form, "url") == url:
            return form
    return None
