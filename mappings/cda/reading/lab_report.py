"""A CR-BIO, 2021.01 to 2024.01, to a canonical laboratory report (cda-fr §5, §8, mapping B)."""

from __future__ import annotations

from mappings.cda.oids import (
    CHAPTER,
    CLINICAL_INFORMATION_TITLE,
    COMMENT_SECTION,
    COMMENT_SECTION_CODE,
    COMMENT_TITLE,
    CONCLUSION_TITLE,
    CR_BIO,
    CR_BIO_CI_SIS,
    CR_BIO_CODE,
    PDF_COPY_CODE,
    PDF_COPY_SECTION,
    REASON_SECTION,
    REASON_SECTION_CODE,
    REPORT_TEXT_TITLE,
    SECOND_INTENTION_CODE,
    SECOND_INTENTION_SECTION,
    SUB_CHAPTER,
    identifier_of,
)
from mappings.cda.reading.chapters import Chapters
from mappings.cda.reading.header import Header
from mappings.cda.reading.narrative import plain_text
from mappings.cda.reading.node import Node
from mappings.cda.reading.report_status import status_of_report, without_status
from mappings.cda.reading.scribe import Scribe
from mappings.cda.reading.specimens import Specimens
from schemas.actors import Professional
from schemas.attachment import Attachment
from schemas.document import Document
from schemas.lab import LabChapter, LabReport, Specimen

_TITLES = {
    "": "comment",
    COMMENT_TITLE.casefold(): "comment",
    "commentaires": "comment",
    CONCLUSION_TITLE.casefold(): "conclusion",
    CLINICAL_INFORMATION_TITLE.casefold(): "reason",
    REPORT_TEXT_TITLE.casefold(): "text",
}
"""What a comment section is by its title; under any other title it is a comment that begins with it."""
_SECTIONS = {
    COMMENT_SECTION: "comment",
    PDF_COPY_SECTION: "copy",
    SECOND_INTENTION_SECTION: "copy",
    REASON_SECTION: "reason",
    CHAPTER: "chapter",
    SUB_CHAPTER: "chapter",
}
_CODES = {
    COMMENT_SECTION_CODE: "comment",
    PDF_COPY_CODE: "copy",
    SECOND_INTENTION_CODE: "copy",
    REASON_SECTION_CODE: "reason",
}


def is_lab_report(header: Header, body: Node | None) -> bool:
    """Tell a structured CR-BIO: by its template ids whatever their version, else by its type code and a chapter."""
    structured = body.first("structuredBody") if body is not None else None
    if structured is None:
        return False
    if CR_BIO in header.templates or CR_BIO_CI_SIS in header.templates:
        return True
    kind = header.document.type
    return (
        kind is not None
        and kind.code == CR_BIO_CODE
        and any(one.peek("root") == CHAPTER for section in _sections(structured) for one in section.all("templateId"))
    )


def lab_report_of(
    scribe: Scribe, document: Node, body: Node, header: Header, files: tuple[Attachment, ...]
) -> LabReport:
    """Read the whole report; sections that are neither chapters, comments, reason nor copies are left unread."""
    about = header.document
    specimens = Specimens()
    laboratory = about.performer_organization
    validator = _validator(about)
    reader = Chapters(scribe, specimens, laboratory, validator)
    chapters: list[LabChapter] = []
    said: dict[str, list[str]] = {"comment": [], "conclusion": [], "reason": [], "text": []}
    structured = body.first("structuredBody")
    for section in _sections(structured) if structured is not None else []:
        kind = _kind(section)
        if kind == "chapter":
            chapters.append(reader.of_section(section))
        elif kind in ("comment", "reason"):
            _narrate(section, kind, said)
        elif kind == "copy":
            _use_copy(section)
    if structured is not None and not chapters:
        scribe.notes.warning("cda.report.no_chapter", "structuredBody", "the report has no chapter with results")
    report_id, authority = _report_id(document, about)
    order = header.order
    status = status_of_report(header.event.status, chapters)
    return LabReport(
        report_id=report_id,
        report_authority=authority,
        document_id=about.document_id,
        replaces_document_id=about.replaces_id,
        version=about.version,
        order_id=order.value if order is not None else None,
        order_authority=order.system if order is not None else None,
        status=status,
        title=about.title,
        codes=header.codes,
        collected_at=_collected(about, specimens.found),
        received_at=about.period_start,
        issued_at=about.period_end or about.created_at,
        laboratory=laboratory,
        prescriber=_prescriber(about),
        validated_by=validator,
        visit=about.visit,
        clinical_information="\n".join(said["reason"]) or None,
        conclusion="\n".join(said["conclusion"]) or None,
        comment="\n".join(said["comment"]) or None,
        text="\n".join(said["text"]) or None,
        specimens=tuple(specimens.found),
        chapters=tuple(without_status(status, chapter) for chapter in chapters),
        attachments=files,
    )


