"""Every laboratory report through every pair of formats: what one says, the next says, or a Finding names it.

A cell reads a report in the format of its row, writes it in the format of its column, and reads that. The clinical
views on both sides are equal but for what `LOSSES` lists for the column, each only when the writer's Findings name it;
and for what `BY_NATURE` lists, which a format has no way to say and its reader makes of the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from lab_strategies import PARIS, clinical_view, lab_items

from mappings.contracts import Environment, FormatError, ReadContext, Rendition, WriteContext, WriteRefused
from mappings.fhir.check import check_with_fhirclient
from mappings.registry import detect, format_named
from schemas.finding import Finding
from schemas.item import LabReportItem
from schemas.lab import ResultStatus

NAMES = ("canonical", "cda", "fhir", "hl7v2", "hprim-medecin", "hprim-sante")
CONTEXT = WriteContext(
    now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC),
    identity="MATRIX01",
    environment=Environment.TEST,
    options={"from": "bal@fictif.mssante.invalid", "to": "dr.fictif@test.mssante.invalid"},  # a mail has an address
)
WITHOUT_VALUE = (ResultStatus.CANCELLED, ResultStatus.REGISTERED, ResultStatus.UNKNOWN)


@dataclass(frozen=True)
class Loss:
    """A field of the view, what is left of it, and the word in a Finding (place or sentence) that names the loss."""

    field: str
    left: Callable[[dict], object]
    said: str

    def is_said(self, findings: tuple[Finding, ...]) -> bool:
        return any(self.said in (one.where, one.code) or self.said in one.message for one in findings)


def nothing(_: dict) -> None:
    return None


def no_codes(_: dict) -> frozenset:
    return frozenset()


def local_code(view: dict) -> object:
    """HPRIM Médecin has one code: the laboratory's own."""
    local = frozenset(one for one in view["codes"] if one[0] == "local")
    return local or view["codes"]


def one_line(view: dict) -> object:
    """HPRIM Médecin gives a result one line."""
    match view["value"]:
        case ("text", str(text)):
            return ("text", " ".join(text.split()))
    return view["value"]


def label_of_code(view: dict) -> object:
    """HPRIM Médecin gives a coded result as its text."""
    match view["value"]:
        case ("coded", _, text):
            return ("text", text)
    return view["value"]


def unknown(view: dict) -> object:
    return ResultStatus.UNKNOWN if view["value"] is None else view["status"]


def completed_or_aborted(view: dict) -> object:
    """CR-BIO: a result is `completed` or `aborted`, whatever else is to be said of it."""
    aborted = (ResultStatus.CANCELLED, ResultStatus.REGISTERED, ResultStatus.ENTERED_IN_ERROR)
    return ResultStatus.CANCELLED if view["status"] in aborted else ResultStatus.FINAL


def no_pdf(view: dict) -> object:
    """CR-BIO must hold a PDF: one is made for a report that has none, and is then read as its own."""
    return [file for file in view["attachments"] if file[0] != "application/pdf"]


def if_valued(field: str) -> Callable[[dict], object]:
    """HPRIM Médecin says in words that a result will not come, and has nothing else to say of it."""
    return lambda view: None if view["value"] is None else view[field]


def the_day(field: str) -> Callable[[dict], object]:
    def left(view: dict) -> object:
        moment = view[field]
        return moment.astimezone(PARIS).date().isoformat() if isinstance(moment, datetime) else moment

    return left


LOSSES: dict[str, tuple[Loss, ...]] = {
    "canonical": (),
    "cda": (
        Loss("observation.status", completed_or_aborted, "cda.write.status"),
        Loss("report.status", nothing, "cda.write.status"),
        Loss("report.attachments", no_pdf, "cda.write.pdf_made"),
    ),
    "mail": (
        Loss("observation.status", completed_or_aborted, "cda.write.status"),
        Loss("report.status", nothing, "cda.write.status"),
        Loss("report.attachments", no_pdf, "cda.write.pdf_made"),
    ),
    "fhir": (),
    "hl7v2": (Loss("observation.specimen", nothing, "which result was measured in which specimen"),),
    "hprim-sante": (
        Loss("observation.effective_at", nothing, "observation.effective_at"),
        Loss("observation.method", nothing, "observation.method"),
    ),
    "hprim-medecin": (
        Loss("observation.effective_at", nothing, "observation.effective_at"),
        Loss("observation.method", nothing, "observation.method"),
        Loss("observation.specimen", nothing, "observation.specimen"),
        Loss("observation.codes", local_code, "observation.codes"),
        Loss("observation.value", one_line, "hprim.write.line_breaks"),
        Loss("observation.value", label_of_code, "observation.value.codes"),
        Loss("observation.status", unknown, "hprim.write.status"),
        Loss("observation.comment", if_valued("comment"), "hprim.write.status"),
        Loss("observation.reference", if_valued("reference"), "hprim.write.status"),
        Loss("chapter.codes", no_codes, "chapter.codes"),
        Loss("report.order_id", nothing, "report.order_id"),
        Loss("report.attachments", no_pdf, "hprim.write.attachment_beside"),
    ),
}

