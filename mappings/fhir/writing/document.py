"""A document: DocumentReference with its file, after the French document-sharing guide (PDSm).

A partner's option `document` says in which form:

    inline            a transaction Bundle: DocumentReference with the file in it, the patient beside it (default)
    pdsm              PDSm comprehensive (ITI-65): SubmissionSet (List), DocumentReference, Binary
    pdsm-simplified   PDSm simplified (ITI-105): a DocumentReference alone, with the file in it

The option `document_source_id` is the OID that names this router as the source of submissions (ihe-sourceId).
"""

from __future__ import annotations

from mappings.contracts import FormatError
from mappings.fhir import systems
from mappings.fhir.writing.actors import professional, put_recipients, put_sender
from mappings.fhir.writing.bundle import BundleBuilder, Resource, token
from mappings.fhir.writing.datatypes import (
    coding,
    concept,
    extend,
    extension,
    identifier,
    put_date_time,
    put_instant,
    usable,
)
from mappings.fhir.writing.document_actors import put_actors, put_participants
from mappings.fhir.writing.files import attachment
from mappings.fhir.writing.patient import patient
from mappings.fhir.writing.submission import Subject, Submission
from schemas.coding import Coding
from schemas.document import Document, DocumentOperation
from schemas.item import DocumentItem

FORMS = ("inline", "pdsm", "pdsm-simplified")
_DOC_STATUS = {
    "AU": "final",
    "LA": "final",
    "DI": "preliminary",
    "DO": "preliminary",
    "IN": "preliminary",
    "IP": "preliminary",
    "PA": "preliminary",
}
_FHIR_DOC_STATUS = frozenset({"preliminary", "final", "amended", "entered-in-error"})
_MASKED = Coding(system=systems.VISIBILITY, code="MASQUE_PS")
_HIDDEN = Coding(system=systems.VISIBILITY, code="INVISIBLE_PATIENT")
_HIDDEN_REPRESENTATIVES = Coding(system=systems.VISIBILITY, code="INVISIBLE_REPRESENTANTS_LEGAUX")


def write_document(builder: BundleBuilder, item: DocumentItem) -> bytes:
    """Write the DocumentReference and what it mentions, in the form that the partner wants; gives the content.

    Raises FormatError `fhir.option` for a form that there is not.
    """
    form = builder.context.options.get("document", FORMS[0])
    if form not in FORMS:
        raise FormatError("fhir.option", "document", f"the option document is one of {', '.join(FORMS)}")
    if form in FORMS[1:]:
        builder.self_contained = True
        submission = Submission(builder, item, simplified=form == "pdsm-simplified")
        out = _reference(builder, item, submission.subject)
        _put_sharing_wishes(out, item.content)
        return submission.finish(out)
    out = _reference(builder, item, lambda _: patient(builder, item.patient, item.id))
    if item.author is not None:
        who = professional(builder, item.author, out)
        if who:
            extend(out, extension("submitter", "valueReference", who))
    number = item.content.document_id
    key = token(*systems.document_number_out(number, builder.sender)) if number else None
    builder.put(out, f"document|{builder.sender}|{key or item.id}", key)
    return builder.finish()


def _reference(builder: BundleBuilder, item: DocumentItem, subject: Subject) -> Resource:
    """Build the DocumentReference."""
    document = item.content
    out: Resource = {"resourceType": "DocumentReference"}
    if document.document_id:
        system, value = systems.document_number_out(document.document_id, builder.sender)
        out["masterIdentifier"] = {"system": system, "value": value}
    deleted = document.operation is DocumentOperation.DELETE
    out["status"] = "entered-in-error" if deleted else "current"
    _put_doc_status(out, document.status)
    if document.type is not None:
        out["type"] = concept((document.type,), None, builder)
    if document.category is not None:
        out["category"] = [concept((document.category,), None, builder)]
    out["subject"] = subject(out)
    put_instant(out, "date", document.created_at, builder.zone)
    put_actors(out, builder, document)
    _put_relations(out, item, builder.sender)
    if document.title:
        out["description"] = document.title
    labels = _labels(document)
    if labels:
        out["securityLabel"] = [concept((label,), None, builder) for label in labels]
    out["content"] = _contents(builder, document)
    context = _context(builder, document)
    if context:
        out["context"] = context
    put_participants(out, builder, document)
    put_sender(builder, item.sender, document.custodian, out)
    put_recipients(builder, tuple(dict.fromkeys((*item.recipients, *document.recipients))), out)
    _put_extensions(out, builder, document)
    _say_what_stays(builder, document)
    return out


def _put_doc_status(out: Resource, status: str | None) -> None:
    if status is None:
        return
    known = status if status in _FHIR_DOC_STATUS else _DOC_STATUS.get(status)
    if known is not None:
        out["docStatus"] = known
    if known != status:
        extend(out, extension("document-status", "valueString", status))


