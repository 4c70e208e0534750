"""Any CI-SIS document into Items: a laboratory report where it is one, then the document itself."""

from __future__ import annotations

import base64
from typing import NamedTuple

from lxml import etree

from mappings.cda.oids import V3
from mappings.cda.reading.files import file_of, media_of
from mappings.cda.reading.header import Header, header_of
from mappings.cda.reading.lab_report import is_lab_report, lab_report_of
from mappings.cda.reading.leftover import unread_of
from mappings.cda.reading.narrative import Narrative
from mappings.cda.reading.node import Node, planted
from mappings.cda.reading.patient import patient_of
from mappings.cda.reading.scribe import Scribe
from mappings.cda.reading.source import open_source
from mappings.contracts import ReadContext, Reading, item_id
from mappings.notes import Notes
from schemas.attachment import Attachment
from schemas.document import Document
from schemas.finding import Finding, Unread
from schemas.identity import PatientIdentity
from schemas.item import DocumentItem, Item, LabReportItem, Provenance
from schemas.lab import LabReport

WHERE = "ClinicalDocument"
_BODY = frozenset({"component"})
_LEVEL_1 = f"{{{V3}}}component/{{{V3}}}nonXMLBody/{{{V3}}}text"


class HeaderReading(NamedTuple):
    """What a document's header says: whom it is about, its metadata (no attachments), what was noticed."""

    patient: PatientIdentity
    document: Document
    findings: tuple[Finding, ...]


def read_header(content: bytes, context: ReadContext) -> HeaderReading:
    """Read the header alone of a CDA that travels inside something else. Raises FormatError as `read` does."""
    notes = Notes()
    source = open_source(content, context.charset, notes)
    scribe = Scribe(context, notes, Narrative(source.document))
    node = planted(source.document, skip=_BODY)
    patient = patient_of(scribe, node)
    header = header_of(scribe, node, _body_type(source.document))
    return HeaderReading(_with_practitioner(patient, header.document), header.document, notes.findings)


def read(content: bytes, context: ReadContext) -> Reading:
    """Read a document.

    Raises FormatError when it is not XML (`cda.not_xml`, `cda.doctype`, `cda.too_large`, `cda.too_deep`), holds no
    ClinicalDocument (`cda.no_document`), or names no patient (`cda.patient.missing`). Everything else is a Finding.
    """
    notes = Notes()
    source = open_source(content, context.charset, notes)
    scribe = Scribe(context, notes, Narrative(source.document))
    node = planted(source.document)
    patient = patient_of(scribe, node)
    header = header_of(scribe, node, _body_type(source.document))
    patient = _with_practitioner(patient, header.document)
    body = node.first("component")
    files = _files(scribe, body) if body is not None else []
    if body is None:
        notes.warning("cda.body.missing", "component", "the document has no body")
    whole = Attachment(
        media_type="text/xml",
        title=header.document.title,
        filename=context.filename,
        size=len(content),
        data=base64.b64encode(content).decode("ascii"),
    )
    document = header.document.model_copy(update={"attachments": (whole, *files)})
    items: list[Item] = []
    ignored = frozenset({id(body)}) if body is not None else frozenset()
    if body is not None and is_lab_report(header, body):
        report = lab_report_of(scribe, node, body, header, tuple(files))
        items.append(_report_item(content, report, patient, header))
        ignored = frozenset()
    items.append(_document_item(content, len(items), document, patient, header))
    unread = tuple(Unread(where=where, text=text) for where, text in unread_of(node, ignored))
    kind = document.type
    return Reading(
        items=tuple(items),
        findings=notes.findings,
        unread=unread,
        control_id=document.document_id,
        message_type=f"CDA {kind.code}" if kind is not None else "CDA",
        charset=source.charset,
    )


def _body_type(document: etree._Element) -> str | None:
    body = document.find(_LEVEL_1)
    return (body.get("mediaType") or "text/plain").partition(";")[0].strip().lower() if body is not None else None


def _with_practitioner(patient: PatientIdentity, document: Document) -> PatientIdentity:
    """Say who the attending physician is (*médecin traitant*): the participant whose function is PCP."""
    for one in document.participants:
        if one.kind == "INF" and one.function is not None and one.function.code == "PCP" and one.professional:
            return patient.model_copy(update={"general_practitioner": one.professional})
    return patient


def _files(scribe: Scribe, body: Node) -> list[Attachment]:
    """Read the files of the body: at level 1 the body itself, else every embedded one."""
    text = body.first("nonXMLBody", "text")
    if text is not None:
        found = file_of(scribe, text, "component/nonXMLBody/text")
        return [found] if found is not None else []
    return media_of(scribe, body)


def _report_item(content: bytes, report: LabReport, patient: PatientIdentity, header: Header) -> LabReportItem:
    return LabReportItem(
        id=item_id(content, 0),
        occurred_at=report.collected_at or report.issued_at,
        replaces=report.report_id if report.replaces_document_id is not None else None,
        patient=patient,
        sender=header.sender,
        author=header.document.author,
        recipients=header.document.recipients,
        source=Provenance(format="cda", where=WHERE),
        content=report,
    )


def _document_item(
    content: bytes, ordinal: int, document: Document, patient: PatientIdentity, header: Header
) -> DocumentItem:
    return DocumentItem(
        id=item_id(content, ordinal),
        occurred_at=document.period_start or document.created_at,
        replaces=document.replaces_id,
        patient=patient,
        sender=header.sender,
        author=document.author,
        recipients=document.recipients,
        source=Provenance(format="cda", where=WHERE),
        content=document,
    )
