"""Laboratory reports from FHIR: a DiagnosticReport with its Observations, or loose laboratory Observations."""

from __future__ import annotations

import base64
from functools import partial

from mappings.fhir import systems
from mappings.fhir.reading.actors import read_professional, read_recipients, read_sender, split_references
from mappings.fhir.reading.datatypes import read_concept, read_identifier, read_identifiers, read_note
from mappings.fhir.reading.files import read_attachment
from mappings.fhir.reading.observations import ObservationReader, has_value, hush_category, read_status
from mappings.fhir.reading.patient import read_patient
from mappings.fhir.reading.source import Entry, Source
from mappings.fhir.reading.taking import (
    Node,
    child,
    children,
    forget,
    said,
    take_extension,
    take_moment,
    take_own_text,
    take_text,
)
from schemas.actors import Professional
from schemas.attachment import Attachment
from schemas.coding import LOINC, Identifier
from schemas.item import LabReportItem, Provenance
from schemas.lab import LabChapter, LabReport, Observation


def read_report(entry: Entry, source: Source) -> LabReportItem:
    """Read a DiagnosticReport."""
    node = entry.resource
    entry.read = True
    results = ObservationReader(source)
    patient = read_patient(child(node, "subject"), node, source, entry.where)
    for one in children(node, "specimen"):
        results.specimen(one, node)
    codes, title = read_concept(child(node, "code"), source)
    if [(code.system, code.code, code.display) for code in codes] == [(LOINC, systems.LAB_REPORT_CODE, None)]:
        codes = ()
    hush_category(node)
    laboratory, author = split_references(children(node, "performer"), node, source)
    chapters = results.chapters(children(node, "result"), node)
    text, files = _presented(node)
    interpreters = children(node, "resultsInterpreter")
    note = take_extension(node, systems.REPORT_NOTE)
    received = take_extension(node, systems.OUR_EXT + "received")
    prescriber, clinical_information, order = _request(node, source)
    report = LabReport(
        **_numbers(node, order),
        status=read_status(node, source, entry.where),
        title=title,
        codes=codes,
        **_times(node),
        received_at=take_moment(received, "valueDateTime") if received else None,
        issued_at=take_moment(node, "issued"),
        laboratory=laboratory,
        prescriber=prescriber,
        validated_by=read_professional(interpreters[0], node, source) if interpreters else None,
        visit=_visit(node, source),
        clinical_information=clinical_information,
        conclusion=take_text(node, "conclusion"),
        comment=take_text(child(note, "valueAnnotation") or {}, "text") if note else None,
        text=text,
        specimens=tuple(results.specimens.values()),
        chapters=chapters,
        attachments=files,
    )
    return LabReportItem(
        id="",
        occurred_at=report.collected_at or report.issued_at,
        replaces=take_own_text(node, "replaces"),
        patient=patient,
        sender=read_sender(node, laboratory, source),
        author=author,
        recipients=read_recipients(node, source),
        content=report,
        source=Provenance(format="fhir", where=entry.where),
    )


def read_loose(entries: list[Entry], source: Source) -> LabReportItem:
    """Read Observations that no report gathers, all about one patient, as one report without a number."""
    first = entries[0]
    results = ObservationReader(source)
    patient = read_patient(child(first.resource, "subject"), first.resource, source, first.where)
    observations: list[Observation] = []
    chapters: list[LabChapter] = []
    for entry in entries:
        if id(entry.resource) in results.seen:
            continue
        if children(entry.resource, "hasMember") and not has_value(entry.resource):
            chapters.append(results.chapter(entry))
        else:
            observations.extend(results.observations(entry))
    if observations:
        chapters.insert(0, LabChapter(observations=tuple(observations)))
    moments = [one.effective_at for one in observations if one.effective_at]
    return LabReportItem(
        id="",
        occurred_at=max(moments, default=None),
        patient=patient,
        content=LabReport(specimens=tuple(results.specimens.values()), chapters=tuple(chapters)),
        source=Provenance(format="fhir", where=first.where),
    )


def _numbers(node: Node, order: Identifier | None) -> dict[str, str | None]:
    """Read the laboratory's number (FILL, or any other) and the prescriber's (PLAC, else the prescription's own)."""
    out: dict[str, str | None] = {}
    for one in children(node, "identifier"):
        kinds = {said(coding, "code") for coding in children(child(one, "type") or {}, "coding")}
        field = "order" if "PLAC" in kinds else "report"
        number = read_identifier(one) if f"{field}_id" not in out else None
        if number is not None:
            out[f"{field}_id"] = number.value
            out[f"{field}_authority"] = number.system
    if order is not None and "order_id" not in out:
        out["order_id"], out["order_authority"] = order.value, order.system
    return out


def _request(node: Node, source: Source) -> tuple[Professional | None, str | None, Identifier | None]:
    """Read the prescription that the report answers: who, why, and its number."""
    for one in children(node, "basedOn"):
        entry = source.resolve(one, node)
        if entry is not None and entry.kind == "ServiceRequest":
            return source.once(entry, "request", partial(_read_request, entry, source))
    return None, None, None


def _read_request(entry: Entry, source: Source) -> tuple[Professional | None, str | None, Identifier | None]:
    node = entry.resource
    forget(node, "status", "intent", "subject", "encounter")
    reason = read_note(node)
    for concept in children(node, "reasonCode"):
        codes, text = read_concept(concept, source)
        reason = reason or text or (codes[0].display if codes else None)
    numbers = read_identifiers(entry)
    return read_professional(child(node, "requester"), node, source), reason, numbers[0] if numbers else None


def _times(node: Node) -> dict[str, str | None]:
    period = child(node, "effectivePeriod")
    if period is not None:
        return {"collected_at": take_moment(period, "start"), "collected_until": take_moment(period, "end")}
    return {"collected_at": take_moment(node, "effectiveDateTime") or take_moment(node, "effectiveInstant")}


def _visit(node: Node, source: Source) -> Identifier | None:
    reference = child(node, "encounter")
    entry = source.resolve(reference, node)
    if entry is None:
        logical = child(reference, "identifier") if reference else None
        return read_identifier(logical) if logical else None
    if entry.kind != "Encounter":
        return None
    encounter = entry.resource
    forget(encounter, "subject")
    kind = child(encounter, "class") or {}
    if said(kind, "code") == "UNK":
        forget(kind, "system", "code")
    if said(encounter, "status") == "unknown":
        forget(encounter, "status")
    numbers = source.once(entry, "visit", lambda: read_identifiers(entry))
    return numbers[0] if numbers else None


def _presented(node: Node) -> tuple[str | None, tuple[Attachment, ...]]:
    """Read the readable report (plain text, when it is one) and the files."""
    text: str | None = None
    files: list[Attachment] = []
    for form in children(node, "presentedForm"):
        kind = take_text(form, "id")
        plain = said(form, "contentType").startswith("text/plain")
        if text is None and plain and kind in {None, "text"}:
            text = _decoded(form)
            if text is not None:
                forget(form, "contentType", "title", "language", "size", "hash")
                continue
        file = read_attachment(form)
        if file is not None:
            files.append(file)
    return text, tuple(files)


def _decoded(form: Node) -> str | None:
    try:
        text = base64.b64decode(said(form, "data")).decode("utf-8")
    except ValueError:
        return None
    forget(form, "data")
    return text or None
