"""A Parcel as the submission that it is: what it publishes, replaces or changes, and whether it may leave. No I/O.

The format `pdsm` writes two forms, a transaction Bundle (ITI-65) and a lone DocumentReference (ITI-105). Both say in
the document itself what is wanted: a status `entered-in-error` asks for a deletion, the extension `visibility-update`
for new labels on a document that is already there, `relatesTo` for a replacement. The same Parcel, the same former
document and the same settings give the same bytes, at each attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha1

import orjson

from connectors.contracts import Reference, ReferenceKind
from connectors.pdsm.resources import (
    Json,
    Resource,
    attachments,
    decoded,
    flagged,
    kind,
    master_identifier,
    mismatch,
    objects,
    parsed,
    replaced_by,
    text,
    unique_id,
)
from mappings.fhir import systems
from schemas.finding import Finding, Severity
from schemas.identifiers import NOT_AN_INS, ins_authority


class Intent(StrEnum):
    """What a Parcel asks for."""

    PUBLISH = "publish"
    DELETE = "delete"
    RELABEL = "relabel"


class NotASubmission(Exception):
    """The Parcel holds no document that PDSm could submit; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One document on its way. `content` is the Parcel's own bytes, `whole` the same parsed, `document` inside it."""

    content: bytes
    whole: Resource
    document: Resource
    file: bytes | None

    @property
    def simplified(self) -> bool:
        """Whether it is a DocumentReference alone (ITI-105)."""
        return self.whole is self.document

    @property
    def intent(self) -> Intent:
        """What is asked for."""
        if text(self.document, "status") == "entered-in-error":
            return Intent.DELETE
        if flagged(self.document, systems.OUR_EXT + systems.VISIBILITY_UPDATE):
            return Intent.RELABEL
        return Intent.PUBLISH

    @property
    def identifier(self) -> tuple[str, str]:
        """System and value of the document's unique id."""
        found = master_identifier(self.document)
        if found is None:
            raise NotASubmission("the document has no masterIdentifier")
        return found

    @property
    def former(self) -> tuple[str, str] | None:
        """System and value of the unique id of the document that this one replaces."""
        for target in replaced_by(self.document):
            logical = target.get("identifier")
            if text(logical, "value"):
                return text(logical, "system"), text(logical, "value")
        return None

    @property
    def labels(self) -> list[Resource]:
        """The confidentiality and visibility wanted, as CodeableConcepts without our own marks."""
        return [
            {name: value for name, value in label.items() if name != "id"}
            for label in objects(self.document, "securityLabel")
        ]

    @property
    def patient(self) -> str:
        """The patient's number as a search token (`system|value`), unescaped; "" when the receiver cannot know it."""
        found = systems.searched_patient(text(self.document, "subject", "reference"))
        return f"{found[0]}|{found[1]}" if found is not None else ""

    @property
    def entries(self) -> list[Resource]:
        """The entries of the transaction; none for a lone DocumentReference."""
        return [] if self.simplified else objects(self.whole, "entry")

    def references(self, server_id: str = "") -> tuple[Reference, ...]:
        """Name the document as the receiver knows it: unique id, its own id, the submission, the hash."""
        found = [Reference(ReferenceKind.UNIQUE_ID, unique_id(self.document))]
        if server_id:
            found.append(Reference(ReferenceKind.ENTRY_UUID, server_id))
        for entry in self.entries:
            resource = entry.get("resource")
            if kind(resource) == "List" and isinstance(resource, dict):
                found += [
                    Reference(ReferenceKind.SUBMISSION_ID, text(one, "value"))
                    for one in objects(resource, "identifier")[:1]
                    if text(one, "value")
                ]
        if self.file is not None:
            found.append(Reference(ReferenceKind.HASH, sha1(self.file, usedforsecurity=False).hexdigest()))
        return tuple(found)

    def body(self, version: str | None, former: str | None, *, supersede_inside: bool, as_new: bool = False) -> bytes:
        """Give the bytes to post: the Parcel's own, unless the server's id of the former document or a version goes in.

        `former` is the id of the DocumentReference that is replaced, at the receiver. `supersede_inside` leaves the
        PATCH of the former in the transaction, else it is taken out. `as_new` takes out that it replaces anything.
        """
        patches = [one for one in self.entries if text(one, "request", "method") == "PATCH"]
        if version is None and former is None and not as_new and (supersede_inside or not patches):
            return self.content
        whole: Resource = orjson.loads(self.content)
        document = whole if self.simplified else _document_of(whole)
        if as_new:
            others: list[Json] = [one for one in objects(document, "relatesTo") if text(one, "code") != "replaces"]
            document["relatesTo"] = others
            if not others:
                del document["relatesTo"]
        if former is not None:
            for target in replaced_by(document):
                target["reference"] = f"DocumentReference/{former}"
        if version is not None:
            _name_versions(whole, version)
        if not self.simplified:
            entries: list[Json] = []
            for entry in objects(whole, "entry"):
                request = entry.get("request")
                if isinstance(request, dict) and request.get("method") == "PATCH":
                    if not supersede_inside:
                        continue
                    if former is not None:
                        request["url"] = f"DocumentReference/{former}"
                entries.append(entry)
            whole["entry"] = entries
        return orjson.dumps(whole)


