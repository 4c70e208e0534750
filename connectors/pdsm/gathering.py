"""One document as one Message: a Bundle (collection) of its DocumentReference as it came, files and patient. No I/O.

The resources are those of the server; Passerelle adds what ties them together: a Binary around the bytes of a file that
came bare, the unique id of a replaced document beside the server's own id, a tag that says that a document was deleted.
The format `fhir` reads it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from connectors.pdsm.client import Fetched
from connectors.pdsm.resources import Json, Resource, kind, master_identifier, objects, parsed, replaced_by, text
from mappings.fhir import systems

BINARY = "Binary"


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
    """Make the content of the Message; the same resources give the same bytes."""
    bundle: Resource = {"resourceType": "Bundle"}
    if deleted:
        bundle["meta"] = {"tag": [{"system": systems.EVENT_TAG, "code": systems.DOCUMENT_DELETED}]}
    bundle["type"] = "collection"
    entries: list[Json] = [{"resource": document}]
    if patient is not None:
        entries.append({"resource": patient})
    for file in files:
        form = _form_of(document, file.url)
        binary: Resource = {
            "resourceType": BINARY,
            "contentType": text(form, "contentType") or file.fetched.media_type,
            "data": base64.b64encode(file.fetched.content).decode("ascii"),
        }
        entry: Resource = {"fullUrl": file.url, "resource": binary}
        if ":" not in file.url:
            entry = {"resource": {"resourceType": BINARY, "id": file.url.rsplit("/", 1)[-1], **binary}}
        entries.append(entry)
    bundle["entry"] = entries
    return orjson.dumps(bundle)


def with_former(document: Resource, server_id: str, former: Resource) -> None:
    """Put the unique id of a replaced document beside the id that the server gave it."""
    found = master_identifier(former)
    for target in replaced_by(document):
        if found is not None and "identifier" not in target and text(target, "reference").endswith(f"/{server_id}"):
            system, value = found
            target["identifier"] = {"system": system, "value": value} if system else {"value": value}


def contained_patient(document: Resource) -> bool:
    """Say whether the document brings its patient along."""
    return any(kind(one) == "Patient" for one in objects(document, "contained"))


def _form_of(document: Resource, url: str) -> Json:
    for content in objects(document, "content"):
        form = content.get("attachment")
        if text(form, "url") == url:
            return form
    return None
