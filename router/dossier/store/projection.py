"""From what the journal knows to FHIR resources: an Item's, and the Patient's own. Pure but for large files.

The format `fhir` writes an Item as a transaction Bundle whose names derive from content; here that Bundle becomes the
dossier's own resources. Ids hold the patient's number, so that what two patients are said to have (a report's number
that a laboratory used twice) never meets; organisations and professionals are the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from mappings.contracts import Environment, FormatError, WriteContext
from mappings.fhir.systems import URI
from mappings.fhir.writing.bundle import BundleBuilder
from mappings.fhir.writing.item import write_item
from mappings.fhir.writing.patient import patient as write_patient
from router.dossier.classifying import entry_of
from router.dossier.store.drafts import Draft, Files, draft, name_id, patient_id
from router.dossier.store.elements import Json, Resource, child, children, loaded, said
from router.dossier.store.indexing import index
from router.dossier.store.parameters import OF_NOBODY, TYPES
from router.journal.blobs import BlobStore
from router.journal.sealing import Sealer
from schemas.identity import PatientIdentity
from schemas.item import Item

_OF_THEIR_OWN = frozenset({"Patient", "RelatedPerson"})
"""Types that an Item mentions beside what it is about: they keep their own category."""


class Facts(NamedTuple):
    """What the door looks at in everything that one Item makes."""

    category: str
    marks: int
    at: int
    author: int | None
    thing: int


@dataclass(frozen=True, slots=True)
class Means:
    """What a projection needs of the router."""

    sealer: Sealer
    blobs: BlobStore
    environment: Environment | None
    timezone: ZoneInfo


class CannotProject(Exception):
    """An Item that FHIR has no form for: a code and a sentence that quotes nothing."""


def project_item(item: Item, patient: int, received_at: int, means: Means, now: datetime) -> list[Draft]:
    """Give the resources that an Item makes in the dossier of a patient.

    What the door looks at is what the dossier's own entry of the Item says (`router.dossier.classifying`), so that a
    report and each of its results are seen, or hidden, together. Raises CannotProject.
    """
    entry = entry_of(item, means.sealer)
    if entry is None:
        raise CannotProject("this kind of item is nothing for a dossier")
    context = WriteContext(
        now=now, identity=item.id, timezone=means.timezone, environment=means.environment, options={"note": "cdl"}
    )
    try:
        content, _ = write_item(item, context)
    except FormatError as refused:
        raise CannotProject(f"{refused.code}: {refused.message}") from None
    bundle = loaded(content)
    at = received_at if entry.at is None else entry.at
    facts = Facts(entry.category.value, int(entry.marks), at, entry.author, entry.thing)
    return drafts_of(children(bundle, "entry"), patient, means, facts=facts)


def project_patient(identity: PatientIdentity, number: int, merged_into: int | None, means: Means) -> list[Draft]:
    """Give the Patient resource of a patient of the journal, and whom it mentions."""
    context = WriteContext(
        now=datetime.now(means.timezone), identity="", timezone=means.timezone, environment=means.environment
    )
    builder = BundleBuilder(context, "unknown")
    write_patient(builder, identity, f"patient-{number}")
    entries = children(loaded(builder.finish()), "entry")
    drafts = drafts_of(entries, number, means, itself=True)
    if merged_into is None:
        return drafts
    merged: Resource = {"resourceType": "Patient", "id": patient_id(number), "active": False}
    merged["link"] = [{"other": {"reference": f"Patient/{patient_id(merged_into)}"}, "type": "replaced-by"}]
    return [draft(means.sealer, merged, number)]


def drafts_of(
    entries: Sequence[Resource], patient: int, means: Means, *, itself: bool = False, facts: Facts | None = None
) -> list[Draft]:
    """Give the entries of a Bundle as resources of a patient's dossier; `itself` when the Patient is one of them."""
    names = {said(entry, "fullUrl"): _reference(entry, patient) for entry in entries}
    drafts: list[Draft] = []
    files = Files(means.sealer, means.blobs)
    for entry in entries:
        resource = child(entry, "resource")
        kind = said(resource, "resourceType")
        if resource is None or kind not in TYPES or (kind == "Patient" and not itself):
            continue
        found = renamed(resource, names)
        assert isinstance(found, dict)  # noqa: S101 - renaming keeps the shape
        found = {"resourceType": kind, "id": names[said(entry, "fullUrl")].partition("/")[2], **_own(found, entry)}
        whose = None if kind in OF_NOBODY else patient
        once = said(child(entry, "request"), "method") == "POST" and not itself
        indexed = index(means.sealer, found)
        if facts is not None and whose is not None and kind not in _OF_THEIR_OWN and not (once and kind == "Encounter"):
            indexed = replace(indexed, **facts._asdict())
        if whose is not None:
            files.detach(found, whose, indexed)
        drafts.append(draft(means.sealer, found, whose, once=once, indexed=indexed))
    return drafts + files.drafts


def _own(resource: Resource, entry: Resource) -> Resource:
    """Leave out the identifier that the entry gave itself for want of another: the dossier's ids do that."""
    url = said(entry, "fullUrl")
    numbers = [one for one in children(resource, "identifier") if not _is_own(one, url)]
    kept = {name: value for name, value in resource.items() if name not in {"resourceType", "id"}}
    if "identifier" in kept and isinstance(kept["identifier"], list):
        kept = {name: value for name, value in kept.items() if name != "identifier" or numbers}
        if numbers:
            kept["identifier"] = list[Json](numbers)
    return kept


def _is_own(identifier: Resource, url: str) -> bool:
    return said(identifier, "system") == URI and said(identifier, "value") == url


def _reference(entry: Resource, patient: int) -> str:
    """Give the reference under which the dossier keeps an entry: by its criterion, else by its name."""
    kind = said(child(entry, "resource"), "resourceType")
    if kind == "Patient":
        return f"Patient/{patient_id(patient)}"
    request = child(entry, "request")
    url = said(entry, "fullUrl")
    criterion = unquote(said(request, "ifNoneExist") or said(request, "url").partition("?")[2])
    named = criterion if criterion and not criterion.endswith(url) else url
    whose = "" if kind in OF_NOBODY else str(patient)
    return f"{kind}/{name_id('entry', whose, kind, named)}"


def renamed(node: Json, names: Mapping[str, str]) -> Json:
    """Give a copy in which references (and URLs of files) by those names are the new ones."""
    if isinstance(node, dict):
        return {
            key: names.get(value, value)
            if key in {"reference", "url"} and isinstance(value, str)
            else renamed(value, names)
            for key, value in node.items()
        }
    return [renamed(one, names) for one in node] if isinstance(node, list) else node


def copied(resource: Resource) -> Resource:
    """Give a copy of a resource that may be changed."""
    copy = renamed(resource, {})
    assert isinstance(copy, dict)  # noqa: S101 - renaming keeps the shape
    return copy
