"""One lot as a whole: a registry package, its documents and their entries, its signature, its associations.

`lot_problems` looks at the message alone; what the store must be asked (duplicates, replaced documents) is `deposits`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from connectors.sandbox.dmp import names, syntax
from connectors.sandbox.dmp.metadata import Association, Registered, Submission
from connectors.sandbox.dmp.refusals import RegistryProblem
from connectors.sandbox.dmp.rules import ENTRY, LOT, Checks, Profile, problems_of


@dataclass(slots=True)
class Content:
    """The bytes of a document, in a file of their own; `sha1` is hexadecimal."""

    file: BinaryIO
    size: int
    sha1: str

    def read(self) -> bytes:
        """Give all of it."""
        self.file.seek(0)
        return self.file.read()


def lot_problems(
    submission: Submission, contents: Mapping[str, Content], patient: syntax.PatientKey | None, checks: Checks
) -> Iterator[RegistryProblem]:
    """Say what a submission breaks; `contents` are the documents by id, `patient` is the one that the VIHF names."""
    if len(submission.lots) != 1:
        yield RegistryProblem("XDSRepositoryMetadataError", f"{len(submission.lots)} lots instead of one")
        return
    lot = submission.lots[0]
    if not any(one.node == names.LOT_NODE for one in lot.classifications):
        yield _wrong("the lot is not classified as a submission set", lot.id)
    yield from problems_of(lot, LOT, checks)
    for entry in submission.entries:
        if entry.element.get("objectType") != names.DOCUMENT_ENTRY:
            yield _wrong("an entry has another objectType than a stable document's", entry.id)
        if not entry.element.get("mimeType"):
            yield _wrong("an entry has no mimeType", entry.id)
        yield from problems_of(entry, ENTRY, checks)
    yield from _documents(submission, contents)
    yield from _patients(submission, patient, checks)
    yield from _unique(submission)
    yield from _associations(submission, lot, checks)


def _wrong(sentence: str, location: str = "") -> RegistryProblem:
    return RegistryProblem("XDSRegistryMetadataError", sentence, location)


def _documents(submission: Submission, contents: Mapping[str, Content]) -> Iterator[RegistryProblem]:
    described = {entry.id for entry in submission.entries}
    if not submission.entries:
        yield RegistryProblem("XDSMissingDocumentMetadata", "the lot has no document entry")
    for entry in submission.entries:
        content = contents.get(entry.id)
        if content is None:
            yield RegistryProblem("XDSMissingDocument", "an entry has no document of its id", entry.id)
            continue
        said, size = entry.slot("hash"), entry.slot("size")
        if said and not re.fullmatch(r"[0-9A-Fa-f]{40}", said):
            yield RegistryProblem("XDSRepositoryMetadataError", "slot hash is not a SHA-1 in hexadecimal", entry.id)
        elif said and said.lower() != content.sha1:
            yield RegistryProblem("XDSRepositoryMetadataError", "slot hash is not that of the document", entry.id)
        if size and size != str(content.size):
            yield RegistryProblem("XDSRepositoryMetadataError", "slot size is not that of the document", entry.id)
        if not content.size:
            yield RegistryProblem("XDSRepositoryMetadataError", "the document is empty", entry.id)
    for name in contents:
        if name not in described:
            yield RegistryProblem("XDSMissingDocumentMetadata", "a document has no entry of its id", name)


def _patients(submission: Submission, patient: syntax.PatientKey | None, checks: Checks) -> Iterator[RegistryProblem]:
    lot = submission.lots[0]
    said = lot.identifier(names.LOT_PATIENT)
    for entry in submission.entries:
        theirs = entry.identifier(names.ENTRY_PATIENT)
        same = (
            syntax.patient_key(theirs) == syntax.patient_key(said) if checks.profile is Profile.DMP else theirs == said
        )
        if not same:
            yield RegistryProblem("XDSPatientIdDoesNotMatch", "an entry is of another patient than its lot", entry.id)
    if patient is not None and syntax.patient_key(said) not in (None, patient):
        yield RegistryProblem("XDSPatientIdDoesNotMatch", "the lot is of another patient than the VIHF", lot.id)


def _unique(submission: Submission) -> Iterator[RegistryProblem]:
    ids = [submission.lots[0].identifier(names.LOT_UNIQUE_ID)]
    ids += [entry.identifier(names.ENTRY_UNIQUE_ID) for entry in submission.entries]
    for value, count in Counter(ids).items():
        if value and count > 1:
            sentence = f"uniqueId={value} stands {count} times in the message"
            yield RegistryProblem("XDSRepositoryDuplicateUniqueIdInMessage", sentence)
    objects: list[Registered | Association] = [*submission.lots, *submission.entries, *submission.associations]
    for name, count in Counter(one.id for one in objects).items():
        if count > 1 or not name:
            yield _wrong("an object's id is empty or stands more than once", name)


def _associations(submission: Submission, lot: Registered, checks: Checks) -> Iterator[RegistryProblem]:
    entries = {entry.id: entry for entry in submission.entries}
    members = Counter(one.target for one in submission.associations if one.type == names.HAS_MEMBER)
    for name in entries:
        if members[name] != 1:
            yield _wrong(f"{members[name]} HasMember association(s) to this entry, one expected", name)
    for one in submission.associations:
        if one.type == names.HAS_MEMBER:
            yield from _member(one, lot, entries)
        elif one.type == names.REPLACES:
            if one.source not in entries or entries[one.source].is_signature:
                yield _wrong("a RPLC association does not begin at a document of the lot", one.id)
        elif one.type == names.SIGNS:
            if one.source not in entries or not entries[one.source].is_signature or one.target != lot.id:
                yield _wrong("a signs association does not go from the signature to the lot", one.id)
        elif checks.profile is Profile.DMP:
            yield _wrong("an association has a type that the DMP does not take", one.id)
    if checks.profile is Profile.DMP:
        yield from _signature(submission)


def _member(one: Association, lot: Registered, entries: Mapping[str, Registered]) -> Iterator[RegistryProblem]:
    if one.source != lot.id:
        yield _wrong("a HasMember association does not begin at the lot", one.id)
    if one.target not in entries:
        yield RegistryProblem("UnresolvedReferenceException", "a HasMember association leads to no entry", one.id)
    if one.slots.get("SubmissionSetStatus") != ("Original",):
        yield _wrong("a HasMember association has no SubmissionSetStatus Original", one.id)


def _signature(submission: Submission) -> Iterator[RegistryProblem]:
    signatures = [entry for entry in submission.entries if entry.is_signature]
    if len(signatures) != 1:
        yield _wrong(f"{len(signatures)} signature entries (typeCode {names.SIGNATURE_TYPE}), one expected")
    if len(signatures) == len(submission.entries):
        yield RegistryProblem("XDSMissingDocumentMetadata", "the lot holds no document but its signature")
    signs = [one for one in submission.associations if one.type == names.SIGNS]
    if len(signs) != 1:
        yield _wrong(f"{len(signs)} signs associations, one expected")
    for entry in signatures:
        if [one.code for one in entry.coded(names.CLASS_CODE)] != [names.SIGNATURE_CLASS]:
            yield _wrong("the signature entry has another class than Digital Signature", entry.id)
        visible = {one.code for one in entry.coded(names.CONFIDENTIALITY)}
        if not {names.MASKED, names.HIDDEN_FROM_PATIENT} <= visible:
            yield _wrong("the signature entry is not masked and invisible to the patient", entry.id)