def _put_relations(out: Resource, item: DocumentItem, sender: str) -> None:
    replaced = item.content.replaces_id
    if replaced:
        system, value = systems.document_number_out(replaced, sender)
        target = {"type": "DocumentReference", "identifier": {"system": system, "value": value}}
        out["relatesTo"] = [{"code": "replaces", "target": target}]
    operation = item.content.operation
    implied = DocumentOperation.REPLACE if replaced else DocumentOperation.CREATE
    if operation not in {implied, DocumentOperation.DELETE}:
        extend(out, extension("operation", "valueCode", operation.value))
    if item.replaces and item.replaces != replaced:
        extend(out, extension("replaces", "valueString", item.replaces))


def _labels(document: Document) -> list[Coding]:
    labels = list(document.confidentiality)
    wishes = document.wishes
    if wishes is not None:
        present = {label.code for label in labels}
        asked = (
            (wishes.masked_to_professionals, _MASKED),
            (wishes.hidden_from_patient, _HIDDEN),
            (wishes.hidden_from_representatives, _HIDDEN_REPRESENTATIVES),
        )
        labels.extend(label for wish, label in asked if wish and label.code not in present)
    return labels


def _contents(builder: BundleBuilder, document: Document) -> list[Resource]:
    contents: list[Resource] = []
    for file in document.attachments:
        form = attachment(builder, file, "content.attachments", hashed=True)
        if document.language:
            form["language"] = document.language
        content: Resource = {"attachment": form}
        if document.format is not None:
            content["format"] = coding(document.format, builder)
        contents.append(content)
    if not contents:
        nothing: Resource = {"title": document.title} if document.title else {"contentType": "application/octet-stream"}
        contents.append({"id": "none", "attachment": nothing})
        for field in ("language", "format"):
            if getattr(document, field):
                builder.not_carried(f"content.{field}", "a document without a file has no place for this")
    return contents


def _context(builder: BundleBuilder, document: Document) -> Resource:
    context: Resource = {}
    if document.visit is not None and usable((document.visit,)):
        context["encounter"] = [{"type": "Encounter", "identifier": identifier(document.visit, builder)}]
    if document.event_codes:
        context["event"] = [concept((code,), None, builder) for code in document.event_codes]
    period: Resource = {}
    put_date_time(period, "start", document.period_start, builder.zone)
    put_date_time(period, "end", document.period_end, builder.zone)
    if period:
        context["period"] = period
    if document.facility_type is not None:
        context["facilityType"] = concept((document.facility_type,), None, builder)
    if document.practice_setting is not None:
        context["practiceSetting"] = concept((document.practice_setting,), None, builder)
    related = []
    for code, kind, target, value in (
        ("PLAC", "order", "ServiceRequest", document.order_id),
        ("FILL", "report", "DiagnosticReport", document.report_id),
    ):
        if value:
            system = systems.number_system(None, kind, builder.sender)
            number = {"type": systems.type_concept(code), "system": system, "value": value}
            related.append({"type": target, "identifier": number})
    if related:
        context["related"] = related
    return context


def _put_extensions(out: Resource, builder: BundleBuilder, document: Document) -> None:
    """Write what DocumentReference has no element for: the series of versions, the kind of encounter, a comment."""
    if document.version is not None:
        extend(out, {"url": systems.DOCUMENT_VERSION, "valueString": str(document.version)})
    if document.set_id:
        extend(out, extension("set-id", "valueString", document.set_id))
    if document.encounter_type is not None:
        extend(out, extension("encounter-type", "valueCoding", coding(document.encounter_type, builder)))
    if document.comment:
        extend(out, extension("comment", "valueString", document.comment))


def _put_sharing_wishes(out: Resource, document: Document) -> None:
    """Write what whoever submits must know and no profile has a place for: an opposition, a change of visibility."""
    wishes = document.wishes
    if wishes is None:
        return
    if wishes.dmp is False:
        extend(out, extension(systems.NOT_TO_BE_SHARED, "valueBoolean", True))
    if wishes.update_visibility:
        extend(out, extension(systems.VISIBILITY_UPDATE, "valueBoolean", True))


def _say_what_stays(builder: BundleBuilder, document: Document) -> None:
    """Say which wishes about delivery FHIR has no place for: they are for who routes, not for who reads."""
    if document.wishes is not None:
        builder.not_carried("content.wishes", "the wishes about delivery are not part of a FHIR document")
    for field in ("reply_to", "mail_body_professionals", "mail_body_patient"):
        if getattr(document, field):
            builder.not_carried(f"content.{field}", "what concerns the covering mail is not part of a FHIR document")
