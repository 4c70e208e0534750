"""The copy of the report as PDF, and images of results (cda-fr §5.1)."""

from __future__ import annotations

import base64

from mappings.cda.oids import LOINC_OID
from mappings.cda.writing.bench import Bench
from mappings.cda.writing.codes import named_oid
from mappings.cda.writing.level1 import bare_type
from mappings.cda.writing.narrative import Names, content
from mappings.cda.writing.pdf_a import note_conformance
from mappings.cda.writing.pdf_made import pdf_of
from mappings.french_time import write_day, write_moment
from mappings.hprim_medecin.render import render
from schemas.attachment import Attachment
from schemas.identity import PatientIdentity

_LOINC = f'codeSystem="{LOINC_OID}" codeSystemName="LOINC"'
IMAGES = frozenset({"image/png", "image/jpeg"})


def sorted_files(bench: Bench) -> tuple[list[Attachment], list[Attachment]]:
    """Part a report's files into PDF copies and images; others, and files without bytes, are Findings."""
    copies: list[Attachment] = []
    images: list[Attachment] = []
    for number, file in enumerate(bench.report.attachments, 1):
        where = f"attachments[{number}]"
        kind = bare_type(file)
        if not file.data:
            bench.case.notes.error("cda.write.no_bytes", where, "the bytes of a file are not at hand")
        elif kind == "application/pdf":
            note_conformance(file.data, where, bench.case.notes)
            copies.append(file)
        elif kind in IMAGES:
            images.append(file)
        else:
            bench.case.notes.error("cda.write.not_carried", where, "a CR-BIO carries PDF, PNG and JPEG files alone")
    return copies, images


def image_entries(images: list[Attachment], names: Names) -> str:
    """Write images as entries of the act that they belong to."""
    return "".join(
        f'<entryRelationship typeCode="COMP"><observationMedia classCode="OBS" moodCode="EVN" ID="{names.new("m")}">'
        '<templateId root="2.16.840.1.113883.10.12.304"/><templateId root="1.2.250.1.213.1.1.3.103"/>'
        f'<value mediaType="{bare_type(file)}" representation="B64">{file.data}</value>'
        "</observationMedia></entryRelationship>"
        for file in images
    )


def copy_section(bench: Bench, copies: list[Attachment], names: Names) -> str:
    """Write the section that holds the PDF of the report; one is made of the results when the sender gave none."""
    files = copies or [made_copy(bench)]
    rows, entries = [], []
    for rank, file in enumerate(files, 1):
        label, media = names.new("d"), names.new("m")
        shown = content(label, file.title or "Compte rendu en PDF")
        rows.append(f'<tr><td>{shown}</td><td><renderMultiMedia referencedObject="{media}"/></td></tr>')
        entries.append(_entry(bench, rank, label, media, file))
    return (
        '<component><section><templateId root="1.2.250.1.213.1.1.2.243"/>'
        f'<id root="{_own(bench, "copy")}"/><code code="55108-5" displayName="Copie du document" {_LOINC}/>'
        f"<title>Copie du document</title><text><table><tbody>{''.join(rows)}</tbody></table></text>"
        f"{''.join(entries)}</section></component>"
    )


def _own(bench: Bench, what: str) -> str:
    return named_oid(f"{what}|{bench.case.context.identity}")


def _entry(bench: Bench, rank: int, label: str, media: str, file: Attachment) -> str:
    return (
        '<entry><organizer classCode="CLUSTER" moodCode="EVN"><templateId root="1.2.250.1.213.1.1.3.18"/>'
        f'<id root="{_own(bench, f"file {rank}")}"/><code code="55107-7" displayName="Document attaché" {_LOINC}/>'
        '<statusCode code="completed"/><component><observation classCode="OBS" moodCode="EVN">'
        '<templateId root="1.3.6.1.4.1.19376.1.5.3.1.4.13"/><templateId root="1.2.250.1.213.1.1.3.48"/>'
        f'<templateId root="1.2.250.1.213.1.1.3.48.18"/><id root="{_own(bench, f"file type {rank}")}"/>'
        f'<code code="69764-9" displayName="Type de document" {_LOINC}/>'
        f'<text><reference value="#{label}"/></text><statusCode code="completed"/>'
        '<effectiveTime nullFlavor="NA"/>'
        f'<value xsi:type="CD" code="55108-5" displayName="Copie du document" {_LOINC}/></observation></component>'
        f'<component><observationMedia classCode="OBS" moodCode="EVN" ID="{media}">'
        f'<value mediaType="application/pdf" representation="B64">{file.data}</value></observationMedia>'
        "</component></organizer></entry>"
    )


def made_copy(bench: Bench) -> Attachment:
    """Make the PDF that a CR-BIO must have from the report's own text, else from its results; it is said."""
    case, report = bench.case, bench.report
    message = "the report came without a PDF: one was made of its text or results; it is not PDF/A"
    case.notes.warning("cda.write.pdf_made", "attachments", message)
    body = report.text.split("\n") if report.text else render(report, case.zone)
    made_at = case.now.astimezone(case.zone).isoformat(timespec="seconds")
    content_ = pdf_of("Compte rendu d'examens biologiques", [*_top(bench), "", *body], made_at)
    return Attachment(media_type="application/pdf", size=len(content_), data=base64.b64encode(content_).decode("ascii"))


def _top(bench: Bench) -> list[str]:
    """Write who and when, over the results."""
    case, report = bench.case, bench.report
    zone = case.zone
    laboratory = report.laboratory or case.item.sender
    lines = [laboratory.name if laboratory is not None and laboratory.name else "", "", *_patient(case.item.patient)]
    if case.item.patient.birth_date:
        lines.append(f"Né(e) le {write_day(case.item.patient.birth_date, zone)}")
    for words, moment in (("Prélèvement", report.collected_at), ("Compte rendu", report.issued_at)):
        if moment:
            lines.append(f"{words} : {write_moment(moment, zone)}")
    if report.report_id:
        lines.append(f"Dossier : {report.report_id}")
    return lines


def _patient(identity: PatientIdentity) -> list[str]:
    family = identity.birth_name or identity.family_name or identity.used_name or ""
    given = identity.first_given_name or identity.given_name or identity.used_given_name or ""
    used = identity.used_name if identity.used_name and identity.used_name != family else None
    return [f"{family} {given}".strip() + (f" (nom utilisé : {used})" if used else "")]