BY_NATURE: dict[str, dict[str, Callable[[dict], object]]] = {
    "canonical": {},
    "cda": {},
    "fhir": {},
    "mail": {},
    "hl7v2": {},
    "hprim-sante": {"report.status": nothing},  # provisional results make a partial report
    "hprim-medecin": {
        "report.status": nothing,  # only results have one
        "report.text": nothing,  # made from the results when there is none; it holds the times
        "report.collected_at": the_day("collected_at"),  # line 10 is a day
        "report.issued_at": nothing,  # line 10 again
    },
}


def reduced(view: dict, column: str, findings: tuple[Finding, ...]) -> dict:
    """The view with what the column may lose left out."""
    left = [*BY_NATURE[column].items()]
    left += [(loss.field, loss.left) for loss in LOSSES[column] if loss.is_said(findings)]

    def node(owner: str, given: dict) -> dict:
        out = dict(given)
        for name, reduce in left:
            of, _, field = name.partition(".")
            if of == owner:
                out[field] = reduce(out)
        return out

    def chapter(given: dict) -> dict:
        out = node("chapter", given)
        out["observations"] = [node("observation", one) for one in given["observations"]]
        out["chapters"] = [chapter(one) for one in given["chapters"]]
        return out

    chapters = [chapter(one) for one in view["chapters"]]
    return {"report": node("report", view["report"]), "chapters": joined(chapters) if "hprim" in column else chapters}


def joined(chapters: list[dict]) -> list[dict]:
    """Untitled chapters that follow one another are one in HPRIM: nothing separates them."""
    found: list[dict] = []
    for chapter in chapters:
        if found and chapter["title"] is None and found[-1]["title"] is None:
            found[-1] = {**found[-1], "observations": [*found[-1]["observations"], *chapter["observations"]]}
        else:
            found.append(chapter)
    return found


def read(name: str, rendition: Rendition) -> LabReportItem:
    reading = format_named(name).read(rendition.content, ReadContext(siblings=rendition.attachments))
    (item,) = (one for one in reading.items if isinstance(one, LabReportItem))  # a CR-BIO is a document as well
    return item


def through(row: str, column: str, sent: LabReportItem) -> None:
    """Hold one cell for one report."""
    said = read(row, format_named(row).write(sent, CONTEXT))
    rendition = format_named(column).write(said, CONTEXT)
    assert detect(rendition.content).name == column
    again = read(column, rendition)
    assert reduced(clinical_view(again), column, rendition.findings) == reduced(
        clinical_view(said), column, rendition.findings
    )


@pytest.mark.parametrize("row", NAMES)
@given(sent=lab_items())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_report_keeps_its_meaning(row: str, sent: LabReportItem) -> None:
    for column in NAMES:
        through(row, column, sent)


@given(sent=lab_items())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_report_keeps_its_meaning_by_mail(sent: LabReportItem) -> None:
    """A mail carries the CDA, whose other cells are above."""
    through("canonical", "mail", sent)
    through("mail", "fhir", sent)


@pytest.mark.parametrize("row", ["canonical", "fhir", "hl7v2"])
@given(sent=lab_items(extras=("previous", "attachments", "text", "special")))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rich_formats_keep_more(row: str, sent: LabReportItem) -> None:
    for column in ("canonical", "fhir", "hl7v2"):
        through(row, column, sent)


@pytest.mark.shared_data
def test_every_real_report_goes_through_fhir_and_every_other_format(shared_data: Path) -> None:
    """The files that partners really send, by the formats that recognise them."""
    reports = 0
    refused: set[tuple[str, str]] = set()
    for path in sorted([*shared_data.glob("hprim/**/*"), *shared_data.glob("hl7v2/**/*")]):
        for report in reports_in(path):
            reports += 1
            for column in NAMES:
                try:
                    rendition = format_named(column).write(report, CONTEXT)
                except WriteRefused as refusal:
                    # Nothing is made up about a patient whom a CDA cannot name.
                    refused.add((column, refusal.code.rpartition(".")[0]))
                    continue
                context = ReadContext(siblings=rendition.attachments)
                found = format_named(column).read(rendition.content, context).items
                again = next((one for one in found if isinstance(one, LabReportItem)), None)
                assert again is not None or column not in {"canonical", "cda", "fhir"}
                if again is not None and column in {"canonical", "fhir"}:
                    assert clinical_view(again) == clinical_view(report), path.name
                if column == "fhir":
                    assert check_with_fhirclient(rendition.content) == (), path.name
    assert reports > 20
    assert refused == {("cda", "cda.patient")}


def reports_in(path: Path) -> list[LabReportItem]:
    if not path.is_file() or path.suffix in {".md", ".json", ".csv", ".xsd"}:
        return []
    content = path.read_bytes()
    try:
        reading = detect(content).read(content, ReadContext(filename=path.name))
    except FormatError:
        return []
    return [item for item in reading.items if isinstance(item, LabReportItem)]
