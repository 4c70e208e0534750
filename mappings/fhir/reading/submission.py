"""PDSm submission sets: who submitted a document, and what only serves the transaction."""

from __future__ import annotations

from mappings.fhir import systems
from mappings.fhir.reading.actors import read_professional
from mappings.fhir.reading.patient import patient_of
from mappings.fhir.reading.source import Entry, Source
from mappings.fhir.reading.taking import Node, child, children, forget, said, take_text
from mappings.fhir.writing.submission import ASSUMED, content_type
from mappings.same_person import SamePerson, other_patient, same_person
from schemas.actors import Professional
from schemas.document import Document
from schemas.identity import PatientIdentity

__all__ = ["ASSUMED", "compare_patients", "forget_search", "read_submission"]

_OF_THE_TRANSACTION = ("identifier", "status", "mode", "code", "date")


def read_submission(
    document: Entry, content: Document, patient: PatientIdentity, source: Source
) -> Professional | None:
    """Read who submitted this document, from the submission set that holds it.

    The kind of care of the set is what its document says of the encounter, else it stays unread.
    """
    _forget_superseding(content, source)
    for entry in source.of_kind("List"):
        node = entry.resource
        if not _is_submission(node) or not _holds(entry, document, source):
            continue
        entry.read = True
        forget(node, *_OF_THE_TRANSACTION)
        for member in children(node, "entry"):
            if source.find(child(member, "item"), node) is document:
                forget(child(member, "item") or {}, "reference", "type")
        _compare_patient(entry, patient, source)
        _forget_extensions(node, content)
        reference = child(node, "source")
        assumed = reference is not None and take_text(reference, "id") == ASSUMED
        submitter = read_professional(reference, node, source)
        return None if assumed else submitter
    return None


def _is_submission(node: Node) -> bool:
    codes = [said(one, "code") for one in children(child(node, "code") or {}, "coding")]
    return "submissionset" in codes


def _holds(entry: Entry, document: Entry, source: Source) -> bool:
    members = (child(one, "item") for one in children(entry.resource, "entry"))
    return any(source.find(member, entry.resource) is document for member in members)


def _compare_patient(entry: Entry, patient: PatientIdentity, source: Source) -> None:
    """Read the patients of the set, who must be the one that its document is about."""
    node = entry.resource
    subject = child(node, "subject")
    found = [source.resolve(subject, node)]
    found += [
        source.find({"reference": f"#{said(one, 'id')}"}, node)
        for one in children(node, "contained")
        if said(one, "resourceType") == "Patient"
    ]
    for one in found:
        if one is not None and one.kind == "Patient":
            compare_patients(patient_of(one, source), patient, entry.where, source)
    if subject is not None:
        forget_search(subject, patient)


def compare_patients(one: PatientIdentity, other: PatientIdentity, where: str, source: Source) -> None:
    """Say that a document is about somebody else than what carries it."""
    if same_person(one, other) is SamePerson.NO:
        source.findings.append(other_patient(where))


def forget_search(subject: Node, patient: PatientIdentity) -> None:
    """Drop a search for the patient whose criterion is one of his own numbers; another number stays unread."""
    numbers = {one.value for one in patient.identifiers} | ({patient.ins.matricule} if patient.ins else set())
    criterion = systems.searched_patient(said(subject, "reference"))
    if criterion is not None and criterion[1] in numbers:
        forget(subject, "reference", "type", "display")


def _forget_extensions(node: Node, content: Document) -> None:
    for one in children(node, "extension"):
        if said(one, "url") == systems.MHD + "ihe-sourceId":
            one.clear()
        elif said(one, "url") == systems.MHD + "ihe-designationType":
            codes = [said(code, "code") for code in children(child(one, "valueCodeableConcept") or {}, "coding")]
            if codes == [content_type(content)]:
                one.clear()
        elif said(one, "url") == systems.MHD + "ihe-sourcePatientId":
            one.clear()


def _forget_superseding(content: Document, source: Source) -> None:
    """Drop the patch that sets the replaced document to superseded: the replacement says it."""
    for entry in source.of_kind("Parameters"):
        if entry.method == "PATCH" and content.replaces_id and "superseded" in str(entry.resource.get("parameter")):
            entry.read = True
            forget(entry.resource, "parameter")
