"""ITI-57: a new availability status (TD3.3c, d), or a new version of an entry with another confidentiality (TD3.3a, b).

Nothing else of an entry may change. A version that is written replaces the one that the caller saw, and no other:
`PreviousVersion` is compared in the transaction that writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

from connectors.sandbox.dmp import names
from connectors.sandbox.dmp.deposits import held_association, held_lot
from connectors.sandbox.dmp.facts import facts_of
from connectors.sandbox.dmp.metadata import (
    Association,
    Registered,
    Submission,
    as_held,
    read_entry,
    read_held,
    with_status,
)
from connectors.sandbox.dmp.queries import latest
from connectors.sandbox.dmp.refusals import RegistryRefused, refuse
from connectors.sandbox.dmp.rights import Right, may_touch
from connectors.sandbox.dmp.rules import ENTRY, LOT, Checks, problems_of
from connectors.sandbox.dmp.store import DmpStore, HeldEntry, State
from connectors.sandbox.dmp.syntax import PatientKey, patient_key
from connectors.sandbox.dmp.vihf import Caller

_TRANSITIONS = {
    (names.APPROVED, names.ARCHIVED): Right.ARCHIVE,
    (names.ARCHIVED, names.APPROVED): Right.ARCHIVE,
    (names.APPROVED, names.DELETED): Right.DELETE,
    (names.ARCHIVED, names.DELETED): Right.DELETE,
}
_PATIENT_SIDE = frozenset({names.HIDDEN_FROM_PATIENT, names.HIDDEN_FROM_REPRESENTATIVES})


@dataclass(frozen=True, slots=True)
class _Change:
    """What one association asks for, checked: the entry as it is and as it becomes."""

    association: Association
    before: HeldEntry
    after: HeldEntry


def update(store: DmpStore, submission: Submission, caller: Caller, checks: Checks) -> None:
    """Make the changes of one ITI-57 message, all or none. Raises RegistryRefused."""
    if len(submission.lots) != 1:
        raise refuse("XDSMetadataUpdateError", f"{len(submission.lots)} lots instead of one")
    lot = submission.lots[0]
    wrong = [one for one in problems_of(lot, LOT, checks) if not one.warning]
    for entry in submission.entries:
        wrong += [one for one in problems_of(entry, ENTRY, checks) if not one.warning]
    if wrong:
        raise RegistryRefused([replace(one, code="XDSMetadataUpdateError") for one in wrong])
    key = patient_key(lot.identifier(names.LOT_PATIENT))
    if key is None or (caller.patient is not None and key != caller.patient):
        raise refuse("XDSPatientIdDoesNotMatch", "the lot is of another patient than the VIHF", lot.id)
    with store.writing():
        changes = list(_changes(store, submission, key, caller))
        unique_id = lot.identifier(names.LOT_UNIQUE_ID)
        if store.lots_by(unique_ids=[unique_id]):
            raise refuse("XDSDuplicateUniqueIdInRegistry", f"uniqueId={unique_id}", lot.id)
        _keep(store, submission, key, caller, changes)


def _changes(store: DmpStore, submission: Submission, key: PatientKey, caller: Caller) -> Iterator[_Change]:
    patient = store.patient(key)
    if patient is None or patient.state is not State.ACTIVE:
        raise refuse("XDSUnknownPatientId", "the patient has no active DMP")
    entries = {entry.id: entry for entry in submission.entries}
    if not submission.associations:
        raise refuse("XDSMetadataUpdateError", "the lot asks for no change")
    if entries.keys() - {one.target for one in submission.associations}:
        raise refuse("XDSMetadataUpdateError", "an entry is the target of no association")
    for one in submission.associations:
        if one.source != submission.lots[0].id:
            raise refuse("XDSMetadataUpdateError", "an association does not begin at the lot", one.id)
        if one.type == names.UPDATE_STATUS:
            change, rights = _status(store, one)
        elif one.type == names.HAS_MEMBER and one.target in entries:
            change, rights = _version(store, one, entries[one.target])
        else:
            raise refuse("XDSMetadataUpdateOperationError", "an association asks for no update", one.id)
        if change.before.patient != key:
            raise refuse("XDSPatientIdDoesNotMatch", "the document is of another patient", one.id)
        for right in rights:
            allowed = may_touch(
                right, caller.profile, caller.access, caller.owner, change.before, emergency=patient.emergency
            )
            if not allowed:
                raise refuse("XDSMetadataUpdateError", f"DMPAccessDenied: {right} is not allowed to the caller", one.id)
        yield change


def _status(store: DmpStore, one: Association) -> tuple[_Change, list[Right]]:
    found = store.entries_by(uuids=[one.target])
    if not found:
        raise refuse("UnresolvedReferenceException", "the document to update is not known", one.target)
    before = found[0]
    old, new = (next(iter(one.slots.get(name, ())), "") for name in ("OriginalStatus", "NewStatus"))
    if old != before.status:
        raise refuse("XDSMetadataUpdateError", "OriginalStatus is not the status of the document", one.id)
    right = _TRANSITIONS.get((old, new))
    if right is None:
        raise refuse("XDSMetadataUpdateOperationError", "the document may not pass to that status", one.id)
    after = replace(before, status=new, xml=with_status(before.xml, new))
    return _Change(one, before, after), [right]


def _version(store: DmpStore, one: Association, entry: Registered) -> tuple[_Change, list[Right]]:
    lid = entry.element.get("lid", "")
    versions = latest(store.entries_by(lids=[lid]))
    if not versions:
        raise refuse("UnresolvedReferenceException", "no entry has this logical id (lid)", entry.id)
    before = versions[0]
    if one.slots.get("SubmissionSetStatus") != ("Original",):
        raise refuse("XDSMetadataUpdateError", "the HasMember association has no SubmissionSetStatus Original", one.id)
    if one.slots.get("PreviousVersion") != (str(before.version),):
        raise refuse("XDSMetadataVersionError", "PreviousVersion is not the version of the current entry", one.id)
    if before.status not in (names.APPROVED, names.ARCHIVED):
        raise refuse("XDSMetadataUpdateError", "the document is neither Approved nor Archived", one.id)
    held = read_entry(read_held(before.xml))
    if _fixed(entry) != _fixed(held):
        raise refuse("UnmodifiableMetadataError", "more than the confidentiality of the entry changes", entry.id)
    rights = _asked(_confidentiality(held), _confidentiality(entry), one)
    uuid = f"urn:uuid:{uuid4()}"
    slots = {name: before_value for name in ("hash", "size", "repositoryUniqueId") if (before_value := held.slot(name))}
    xml = as_held(entry, uuid=uuid, lid=lid, version=before.version + 1, status=before.status, set_slots=slots)
    after = replace(before, uuid=uuid, version=before.version + 1, facts=facts_of(entry), xml=xml)
    return _Change(one, before, after), rights


def _confidentiality(entry: Registered) -> frozenset[str]:
    return frozenset(one.code for one in entry.coded(names.CONFIDENTIALITY))


def _asked(before: frozenset[str], after: frozenset[str], one: Association) -> list[Right]:
    added, removed = after - before, before - after
    if not added and not removed:
        raise refuse("XDSMetadataUpdateError", "the confidentiality does not change", one.id)
    rights: list[Right] = []
    if names.MASKED in added:
        rights.append(Right.MASK)
    if names.MASKED in removed:
        rights.append(Right.UNMASK)
    if removed & _PATIENT_SIDE:
        rights.append(Right.SHOW_PATIENT)
    if added - {names.MASKED} or removed - _PATIENT_SIDE - {names.MASKED}:
        sentence = "a document can be masked, unmasked or made visible; it cannot be hidden from the patient later"
        raise refuse("XDSMetadataUpdateError", sentence, one.id)
    return rights


def _fixed(entry: Registered) -> tuple[object, ...]:
    """Give what an update must leave as it is. The server's own slots may be sent or left out, but not be others."""
    served = {"hash", "size", "repositoryUniqueId"}
    return (
        entry.element.get("mimeType"),
        entry.title,
        {name: sorted(values) for name, values in entry.slots.items() if name not in served},
        sorted(
            (one.scheme, one.code, one.coding_schemes, sorted(one.slots.items()))
            for one in entry.classifications
            if one.scheme != names.CONFIDENTIALITY
        ),
        {one.scheme: one.value for one in entry.identifiers if one.scheme != names.ENTRY_PATIENT},
        patient_key(entry.identifier(names.ENTRY_PATIENT)),
    )


def _keep(store: DmpStore, submission: Submission, key: PatientKey, caller: Caller, changes: list[_Change]) -> None:
    lot = submission.lots[0]
    objects: list[Registered | Association] = [lot, *submission.associations]
    uuids = {one.id: f"urn:uuid:{uuid4()}" for one in objects}
    uuids.update({change.association.target: change.after.uuid for change in changes})
    store.keep_lot(held_lot(lot, uuids[lot.id], key, caller.owner))
    for change in changes:
        if change.after.uuid != change.before.uuid:
            old = with_status(change.before.xml, names.DEPRECATED)
            store.keep_entry(replace(change.before, status=names.DEPRECATED, xml=old))
        store.keep_entry(change.after)
        store.keep_association(held_association(change.association, uuids))
