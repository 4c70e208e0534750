"""A laboratory report as CR-BIO 2024.01 (cda-fr §2, §5): the header's facts, the sections, the copy as PDF."""

from __future__ import annotations

from collections.abc import Iterator

from mappings.cda.oids import (
    CLINICAL_INFORMATION_TITLE,
    COMMENT_TITLE,
    CONCLUSION_TITLE,
    CR_BIO,
    CR_BIO_CI_SIS,
    LOINC_OID,
    REPORT_TEXT_TITLE,
)
from mappings.cda.writing.bench import Bench
from mappings.cda.writing.blocks import act, block_status, specimen_number
from mappings.cda.writing.case import Case
from mappings.cda.writing.codes import attributes_of, named_oid
from mappings.cda.writing.header import Act, Subject, header
from mappings.cda.writing.markup import clean, element, escaped, templates
from mappings.cda.writing.narrative import Names, Page, lines
from mappings.cda.writing.pdf_copy import copy_section, image_entries, sorted_files
from mappings.cda.writing.results import UNDER_WAY
from mappings.contracts import WriteContext
from mappings.lab_status import observations_of
from mappings.notes import Notes
from schemas.coding import LOINC, Coding
from schemas.document import Document, Participant
from schemas.item import LabReportItem
from schemas.lab import LabChapter, LabReport, ResultStatus, Specimen

TITLE = "Compte rendu d'examens biologiques"
_TEMPLATES = f'{templates(CR_BIO)}<templateId root="{CR_BIO_CI_SIS}" extension="2024.01"/>'
_CHAPTER = ("1.3.6.1.4.1.19376.1.3.3.2.1", "1.2.250.1.213.1.1.2.70")
_SUB_CHAPTER = ("1.3.6.1.4.1.19376.1.3.3.2.2", "1.2.250.1.213.1.1.2.71")
_COMMENT = (
    templates("2.16.840.1.113883.10.12.201", "1.3.6.1.4.1.19376.1.4.1.2.16", "1.2.250.1.213.1.1.2.73"),
    f'<code code="55112-7" displayName="Commentaire" codeSystem="{LOINC_OID}" codeSystemName="LOINC"/>',
)
_PRELEVEUR = Coding(system="urn:oid:1.2.250.1.213.1.1.4.2.280", code="PRELV")


def write_lab_report(item: LabReportItem, context: WriteContext, notes: Notes) -> bytes:
    """Write the whole document."""
    report = item.content
    case = Case(item, _facts(item), context, notes)
    bench = Bench(case, report)
    bench.specimens = {one.id: specimen_number(bench, one) for one in report.specimens}
    chapters = report.chapters or (_empty_chapter(bench),)
    identity = named_oid(f"identity|{context.identity}")
    number = case.identifier(report.report_id, report.report_authority) if report.report_id else None
    if number is None:
        notes.warning("cda.write.missing", "setId", "the report has no number: its versions cannot be told to be one")
    order = case.identifier(report.order_id, report.order_authority) if report.order_id else None
    subject = Subject(
        templates=_TEMPLATES,
        numbers=case.numbers(identity, number),
        title=TITLE,
        acts=_acts(bench, chapters),
        order=order,
    )
    _note_losses(item, notes)
    body = "".join(_sections(bench, chapters))
    head = header(case, subject)
    return f"{head}<component><structuredBody>{body}</structuredBody></component></ClinicalDocument>\n".encode()


def _facts(item: LabReportItem) -> Document:
    """Say of the report what the header of any document says."""
    report = item.content
    collected = report.collected_at
    participants = []
    if report.validated_by is not None:
        obtained = max((one.issued_at for one in observations_of(report.chapters) if one.issued_at), default=None)
        participants.append(Participant(kind="authenticator", professional=report.validated_by, at=obtained))
    if report.prescriber is not None:
        participants.append(Participant(kind="REF", professional=report.prescriber))
    if collected is not None and collected != min(_collections(report.specimens), default=None):
        participants.append(Participant(kind="PRF", function=_PRELEVEUR, at=collected))
    return Document(
        document_id=report.document_id,
        version=report.version,
        replaces_id=report.replaces_document_id,
        title=TITLE,
        created_at=report.issued_at,
        author=item.author,
        legal_authenticator=report.validated_by,
        performer_organization=report.laboratory or item.sender,
        custodian=item.sender,
        visit=report.visit,
        participants=tuple(participants),
        period_start=report.received_at or collected,
        period_end=report.issued_at,
    )


def _collections(specimens: tuple[Specimen, ...]) -> Iterator[str]:
    return (one.collected_at for one in specimens if one.collected_at is not None)


def _empty_chapter(bench: Bench) -> LabChapter:
    """Make the one chapter that a CR-BIO must have, for a report without any."""
    bench.case.notes.info("cda.write.no_chapter", "chapters", "a report without results has one empty chapter")
    return LabChapter(title=bench.report.title)


