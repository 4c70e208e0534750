"""The CDA inside a message: what its own header says completes what the message says of the document.

The message decides what it is there to say: the operation, the wishes, who sends and who shall get the document (never
the CDA's own recipients, fact sheet §6). The document decides what it is: type, title, dates, authors. Where both name
the document's id, type or replaced version, they must agree.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import NamedTuple

from lxml import etree

from mappings.contracts import FormatError
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.notebook import Notebook
from mappings.same_person import SamePerson, other_patient, same_person
from mappings.xml_source import parse_xml
from schemas.attachment import Attachment
from schemas.document import Document, DocumentOperation
from schemas.finding import Unread
from schemas.identity import PatientIdentity
from schemas.item import DocumentItem, LabReportItem
from schemas.lab import ResultStatus

_V3 = "{urn:hl7-org:v3}"
_OF_THE_MESSAGE = frozenset(
    {
        "operation",
        "replaces_id",
        "report_id",
        "wishes",
        "reply_to",
        "mail_body_professionals",
        "mail_body_patient",
        "recipients",
        "comment",
        "attachments",
    }
)
"""Fields that the message alone decides."""

_FIRST_OF_THE_MESSAGE = frozenset({"document_id", "status", "order_id", "visit"})
"""Fields of which the message knows more, when it says something."""

_MUST_AGREE = {"document_id": "id", "type": "type"}


class Carried(NamedTuple):
    """A CDA that was read: its patient, its document, its laboratory report if it is one, and what was left."""

    patient: PatientIdentity
    document: Document
    report: LabReportItem | None
    unread: tuple[Unread, ...]


def read_cda(notes: Notebook, obx: Segment, content: bytes) -> Carried | None:
    """Read the CDA of an OBX; None when it is none or is not even XML. What is wrong is a Finding."""
    from mappings.cda import FORMAT, is_cda  # imported late: most messages carry none

    place = obx.where(5, 5)
    if not is_cda(content):
        if "CISIS_CDA" in notes.message.header.raw(21):
            notes.warn("hl7v2.document.not_cda", place, "the file is said to be a CDA and is none")
        return None
    context = replace(notes.context, charset=None, filename=None, siblings={})
    try:
        reading = FORMAT.read(content, context)
    except FormatError as problem:
        notes.warn("hl7v2.document.cda", place, f"the CDA inside cannot be read ({problem.code})")
        return identified(content)
    for finding in reading.findings:
        where = f"{place} {finding.where}".strip()
        notes.findings.append(finding.model_copy(update={"where": where}))
    document = next(item for item in reading.items if isinstance(item, DocumentItem))
    report = next((item for item in reading.items if isinstance(item, LabReportItem)), None)
    unread = tuple(Unread(where=f"{place} {one.where}", text=one.text) for one in reading.unread)
    return Carried(document.patient, document.content, report, unread)


def identified(content: bytes) -> Carried | None:
    """Give the ids alone of a CDA that is XML and not a whole document: a deletion must name what it deletes."""
    try:
        root = parse_xml(content, code="cda")
    except FormatError:
        return None
    own = root.find(f"{_V3}id")
    parent = root.find(f"{_V3}relatedDocument[@typeCode='RPLC']/{_V3}parentDocument/{_V3}id")
    data = base64.b64encode(content).decode("ascii")
    document = Document(
        document_id=_number(own),
        replaces_id=_number(parent),
        attachments=(Attachment(media_type="text/xml", size=len(content), data=data),),
    )
    return Carried(PatientIdentity(), document, None, ())


def _number(node: etree._Element | None) -> str | None:
    root, extension = (node.get("root"), node.get("extension")) if node is not None else (None, None)
    return f"{root}^{extension}" if root and extension else root


def completed(notes: Notebook, said: Document, cda: Document, obx: Segment) -> tuple[Document, frozenset[str]]:
    """Complete a document by its own header; the second value names what the message said and was not taken."""
    taken: dict[str, object] = {}
    unused: set[str] = set()
    for name in Document.model_fields:
        ours, own = getattr(said, name), getattr(cda, name)
        if name in _OF_THE_MESSAGE or not own or own == ours:
            continue
        if not ours:
            taken[name] = own
        elif name == "confidentiality":
            known = {code.code for code in own}
            taken[name] = (*own, *(code for code in ours if code.code not in known))
        elif name not in _FIRST_OF_THE_MESSAGE:
            taken[name] = own
            unused.add(name)
    if said.operation is DocumentOperation.REPLACE and not said.replaces_id:
        taken["replaces_id"] = cda.replaces_id
    for name, word in _MUST_AGREE.items():
        if _differ(getattr(said, name), getattr(cda, name)):
            notes.warn(f"hl7v2.document.{word}", obx.where(5), f"message and CDA do not agree on the document's {word}")
    if said.replaces_id and _differ(said.replaces_id, cda.replaces_id):
        notes.warn("hl7v2.document.replaces", obx.where(5), "message and CDA do not agree on the version replaced")
    return said.model_copy(update=taken), frozenset(unused)


def _differ(one: object, other: object) -> bool:
    return bool(one and other) and getattr(one, "code", one) != getattr(other, "code", other)


def check_patient(notes: Notebook, carried: Carried, patient: PatientIdentity, obx: Segment) -> None:
    """Raise the alarm when the CDA is about another person than the message."""
    if same_person(carried.patient, patient) is SamePerson.NO:
        notes.findings.append(other_patient(obx.where(5)))


def files_of(carried: Carried, title: str | None) -> tuple[Attachment, ...]:
    """Give the CDA itself, under the name that the message gives it, and the files in it."""
    whole, *inside = carried.document.attachments
    return (whole.model_copy(update={"title": whole.title or title}), *inside)


def reported(report: LabReportItem, document: Document) -> LabReportItem:
    """Give the laboratory report of a CDA the meaning of its message: a deletion retracts what was reported."""
    number = report.content.report_id
    match document.operation:
        case DocumentOperation.CREATE:
            return report
        case DocumentOperation.REPLACE:
            return report.model_copy(update={"replaces": report.replaces or number})
        case DocumentOperation.DELETE:
            retracted = report.content.model_copy(update={"status": ResultStatus.ENTERED_IN_ERROR})
            return report.model_copy(update={"replaces": number, "content": retracted})
