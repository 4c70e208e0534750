"""`passerelle bench --mappings`: what each translation costs, format by format, without a server.

One laboratory report (two panels, sixteen to twenty results) and one document (a letter of one page in PDF) are written
in every format; then each is read, and written, again and again. A cell of the matrix is the reading of its row and the
writing of its column.
"""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from connectors.sandbox.analyses import INFLAMMATION, KIDNEY, NFS
from connectors.sandbox.laboratory import PARIS
from connectors.sandbox.oru import oru
from connectors.sandbox.people import ROSE
from connectors.sandbox.reports import draw_report
from mappings.contracts import Environment, Format, ReadContext, Rendition, WriteContext, WriteRefused
from mappings.registry import format_named, formats
from schemas.attachment import Attachment
from schemas.coding import LOINC, Coding
from schemas.document import Document
from schemas.item import DocumentItem, Item, ItemKind, LabReportItem, Provenance

SECONDS = 0.4
"""How long each reading and each writing is repeated."""

_AT = datetime(2026, 3, 5, 9, 30, tzinfo=PARIS)
_CONTEXT = WriteContext(now=_AT.astimezone(UTC), identity="BENCH01", environment=Environment.TEST)


@dataclass(slots=True)
class Costs:
    """Milliseconds of one kind of Item: to read it from each format, to write it to each; sizes in bytes."""

    kind: ItemKind
    read: dict[str, float] = field(default_factory=dict)
    write: dict[str, float] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Give the costs, and the cost of every cell, as JSON."""
        cells = {row: {column: round(r + w, 3) for column, w in self.write.items()} for row, r in self.read.items()}
        return {
            "kind": self.kind.value,
            "read_ms": self.read,
            "write_ms": self.write,
            "bytes": self.size,
            "cells_ms": cells,
        }


def measure(say: Callable[[str], None] = lambda _: None) -> list[Costs]:
    """Measure every format that reads or writes a laboratory report or a document."""
    samples: tuple[Item, ...] = (sample_report(), sample_document())
    return [_measured(ItemKind(sample.kind), sample, say) for sample in samples]


def sample_report() -> LabReportItem:
    """Make the laboratory report, as a reader would: from the message of the sandbox's laboratory."""
    report = draw_report(random.Random(1), ROSE, 1, _AT, panels=(NFS, KIDNEY, INFLAMMATION))
    (item,) = format_named("hl7v2").read(oru(report, control_id="BENCH01"), ReadContext()).items
    assert isinstance(item, LabReportItem)  # noqa: S101 - it is an ORU
    return item


def sample_document() -> DocumentItem:
    """Make the document: a discharge letter of 30 kB."""
    data = base64.b64encode(b"%PDF-1.4\n" + random.Random(2).randbytes(30_000)).decode()
    return DocumentItem(
        id="0" * 32,
        occurred_at=_AT.isoformat(),
        patient=sample_report().patient,
        sender=sample_report().sender,
        source=Provenance(format="canonical", where="bench"),
        content=Document(
            document_id="1.2.250.1.999.1.1",
            type=Coding(system=LOINC, code="11490-0", display="Lettre de liaison à la sortie"),
            title="Lettre de liaison à la sortie",
            language="fr-FR",
            created_at=_AT.isoformat(),
            attachments=(Attachment(media_type="application/pdf", data=data),),
        ),
    )


def _measured(kind: ItemKind, item: Item, say: Callable[[str], None]) -> Costs:
    costs = Costs(kind)
    for name, fmt in formats().items():
        if kind not in fmt.writes:
            continue
        say(f"{kind.value}: {name}")
        try:
            rendition = fmt.write(item, _CONTEXT)
        except WriteRefused:
            continue  # a PDF, for a format whose documents are plain text
        costs.size[name] = len(rendition.content)
        costs.write[name] = _cost(lambda fmt=fmt: fmt.write(item, _CONTEXT))  # type: ignore[misc]  # bound now
        if kind in fmt.reads:
            costs.read[name] = _cost(_reading(fmt, rendition))
    return costs


def _reading(fmt: Format, rendition: Rendition) -> Callable[[], object]:
    context = ReadContext(siblings=rendition.attachments)
    return lambda: fmt.read(rendition.content, context)


def _cost(work: Callable[[], object]) -> float:
    """Give the milliseconds of one run: the median of rounds, after a first one that fills what is remembered."""
    work()
    rounds: list[float] = []
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until or len(rounds) < 5:
        began = time.perf_counter()
        work()
        rounds.append(time.perf_counter() - began)
    return round(sorted(rounds)[len(rounds) // 2] * 1000, 3)


def print_costs(measured: list[Costs], console: Console) -> None:
    """Print a matrix for each kind: rows are read, columns are written; milliseconds."""
    titles: Mapping[ItemKind, str] = {
        ItemKind.LAB_REPORT: "A laboratory report, ms",
        ItemKind.DOCUMENT: "A document, ms",
    }
    for costs in measured:
        table = Table("from ↓  to →", "size", "read", title=titles[costs.kind], title_justify="left", box=SIMPLE_HEAD)
        for column in costs.write:
            table.add_column(column, justify="right")
        for row, reading in costs.read.items():
            cells = (f"{reading + writing:.2f}" for writing in costs.write.values())
            table.add_row(row, f"{costs.size[row] / 1000:.1f} kB", f"{reading:.2f}", *cells)
        table.add_row("write alone", "", "", *(f"{writing:.2f}" for writing in costs.write.values()), style="dim")
        console.print(table)