def read_submission(content: bytes) -> Submission:
    """Read a Parcel. Raises NotASubmission with a sentence for what is not one document in one of the two forms."""
    whole = parsed(content)
    if whole is None:
        raise NotASubmission("the content is not FHIR in JSON")
    if kind(whole) == "DocumentReference":
        document = whole
    elif kind(whole) == "Bundle" and text(whole, "type") == "transaction":
        document = _document_of(whole)
    else:
        raise NotASubmission('the content is neither a transaction nor a DocumentReference: set format = "pdsm"')
    if master_identifier(document) is None:
        raise NotASubmission("the document has no masterIdentifier")
    return Submission(content, whole, document, _file(whole, document))


def guard(submission: Submission, largest: int, *, require_qualified: bool) -> tuple[list[Finding], bool]:
    """List why it may not leave, and whether a person may send it all the same."""
    found: list[Finding] = []
    document = submission.document
    opposed = flagged(document, systems.OUR_EXT + systems.NOT_TO_BE_SHARED)
    if opposed:
        found.append(_held("pdsm.patient.opposed", "the patient does not want this document to be shared"))
    if require_qualified and not _qualified(document):
        found.append(_held("pdsm.identity.unqualified", "the patient has no qualified INS"))
    if submission.intent is Intent.PUBLISH:
        found += _file_findings(submission, largest)
    return found, not opposed


def _file_findings(submission: Submission, largest: int) -> list[Finding]:
    form = next(attachments(submission.document), None)
    if form is None or not submission.file:
        return [_held("pdsm.document.empty", "the document has no content")]
    if len(submission.file) > largest:
        return [_held("pdsm.document.too_large", f"the document is longer than {largest} bytes (max_document)")]
    wrong = mismatch(form, submission.file)
    if wrong is not None:
        return [_held(f"pdsm.document.{wrong}", f"the document's bytes are not those that its {wrong} was made of")]
    return []


def _held(code: str, message: str) -> Finding:
    return Finding(severity=Severity.ERROR, code=code, where="DocumentReference", message=message)


def _qualified(document: Resource) -> bool:
    """Say whether a contained patient bears an INS: writers give one to qualified identities only."""
    return any(
        ins_authority(text(one, "system")) is not None and not _billing(one)
        for patient in objects(document, "contained")
        if kind(patient) == "Patient"
        for one in objects(patient, "identifier")
    )


def _billing(identifier: Resource) -> bool:
    """Say whether an identifier under an INS OID is the number of an insured person, not an INS."""
    return any(text(one, "code") in NOT_AN_INS for one in objects(identifier, "type", "coding"))


def _document_of(bundle: Resource) -> Resource:
    found = [
        resource
        for entry in objects(bundle, "entry")
        if isinstance(resource := entry.get("resource"), dict) and kind(resource) == "DocumentReference"
    ]
    if len(found) != 1:
        raise NotASubmission(f"a submission holds one DocumentReference, not {len(found)}")
    return found[0]


def _file(whole: Resource, document: Resource) -> bytes | None:
    form = next(attachments(document), None)
    if form is None:
        return None
    if text(form, "data"):
        return decoded(text(form, "data"))
    url = text(form, "url")
    for entry in objects(whole, "entry"):
        resource = entry.get("resource")
        if url and text(entry, "fullUrl") == url and kind(resource) == "Binary":
            return decoded(text(resource, "data"))
    return None


def _name_versions(node: Json, version: str) -> None:
    """Add the version to each PDSm profile that is named."""
    if isinstance(node, dict):
        meta = node.get("meta")
        profiles = meta.get("profile") if isinstance(meta, dict) else None
        if isinstance(meta, dict) and isinstance(profiles, list):
            meta["profile"] = [
                f"{one}|{version}" if isinstance(one, str) and one.startswith(systems.PDSM) and "|" not in one else one
                for one in profiles
            ]
        for value in node.values():
            _name_versions(value, version)
    elif isinstance(node, list):
        for value in node:
            _name_versions(value, version)
