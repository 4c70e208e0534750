"""Documents from FHIR: DocumentReference, alone, in any Bundle, or in a submission after the French guide (PDSm)."""

from __future__ import annotations

from functools import partial

from mappings.fhir import systems
from mappings.fhir.reading.actors import read_organization, read_professional, read_recipients, read_sender
from mappings.fhir.reading.datatypes import read_coding, read_concept, read_identifier, read_one_code
from mappings.fhir.reading.document_actors import read_authors, read_participants, read_performer
from mappings.fhir.reading.files import attach, check_hash, read_attachment
from mappings.fhir.reading.patient import patient_of, read_patient
from mappings.fhir.reading.source import Entry, Source
from mappings.fhir.reading.submission import ASSUMED, compare_patients, forget_search, read_submission
from mappings.fhir.reading.taking import (
    Node,
    child,
    children,
    forget,
    said,
    take_extension,
    take_flag,
    take_moment,
    take_own_text,
    take_text,
)
from schemas.attachment import Attachment
from schemas.coding import Coding, Identifier
from schemas.document import Document, DocumentOperation, Wishes
from schemas.identity import PatientIdentity
from schemas.item import DocumentItem, Provenance


def read_document(entry: Entry, source: Source) -> DocumentItem:
    """Read a DocumentReference, with the submission set that it is in when there is one."""
    node = entry.resource
    entry.read = True
    context = child(node, "context") or {}
    patient = _subject(node, context, source, entry.where)
    document_id = _number(node)
    author, organization, others = read_authors(node, source)
    _forget_assumed(node, "category", "securityLabel")
    categories = [one for one in children(node, "category") if one]
    keeper = child(node, "custodian")
    assumed = keeper is not None and take_text(keeper, "id") == ASSUMED
    shown = read_organization(keeper, node, source)
    replaces_id, operation = _relation(node, source)
    period = child(context, "period") or {}
    if take_text(period, "id") == ASSUMED:
        forget(period, "start")
    attachments, file_format, language = _contents(node, source, entry.where)
    doc_status = take_text(node, "docStatus")
    performer, performer_organization = read_performer(node, source)
    version = take_extension(node, systems.DOCUMENT_VERSION)
    title = take_text(node, "description")
    document = Document(
        document_id=document_id,
        set_id=take_own_text(node, "set-id"),
        version=_whole_number(version),
        replaces_id=replaces_id,
        operation=operation,
        status=take_own_text(node, "document-status") or doc_status,
        type=read_one_code(child(node, "type"), source),
        category=read_one_code(categories[0], source) if categories else None,
        format=file_format,
        title=title or next((file.title for file in attachments if file.title), None),
        language=language,
        created_at=_created(node),
        author=author,
        author_organization=organization,
        author_role=_own_coding(node, "author-role", source),
        other_authors=others,
        legal_authenticator=read_professional(child(node, "authenticator"), node, source),
        custodian=None if assumed else shown,
        confidentiality=_labels(node, source),
        **_related(context),
        visit=_visit(context, node, source),
        event_codes=tuple(code for one in children(context, "event") for code in read_concept(one, source)[0]),
        performer=performer,
        performer_organization=performer_organization,
        practice_setting=read_one_code(child(context, "practiceSetting"), source),
        facility_type=read_one_code(child(context, "facilityType"), source),
        encounter_type=_own_coding(node, "encounter-type", source),
        participants=read_participants(node, source),
        period_start=take_moment(period, "start"),
        period_end=take_moment(period, "end"),
        comment=take_own_text(node, "comment"),
        wishes=_sharing_wishes(node),
        attachments=attachments,
    )
    submitter = take_extension(node, systems.OUR_EXT + "submitter")
    submitted_by = read_submission(entry, document, patient, source)
    given = take_own_text(node, "replaces") or replaces_id
    return DocumentItem(
        id="",
        occurred_at=document.created_at or document.period_start,
        replaces=given,
        patient=patient,
        sender=read_sender(node, shown, source),
        author=read_professional(child(submitter, "valueReference"), node, source) if submitter else submitted_by,
        recipients=read_recipients(node, source),
        content=document,
        source=Provenance(format="fhir", where=entry.where),
    )


def _subject(node: Node, context: Node, source: Source, where: str) -> PatientIdentity:
    """Read the patient: the subject, or as the source of the document knew him when the subject is elsewhere."""
    subject = child(node, "subject")
    named = source.find(subject, node)
    known = source.resolve(child(context, "sourcePatientInfo"), node)
    if known is None or known.kind != "Patient":
        return read_patient(subject, node, source, where)
    patient = patient_of(known, source)
    if named is None:
        if subject is not None:
            forget_search(subject, patient)
        return patient
    about = read_patient(subject, node, source, where)
    compare_patients(patient, about, where, source)
    return about


def _forget_assumed(node: Node, *names: str) -> None:
    """Empty the concepts that the writer assumed because a profile asks for them."""
    for name in names:
        for one in children(node, name):
            if said(one, "id") == ASSUMED:
                one.clear()


