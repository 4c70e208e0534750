"""ITI-41: a lot that is right in itself meets what the DMP holds already; all of it is kept, or nothing.

Replacement (RPLC) follows IHE and the CI-SIS: the target is approved and of the same patient, the CDA names it by
uniqueId, keeps its setId and takes the next version number; the target becomes Deprecated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from uuid import uuid4

from lxml import etree

from connectors.sandbox.dmp import names
from connectors.sandbox.dmp.facts import facts_of
from connectors.sandbox.dmp.lots import Content
from connectors.sandbox.dmp.metadata import (
    Association,
    Registered,
    Submission,
    alone,
    as_held,
    read_held,
    set_all,
    with_status,
)
from connectors.sandbox.dmp.names import clark
from connectors.sandbox.dmp.refusals import RegistryProblem, RegistryRefused
from connectors.sandbox.dmp.rules import Checks, Profile
from connectors.sandbox.dmp.store import DmpStore, HeldAssociation, HeldEntry, HeldLot, Owner, State
from connectors.sandbox.dmp.syntax import PatientKey, patient_key
from mappings.contracts import FormatError
from mappings.xml_source import parse_xml


@dataclass(frozen=True, slots=True)
class _Cda:
    """What a CDA says of itself."""

    id: str
    set_id: str
    version: str
    replaces: tuple[str, ...]


def register(
    store: DmpStore, submission: Submission, contents: Mapping[str, Content], owner: Owner, checks: Checks
) -> dict[str, str]:
    """Keep a lot; gives the UUID of each of its objects by the id that the message gave it.

    Raises RegistryRefused, and then nothing is kept.
    """
    lot = submission.lots[0]
    key = patient_key(lot.identifier(names.LOT_PATIENT))
    if key is None:
        # Only the profile `ihe` comes here: its patients have no INS, and are known by what the message calls them.
        key = PatientKey(lot.identifier(names.LOT_PATIENT), "")
    cdas = {entry.id: _cda(contents[entry.id], entry) for entry in submission.entries}
    with store.writing():
        problems = [
            *_patient_problems(store, key, checks),
            *_duplicates(store, submission, contents),
            *_replacements(store, submission, key, cdas, checks),
            *(_identities(submission, cdas) if checks.cda_identity else ()),
        ]
        if problems:
            raise RegistryRefused(problems)
        return _kept(store, submission, contents, key, owner)


def _patient_problems(store: DmpStore, key: PatientKey, checks: Checks) -> Iterator[RegistryProblem]:
    if checks.profile is Profile.IHE:
        return
    patient = store.patient(key)
    if patient is None or patient.state is State.OPPOSED:
        yield RegistryProblem("XDSUnknownPatientId", "the patient has no DMP")
    elif patient.state is State.CLOSED:
        yield RegistryProblem("XDSUnknownPatientId", "the patient's DMP is closed")


def _duplicates(store: DmpStore, submission: Submission, contents: Mapping[str, Content]) -> Iterator[RegistryProblem]:
    unique_id = submission.lots[0].identifier(names.LOT_UNIQUE_ID)
    if store.lots_by(unique_ids=[unique_id]):
        yield RegistryProblem("XDSDuplicateUniqueIdInRegistry", f"uniqueId={unique_id}", submission.lots[0].id)
    for entry in submission.entries:
        unique_id = entry.identifier(names.ENTRY_UNIQUE_ID)
        held = store.digest(unique_id)
        if held is None:
            continue
        code = "XDSDuplicateUniqueIdInRegistry" if held == contents[entry.id].sha1 else "XDSNonIdenticalHash"
        yield RegistryProblem(code, f"uniqueId={unique_id}", entry.id)


def _replacements(
    store: DmpStore,
    submission: Submission,
    key: PatientKey,
    cdas: Mapping[str, _Cda | None],
    checks: Checks,
) -> Iterator[RegistryProblem]:
    for one in submission.associations:
        if one.type != names.REPLACES:
            continue
        found = store.entries_by(uuids=[one.target])
        if not found:
            yield RegistryProblem("UnresolvedReferenceException", "the replaced document is not known", one.target)
            continue
        target = found[0]
        if target.patient != key:
            yield RegistryProblem("XDSReplaceFailed", "the replaced document is of another patient", one.target)
        elif target.status == names.DEPRECATED:
            sentence = "the replaced document is Deprecated"
            yield RegistryProblem("XDSRegistryDeprecatedDocumentError", sentence, one.target)
        elif target.status != names.APPROVED:
            yield RegistryProblem("XDSReplaceFailed", "the replaced document is not Approved", one.target)
        elif checks.cda_identity:
            yield from _versions(store, target, cdas.get(one.source), one)


def _versions(
    store: DmpStore, target: HeldEntry, cda: _Cda | None, association: Association
) -> Iterator[RegistryProblem]:
    if cda is None:
        return
    if target.unique_id not in cda.replaces:
        sentence = "the CDA's relatedDocument RPLC does not name the uniqueId of the replaced document"
        yield RegistryProblem("XDSReplaceFailed", sentence, association.source)
    old = _read_cda(b"".join(store.chunks(target.unique_id)))
    if old is None:
        return
    if old.set_id != cda.set_id:
        yield RegistryProblem("XDSReplaceFailed", "the CDA's setId is not that of the replaced one", association.source)
    if old.version.isdecimal() and cda.version != str(int(old.version) + 1):
        sentence = "the CDA's versionNumber is not the next one of the replaced document"
        yield RegistryProblem("XDSReplaceFailed", sentence, association.source)


def _identities(submission: Submission, cdas: Mapping[str, _Cda | None]) -> Iterator[RegistryProblem]:
    for entry in submission.entries:
        cda = cdas[entry.id]
        if cda is not None and cda.id != entry.identifier(names.ENTRY_UNIQUE_ID):
            yield RegistryProblem(
                "XDSRepositoryMetadataError", "the CDA's id is not the uniqueId of its entry", entry.id
            )


def _cda(content: Content, entry: Registered) -> _Cda | None:
    return _read_cda(content.read()) if "xml" in entry.element.get("mimeType", "") else None


def _read_cda(content: bytes) -> _Cda | None:
    try:
        root = parse_xml(content, code="sandbox")
    except FormatError:
        # Not XML: no CDA to look at. What a document must be is not the registry's question.
        return None
    if root.tag != clark(names.HL7, "ClinicalDocument") or root.find(clark(names.HL7, "id")) is None:
        return None
    parents = (
        _instance(parent.find(clark(names.HL7, "id")))
        for related in root.findall(clark(names.HL7, "relatedDocument"))
        if related.get("typeCode") == "RPLC"
        for parent in related.findall(clark(names.HL7, "parentDocument"))
    )
    version = root.find(clark(names.HL7, "versionNumber"))
    return _Cda(
        _instance(root.find(clark(names.HL7, "id"))),
        _instance(root.find(clark(names.HL7, "setId"))),
        "" if version is None else version.get("value", ""),
        tuple(parents),
    )


def _instance(element: etree._Element | None) -> str:
    if element is None:
        return ""
    root, extension = element.get("root", ""), element.get("extension")
    return f"{root}^{extension}" if extension else root


def _kept(
    store: DmpStore, submission: Submission, contents: Mapping[str, Content], key: PatientKey, owner: Owner
) -> dict[str, str]:
    lot = submission.lots[0]
    objects: list[Registered | Association] = [lot, *submission.entries, *submission.associations]
    uuids = {one.id: f"urn:uuid:{uuid4()}" for one in objects}
    store.keep_lot(held_lot(lot, uuids[lot.id], key, owner))
    for entry in submission.entries:
        content, uuid = contents[entry.id], uuids[entry.id]
        unique_id = entry.identifier(names.ENTRY_UNIQUE_ID)
        slots = {"hash": content.sha1, "size": str(content.size), "repositoryUniqueId": names.REPOSITORY_OID}
        xml = as_held(entry, uuid=uuid, lid=uuid, version=1, status=names.APPROVED, set_slots=slots)
        mime = entry.element.get("mimeType", "")
        facts = facts_of(entry)
        store.keep_entry(HeldEntry(uuid, uuid, 1, unique_id, key, names.APPROVED, owner, mime, facts, xml))
        store.keep_document(unique_id, content.file, content.size, content.sha1)
    for one in submission.associations:
        held = held_association(one, uuids)
        store.keep_association(held)
        if one.type == names.REPLACES:
            old = store.entries_by(uuids=[one.target])[0]
            store.keep_entry(replace(old, status=names.DEPRECATED, xml=with_status(old.xml, names.DEPRECATED)))
    return uuids


def held_lot(lot: Registered, uuid: str, key: PatientKey, owner: Owner) -> HeldLot:
    """Make the lot as the registry holds it."""
    xml = as_held(lot, uuid=uuid, lid=uuid, version=1, status=names.APPROVED, set_slots={})
    return HeldLot(uuid, lot.identifier(names.LOT_UNIQUE_ID), key, owner, facts_of(lot), xml)


def held_association(one: Association, uuids: Mapping[str, str]) -> HeldAssociation:
    """Make an association as the registry holds it: between UUIDs."""
    source, target = uuids.get(one.source, one.source), uuids.get(one.target, one.target)
    made = read_held(alone(one.element))
    set_all(made, id=uuids[one.id], lid=uuids[one.id], sourceObject=source, targetObject=target, status=names.APPROVED)
    return HeldAssociation(uuids[one.id], one.type, source, target, etree.tostring(made, encoding="unicode"))