def _sections(structured: Node) -> list[Node]:
    return [section for one in structured.all("component") if (section := one.first("section")) is not None]


def _kind(section: Node) -> str | None:
    """Say what a section of level 1 is, by its template ids, else by its code, else by what its entry is."""
    for one in section.all("templateId"):
        found = _SECTIONS.get(one.peek("root") or "")
        if found is not None:
            return found
    code = section.first("code")
    found = _CODES.get(code.peek("code") or "") if code is not None else None
    if found is not None:
        return found
    if any(_holds_results(one) for one in (section, *section.walk()) if one.name == "section"):
        return "chapter"
    return None


def _holds_results(section: Node) -> bool:
    act = section.first("entry", "act")
    return act is not None and any(
        one.first("observation") or one.first("organizer") for one in act.all("entryRelationship")
    )


def _narrate(section: Node, kind: str, said: dict[str, list[str]]) -> None:
    """Take a section that is a text: a comment under its own title, the conclusion, the reason of the analyses."""
    text, title, code = section.first("text"), section.first("title"), section.first("code")
    words = plain_text(text.element) if text is not None and text.element is not None else None
    if text is None or words is None:
        return
    text.use()
    for one in (code, section.first("id")):
        if one is not None:
            one.use()
    heading = (title.text if title is not None else None) or ""
    known = "reason" if kind == "reason" else _TITLES.get(heading.casefold())
    if known is None:
        said["comment"].append(f"{heading}\n{words}")
    else:
        said[known].append(words)


def _use_copy(section: Node) -> None:
    """Take a section that only holds a file: the file itself is an attachment."""
    for node in section.walk():
        if node.name != "observationMedia" and not any(one.name == "observationMedia" for one in node.children):
            node.use_own()


def _report_id(document: Node, about: Document) -> tuple[str | None, str | None]:
    """Give the report's identity across its versions: setId, else the document's own id."""
    node = document.first("setId") or document.first("id")
    root = node.get("root") if node is not None else None
    extension = node.get("extension") if node is not None else None
    if root is None:
        return about.document_id, None
    if not extension:
        return root, None
    found = identifier_of(root, extension)
    return found.value, found.system


def _validator(about: Document) -> Professional | None:
    """Give the validating biologist: the first authenticator, else the legal one."""
    for one in about.participants:
        if one.kind == "authenticator" and one.professional is not None:
            return one.professional
    return about.legal_authenticator


def _prescriber(about: Document) -> Professional | None:
    return next((one.professional for one in about.participants if one.kind == "REF" and one.professional), None)


def _collected(about: Document, specimens: list[Specimen]) -> str | None:
    """Give when the sampler of the header took the specimens, else the earliest time of collection of them."""
    sampled = next(
        (one.at for one in about.participants if one.kind == "PRF" and one.function and one.function.code == "PRELV"),
        None,
    )
    return sampled or min((one.collected_at for one in specimens if one.collected_at is not None), default=None)