def _number(node: Node) -> str | None:
    """Read the document's own id: masterIdentifier, else the first identifier."""
    master = child(node, "masterIdentifier")
    if master is not None and take_text(master, "id") == ASSUMED:
        forget(master, "system", "value")
        return None
    for one in [*([master] if master is not None else []), *children(node, "identifier")]:
        system = said(one, "system") or None
        number = read_identifier(one)
        if number is not None:
            return systems.document_number_in(system, number.value)
    return None


def _created(node: Node) -> str | None:
    beside = child(node, "_date")
    if beside is not None and take_text(beside, "id") == ASSUMED:
        forget(node, "date")
    return take_moment(node, "date")


def _whole_number(extension: Node | None) -> int | None:
    text = said(extension, "valueString") if extension is not None else ""
    if extension is None or not (text.isascii() and text.isdigit() and len(text) < 10):
        return None
    forget(extension, "valueString")
    return int(text)


def _own_coding(node: Node, name: str, source: Source) -> Coding | None:
    found = take_extension(node, systems.OUR_EXT + name)
    given = child(found, "valueCoding") if found is not None else None
    return read_coding(given, source) if given is not None else None


def _sharing_wishes(node: Node) -> Wishes | None:
    """Read what our own writer says to who submits the document."""
    said_so = {}
    for name, wish in ((systems.NOT_TO_BE_SHARED, "dmp"), (systems.VISIBILITY_UPDATE, "update_visibility")):
        found = take_extension(node, systems.OUR_EXT + name)
        if found is not None and take_flag(found, "valueBoolean"):
            said_so[wish] = wish != "dmp"
    return Wishes(**said_so) if said_so else None


def _is_deleted(node: Node, status: str | None, source: Source) -> bool:
    """Say whether the document was taken back: its status, the guide's extension, or whoever brings it says so."""
    gone = take_extension(node, systems.PDSM + "pdsm-ext-is-deleted")
    flagged = take_flag(gone, "valueBoolean") if gone is not None else None
    tags = children(child(source.document, "meta") or {}, "tag")
    told = any(
        said(tag, "system") == systems.EVENT_TAG and said(tag, "code") == systems.DOCUMENT_DELETED for tag in tags
    )
    return status == "entered-in-error" or bool(flagged) or told


def _relation(node: Node, source: Source) -> tuple[str | None, DocumentOperation]:
    status = take_text(node, "status")
    replaced: str | None = None
    for one in children(node, "relatesTo"):
        target = child(one, "target") or {}
        logical = child(target, "identifier")
        if said(one, "code") == "replaces" and replaced is None:
            system = said(logical, "system") or None if logical else None
            number = read_identifier(logical) if logical else None
            replaced = systems.document_number_in(system, number.value) if number else take_text(target, "reference")
            forget(one, "code")
            forget(target, "type", "display")
            if number is not None:
                forget(target, "reference")
    if _is_deleted(node, status, source):
        return replaced, DocumentOperation.DELETE
    stated = take_own_text(node, "operation")
    if stated in {"create", "replace"}:
        return replaced, DocumentOperation(stated)
    return replaced, DocumentOperation.REPLACE if replaced else DocumentOperation.CREATE


def _contents(node: Node, source: Source, where: str) -> tuple[tuple[Attachment, ...], Coding | None, str | None]:
    files: list[Attachment] = []
    file_format: Coding | None = None
    language: str | None = None
    for rank, content in enumerate(children(node, "content")):
        form = child(content, "attachment") or {}
        if take_text(content, "id") == "none":
            forget(form, "title", "contentType")
            continue
        given = child(content, "format")
        if given is not None and file_format is None:
            file_format = read_coding(given, source)
        language = take_text(form, "language") or language
        if said(form, "creation") == said(node, "date"):
            forget(form, "creation")
        attach(form, node, source)
        check_hash(form, f"{where}.content[{rank}]", source)
        file = read_attachment(form)
        if file is not None:
            files.append(file)
    for content in children(node, "content")[1:]:
        given = child(content, "format")
        if given is not None and file_format is not None and said(given, "code") == file_format.code:
            forget(given, "system", "code", "display")
    return tuple(files), file_format, language


def _labels(node: Node, source: Source) -> tuple[Coding, ...]:
    return tuple(code for one in children(node, "securityLabel") for code in read_concept(one, source)[0])


def _related(context: Node) -> dict[str, object]:
    out: dict[str, object] = {}
    for one in children(context, "related"):
        logical = child(one, "identifier")
        field = {"ServiceRequest": "order_id", "DiagnosticReport": "report_id"}.get(said(one, "type"))
        number = read_identifier(logical) if logical is not None and field is not None else None
        if number is not None and field is not None:
            out.setdefault(field, number.value)
            forget(one, "type")
    return out


def _visit(context: Node, node: Node, source: Source) -> Identifier | None:
    for one in children(context, "encounter"):
        logical = child(one, "identifier")
        if logical is not None:
            forget(one, "type")
            return read_identifier(logical)
        entry = source.resolve(one, node)
        if entry is not None and entry.kind == "Encounter":
            for given in children(entry.resource, "identifier"):
                return source.once(entry, "visit", partial(read_identifier, given))
    return None