def _acts(bench: Bench, chapters: tuple[LabChapter, ...]) -> list[Act]:
    """List the documented acts: one a chapter, the first with the status of the whole report."""
    report = bench.report
    under_way = report.status in UNDER_WAY
    if report.status in {ResultStatus.CANCELLED, ResultStatus.ENTERED_IN_ERROR}:
        status = "aborted"
    else:
        status = "active" if under_way else "completed"
    if report.status not in {ResultStatus.FINAL, ResultStatus.PARTIAL, ResultStatus.CANCELLED}:
        message = f"the status {report.status} of the report is written {status}"
        bench.case.notes.warning("cda.write.status", "report.status", message)
    if status == "completed" and any(block_status(chapter) == "active" for chapter in chapters):
        message = "the report is final and holds results that are not: its chapters are written as under way"
        bench.case.notes.warning("cda.write.status", "report.status", message)
    return [
        Act(tuple(one for one in chapter.codes if one.system == LOINC)[:1], chapter.title or TITLE, status)
        for chapter in chapters
    ]


def _sections(bench: Bench, chapters: tuple[LabChapter, ...]) -> Iterator[str]:
    report = bench.report
    names = Names()
    copies, images = sorted_files(bench)
    media = image_entries(images, names)
    named = {one.specimen for one in observations_of(chapters)}
    unnamed = tuple(one.id for one in report.specimens if one.id not in named)
    for rank, chapter in enumerate(chapters):
        files, rest = (media, unnamed) if rank == len(chapters) - 1 else ("", ())
        yield f"<component>{_chapter(bench, names, chapter, rest, files)}</component>"
    for title, text in (
        (CONCLUSION_TITLE, report.conclusion),
        (COMMENT_TITLE, report.comment),
        (CLINICAL_INFORMATION_TITLE, report.clinical_information),
        (REPORT_TEXT_TITLE, report.text),
    ):
        yield _comment(bench, title, text)
    yield copy_section(bench, copies, names)


def _comment(bench: Bench, title: str, text: str | None) -> str:
    if not text or not clean(text).strip():
        return ""
    identifier = f'<id root="{named_oid(f"{title}|{bench.case.context.identity}")}"/>'
    words = f"<text><paragraph>{lines(clean(text))}</paragraph></text>"
    return (
        f"<component><section>{_COMMENT[0]}{identifier}{_COMMENT[1]}<title>{title}</title>{words}</section></component>"
    )


def _chapter(bench: Bench, names: Names, chapter: LabChapter, unnamed: tuple[str, ...], media: str) -> str:
    """Write a chapter: sub-chapters where it only groups them, else one act with all that it holds.

    The last chapter also takes the specimens that no result names (`unnamed`), and the images.
    """
    if _only_groups(chapter) and not media and not unnamed:
        inner = "".join(
            f"<component>{_leaf(bench, names, one, (), '', _SUB_CHAPTER)}</component>" for one in chapter.chapters
        )
        return f"<section>{_head(chapter, _CHAPTER)}{inner}</section>"
    return _leaf(bench, names, chapter, unnamed, media, _CHAPTER)


def _only_groups(chapter: LabChapter) -> bool:
    """Tell a chapter that has nothing of its own but a name and chapters without isolates."""
    own = chapter.observations or chapter.comment or chapter.parent is not None
    return bool(chapter.chapters) and not own and all(one.system == LOINC for one in chapter.codes)


def _leaf(
    bench: Bench, names: Names, chapter: LabChapter, unnamed: tuple[str, ...], media: str, template: tuple[str, str]
) -> str:
    """Write a section with its narrative and its one entry, which says again each specimen that its results name."""
    page = Page(names)
    wanted = {*unnamed, *(one.specimen for one in observations_of((chapter,)))}
    taken = [one for one in bench.report.specimens if one.id in wanted]
    entry = act(bench, page, chapter, taken, media)
    return f"<section>{_head(chapter, template)}{page.text()}{entry}</section>"


def _head(chapter: LabChapter, template: tuple[str, str]) -> str:
    code = next((one for one in chapter.codes if one.system == LOINC), None)
    coded = f"<code{attributes_of(code, chapter.title)}/>" if code is not None else ""
    title = " ".join(clean(chapter.title).split()) if chapter.title else ""
    return f"{templates(*template)}{coded}{element('title', escaped(title))}"


def _note_losses(item: LabReportItem, notes: Notes) -> None:
    """Say what of the report has no place in a CR-BIO."""
    report: LabReport = item.content
    lost = {
        "report.title": report.title and report.title != TITLE,
        "report.codes": any(one.code != "11502-2" for one in report.codes),
        "report.collected_until": report.collected_until,
        "chapter.section": any(one.section for one in report.chapters),
        "item.replaces": item.replaces and report.replaces_document_id is None and item.replaces != report.report_id,
    }
    for where, found in lost.items():
        if found:
            notes.info("cda.write.not_carried", where, "a CR-BIO has no place for it")
