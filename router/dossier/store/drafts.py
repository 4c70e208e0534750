"""Resources ready to be kept: indexed, sealed, their files apart. Made by workers and by the API, kept by `writing`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha1, sha256
from uuid import NAMESPACE_URL, uuid5

from mappings.uuids import uuid5_text
from router.dossier.store.elements import Resource, children, dumped, said
from router.dossier.store.indexing import Indexed, index
from router.journal.blobs import LARGE, BlobStore
from router.journal.sealing import Sealer

RESOURCE_PLACE = b"resource_body.sealed_body"
_NAMESPACE = uuid5(NAMESPACE_URL, "https://passerelle.example/dossier").bytes

INLINE = 20_000
"""Characters of base64 up to which a plain text stays where it is: a note is read in one go."""

LIVE, WITHDRAWN, DELETED = 0, 1, 2
"""States of a resource: `withdrawn` leaves nothing but a status to be read, `deleted` is gone."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One resource ready to be kept under its own id, whole: `patient` is the number of whom it is about.

    `once` leaves alone what is there already (an organisation that somebody else described).
    """

    type: str
    logical_id: str
    patient: int | None
    sealed_body: bytes
    digest: bytes
    indexed: Indexed
    blobs: str | None = None
    once: bool = False
    replaces: tuple[tuple[str, str], ...] = ()
    """Identifiers of the documents that it replaces."""

    own: tuple[tuple[str, str], ...] = ()
    """A document's own identifiers: one that arrives after its successor is superseded already."""

    @property
    def key(self) -> str:
        """Its reference."""
        return f"{self.type}/{self.logical_id}"


def name_id(*parts: str) -> str:
    """Give the id of a resource from what names it: the same parts always give the same."""
    return uuid5_text(_NAMESPACE, "|".join(parts))


def patient_id(number: int) -> str:
    """Give the id of the Patient resource of a patient of the journal."""
    return name_id("patient", str(number))


def draft(
    sealer: Sealer,
    resource: Resource,
    patient: int | None,
    *,
    once: bool = False,
    blobs: str | None = None,
    indexed: Indexed | None = None,
) -> Draft:
    """Make a resource ready; it has its `id`, and what the store itself says (version, time) is left out."""
    meta = resource.get("meta")
    if isinstance(meta, dict) and ("versionId" in meta or "lastUpdated" in meta):
        kept = {name: value for name, value in meta.items() if name not in {"versionId", "lastUpdated"}}
        resource = {**resource, "meta": kept} if kept else {k: v for k, v in resource.items() if k != "meta"}
    body = dumped(resource)
    kind = said(resource, "resourceType")
    document = kind == "DocumentReference"
    return Draft(
        kind,
        said(resource, "id"),
        patient,
        sealer.seal(body, RESOURCE_PLACE),
        sealer.digest(b"resource", body),
        indexed or index(sealer, resource),
        blobs,
        once,
        _replaced(resource) if document else (),
        _own(resource) if document else (),
    )


def _replaced(resource: Resource) -> tuple[tuple[str, str], ...]:
    found = []
    for relation in children(resource, "relatesTo"):
        if said(relation, "code") == "replaces":
            target = relation.get("target")
            found += [(said(one, "system"), said(one, "value")) for one in children(target, "identifier")]
            if isinstance(target, dict) and said(target, "reference").startswith("DocumentReference/"):
                found.append(("", said(target, "reference")))
    return tuple(found)


def _own(resource: Resource) -> tuple[tuple[str, str], ...]:
    return tuple(
        (said(one, "system"), said(one, "value"))
        for name in ("masterIdentifier", "identifier")
        for one in children(resource, name)
        if said(one, "value")
    )


@dataclass(slots=True)
class Files:
    """Moves the bytes of Attachments into Binaries of their own, which the same readers may read."""

    sealer: Sealer
    blobs: BlobStore
    drafts: list[Draft] = field(default_factory=list)

    def detach(self, resource: Resource, patient: int, indexed: Indexed) -> None:
        """Replace the data of a resource's Attachments by the URL of a Binary."""
        for form in _attachments(resource):
            data = said(form, "data")
            if not data or (len(data) <= INLINE and said(form, "contentType").startswith("text/plain")):
                continue
            try:
                plain = base64.b64decode(data, validate=True)
            except (binascii.Error, ValueError):
                continue  # left as it was sent: a reader sees what the sender wrote
            form.pop("data")
            form["size"] = len(plain)
            form["hash"] = base64.b64encode(sha1(plain, usedforsecurity=False).digest()).decode()
            owner = f"{said(resource, 'resourceType')}/{said(resource, 'id')}"
            media_type = said(form, "contentType") or "application/octet-stream"
            binary = self.binary(owner, plain, media_type, patient, indexed)
            form["url"] = binary.key
            self.drafts.append(binary)

    def binary(self, owner: str, plain: bytes, media_type: str, patient: int, indexed: Indexed) -> Draft:
        """Make the Binary of a file that belongs to a resource, and is seen by who may see that."""
        name = name_id(owner, sha256(plain).hexdigest(), media_type)
        out: Resource = {"resourceType": "Binary", "id": name, "contentType": media_type}
        out["securityContext"] = {"reference": owner}
        blob = None
        if len(plain) > LARGE:
            blob = self.blobs.put(plain)
        else:
            out["data"] = base64.b64encode(plain).decode()
        shared = replace(indexed, tokens=(), dates=())
        return draft(self.sealer, out, patient, blobs=blob, indexed=shared)


def _attachments(resource: Resource) -> list[Resource]:
    kind = said(resource, "resourceType")
    if kind == "DocumentReference":
        return [form for content in children(resource, "content") for form in children(content, "attachment")]
    if kind == "DiagnosticReport":
        return children(resource, "presentedForm")
    if kind in {"Communication", "CommunicationRequest"}:
        return [form for part in children(resource, "payload") for form in children(part, "contentAttachment")]
    return []


SHELLS: Mapping[str, Resource] = {
    "DocumentReference": {"content": [{"attachment": {"contentType": "application/octet-stream"}}]},
    "DiagnosticReport": {"code": {"text": "withdrawn"}},
    "Observation": {"code": {"text": "withdrawn"}},
    "Encounter": {
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "code": "UNK"},
    },
    "ServiceRequest": {"intent": "order"},
    "List": {"mode": "working"},
    "CarePlan": {"intent": "plan"},
    "Task": {"intent": "order"},
    "Appointment": {"participant": [{"status": "declined"}]},
}
"""What a withdrawn resource needs beside its status to be valid."""


def shell(kind: str, logical_id: str) -> Resource:
    """Give what is left of a resource that was withdrawn: that it was entered in error, and nothing of it."""
    out: Resource = {"resourceType": kind, "id": logical_id}
    if kind in {"Patient", "RelatedPerson"}:
        out["active"] = False
    elif kind != "Binary":
        out["status"] = "entered-in-error"
    return {**out, **SHELLS.get(kind, {})}
