"""What the format `xds` wrote, opened again by the destination that sends it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha1

from connectors.contracts import Parcel, Reference, ReferenceKind
from connectors.dmp.signing import Signer
from connectors.dmp.xades import sign_submission
from mappings.contracts import FormatError
from mappings.notes import Notes
from mappings.xds import vocabulary
from mappings.xds.datatypes import read_cx, read_time
from mappings.xds.ebrim_reading import read_submission
from mappings.xds.guards import SLOT, read_guards
from mappings.xds.model import DocumentEntry, Submission, SubmissionSet
from mappings.xds.signature import is_signature
from mappings.xds.writing import METADATA, NAMED, OPERATION, UPDATE_STATUS, Operation
from mappings.xml_source import parse_xml
from schemas.finding import Finding
from schemas.identifiers import ins_authority
from schemas.identity import Ins

_OWN = frozenset({SLOT, OPERATION})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a parcel wants of the DMP.

    `former` is the uniqueId of what is replaced; `unique_id` that of the document, or of the one to change. `document`
    is empty for a change.
    """

    operation: Operation
    submission: Submission
    lot: SubmissionSet
    unique_id: str
    guards: tuple[Finding, ...]
    former: str | None = None
    document: bytes = field(default=b"", repr=False)

    @property
    def patient(self) -> str:
        """The patient's INS as a CX."""
        return self.lot.patient_id or ""

    @property
    def lot_id(self) -> str:
        """The uniqueId of the submission."""
        return self.lot.unique_id or ""

    @property
    def entry(self) -> DocumentEntry:
        """The metadata of the document."""
        return next(one for one in self.submission.entries if not is_signature(one))

    @property
    def digest(self) -> str:
        """The document's SHA-1, as XDS has it."""
        return sha1(self.document, usedforsecurity=False).hexdigest()

    def ins(self) -> Ins | None:
        """Read the patient's INS."""
        found = read_cx(self.patient)
        authority = ins_authority(found.system) if found is not None else None
        return Ins(matricule=found.value, oid=authority.oid) if found is not None and authority is not None else None

    def references(self, *entries: tuple[ReferenceKind, str]) -> tuple[Reference, ...]:
        """Give the names under which the DMP knows it."""
        named = [(ReferenceKind.UNIQUE_ID, self.unique_id), (ReferenceKind.SUBMISSION_ID, self.lot_id), *entries]
        if self.document:
            named.append((ReferenceKind.HASH, self.digest))
        return tuple(Reference(kind, value) for kind, value in named if value)


def read_parcel(parcel: Parcel) -> Wanted:
    """Open a parcel. Raises FormatError for what the format `xds` did not write."""
    alone = not parcel.attachments
    if not alone and set(parcel.attachments) != {METADATA}:
        raise FormatError("dmp.parcel", "attachments", "the DMP takes one document with its metadata, nothing beside")
    root = parse_xml(parcel.content if alone else parcel.attachments[METADATA], code="dmp.parcel", where=METADATA)
    whole = read_submission(root, Notes())
    lot, said = whole.submission_set, dict(whole.extra).get(OPERATION, ())
    try:
        operation = Operation(said[0] if said else "")
    except ValueError:
        raise FormatError("dmp.parcel", METADATA, "this was not written by the format xds") from None
    submission = replace(whole, extra=tuple(slot for slot in whole.extra if slot[0] not in _OWN))
    unique_id = _unique_id(operation, submission)
    if lot is None or not unique_id or alone is not (operation in (Operation.DELETE, Operation.VISIBILITY)):
        raise FormatError("dmp.parcel", METADATA, "this was not written by the format xds")
    former = next(
        (one.target.removeprefix(NAMED) for one in submission.associations if one.type == vocabulary.REPLACES), None
    )
    document = b"" if alone else parcel.content
    return Wanted(operation, submission, lot, unique_id, read_guards(whole.extra), former, document)


def _unique_id(operation: Operation, submission: Submission) -> str | None:
    if operation is Operation.DELETE:
        links = (one.target for one in submission.associations if one.type == UPDATE_STATUS)
        return next(links, "").removeprefix(NAMED)
    return next((one.unique_id for one in submission.entries if not is_signature(one)), None)


def related_to(submission: Submission, former_entry: str | None) -> Submission:
    """Name the replaced document by its entry UUID, which the registry wants; None leaves it out of the submission."""
    links = tuple(
        replace(one, target=former_entry) if former_entry is not None and one.type == vocabulary.REPLACES else one
        for one in submission.associations
        if one.type != vocabulary.REPLACES or former_entry is not None
    )
    return replace(submission, associations=links)


def documents_of(wanted: Wanted, signer: Signer | None, algorithm: str) -> dict[str, bytes]:
    """Give what travels beside the metadata, by entry UUID: the document, and the signature of the submission."""
    found = {wanted.entry.entry_uuid: wanted.document}
    signature = next((one for one in wanted.submission.entries if is_signature(one)), None)
    if signer is not None and signature is not None:
        at, _ = read_time(wanted.lot.submission_time or "")
        if at is None or "T" not in at:
            raise FormatError("dmp.parcel", METADATA, "the submission has no time")
        signed = {wanted.unique_id: wanted.document}
        found[signature.entry_uuid] = sign_submission(
            wanted.lot_id, signed, signer, datetime.fromisoformat(at), algorithm
        )
    return found


def unsigned(submission: Submission) -> Submission:
    """Take the signature's entry and its relations out, where lots are not signed."""
    gone = {one.entry_uuid for one in submission.entries if is_signature(one)}
    return replace(
        submission,
        entries=tuple(one for one in submission.entries if one.entry_uuid not in gone),
        associations=tuple(one for one in submission.associations if not gone & {one.source, one.target}),
    )
