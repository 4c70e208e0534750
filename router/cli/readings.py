"""What was understood of a file, in the terminal: the same reading as on a message's page, in English."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import unescape
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mappings.contracts import Reading
from mappings.plain_text import without_controls
from router.cli.narratives import narrative_lines
from router.web.attachments import Shown, attachments_of
from router.web.document_facts import document_card
from router.web.documents import paper
from router.web.facts import Fact, item_facts, patient_facts
from router.web.formatting import Formats
from router.web.reports import Heading, Material, Result, reported
from router.web.texts import Texts
from schemas.item import DocumentItem, Item
from schemas.lab import LabReport

CUT = 160
"""Characters of an unread value shown."""

_STYLES = {"critical": "bold red", "off": "yellow", "": ""}
_LETTERS = {"S": "green", "VS": "green", "R": "red", "NS": "red"}


def show_items(reading: Reading, *, console: Console | None = None) -> None:
    """Print what was understood, item by item, then what was not used."""
    console = console or Console()
    texts = Texts.of("en")
    formats = Formats(texts, ZoneInfo("Europe/Paris"), 0)
    for item in reading.items:
        console.print()
        console.print(Text(said(headline(item)), "bold"))
        console.print(Group(*_item(item, formats)))
    if reading.unread:
        console.print()
        console.print(Text(f"{len(reading.unread)} value(s) not used:", "yellow"))
        for one in reading.unread:
            console.print(Text.assemble("  ", (said(one.where), "cyan"), " ", said(one.text[:CUT])))


def headline(item: Item) -> str:
    """Say in a line what an Item is, about whom, from whom."""
    patient = item.patient
    name = patient.used_name or patient.birth_name or patient.family_name or "?"
    given = patient.used_given_name or patient.first_given_name or patient.given_name or ""
    sender = item.sender.name if item.sender is not None and item.sender.name else "unknown sender"
    born = f", born {patient.birth_date}" if patient.birth_date else ""
    return f"{item.kind} · {name} {given}{born} · from {sender} · {item.occurred_at or 'undated'}"


def said(text: str) -> str:
    """Give a sender's text without what would command the terminal."""
    return without_controls(text).replace("\r", "")


def _item(item: Item, formats: Formats) -> Iterator[RenderableType]:
    if isinstance(item, DocumentItem):
        yield from _document(item, formats)
    else:
        if isinstance(item.content, LabReport):
            yield from _report(item.content, formats)
        yield _facts(item_facts(item, formats), formats)
    yield Text("Patient", "bold")
    yield _facts(patient_facts(item.patient, formats), formats)
    yield from _files(attachments_of(item))


def _document(item: DocumentItem, formats: Formats) -> Iterator[RenderableType]:
    if item.content.title:
        yield Text(said(item.content.title), "bold")
    yield _facts(document_card(item, formats), formats)
    found = paper(item, lambda _rank: None)
    if found.defect:
        yield Text(f"The content of this document cannot be shown here ({found.defect}).", "yellow")
    if found.narrative is not None:
        yield from narrative_lines(found.narrative)
    yield _facts(item_facts(item, formats), formats)


def _report(report: LabReport, formats: Formats) -> Iterator[RenderableType]:
    found = reported(report, formats)
    if found.rows:
        yield _results(found.rows, formats, compared=found.compared)
    for label, text in (("Conclusion", found.conclusion), ("Text of the report", found.text)):
        if text:
            yield Text.assemble((f"{label}: ", "bold"), said(text))
    if found.materials:
        yield Text("Specimens", "bold")
        yield from (_material(one, formats) for one in found.materials)


def _results(rows: Iterable[Heading | Result], formats: Formats, *, compared: bool) -> Table:
    earlier = ("earlier",) if compared else ()
    table = Table("analysis", "value", "", "unit", "range", *earlier, "status", box=SIMPLE_HEAD, pad_edge=False)
    table.columns[1].justify = "right"
    for row in rows:
        indent = "  " * row.depth
        if isinstance(row, Heading):
            parts = ((row.organism, "bold cyan"), (row.title, "bold"), (row.status, "yellow"), (row.comment, "dim"))
            title = Text("  ").join(Text(said(text), style) for text, style in parts if text)
            table.add_row(Text(indent) + title)
            continue
        label = Text(indent + said(row.label))
        for key, text in row.notes:
            label.append(f"\n{indent}  {_word(formats, key)}: {said(text)}", "dim")
        style = _STYLES[row.gravity]
        flag = Text(row.letter or row.arrow, _LETTERS.get(row.letter, "") or style)
        before = [_earlier(row)] if compared else []
        status = " ".join(part for part in (row.status, row.at) if part)
        table.add_row(label, Text(said(row.value), style), flag, said(row.unit), said(row.reference), *before, status)
    return table


def _earlier(row: Result) -> Text:
    """Write earlier results, after a curve in characters that ends with the present one."""
    lines = (" ".join(said(part) for part in (one.value, one.unit, one.at) if part) for one in row.previous)
    text = Text("\n".join(lines))
    return Text.assemble((row.trend.blocks, "cyan"), " ", text) if row.trend is not None else text


def _material(found: Material, formats: Formats) -> Text:
    facts = "".join(f" · {_word(formats, f'fact.{key}')} {said(text)}" for key, text in found.facts)
    return Text.assemble("  ", said(found.name), (facts, "dim"))


def _facts(facts: Sequence[Fact], formats: Formats) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    for key, text in facts:
        grid.add_row(_word(formats, f"fact.{key}"), Text(said(text)))
    return Padding(grid, (0, 0, 1 if facts else 0, 2))


def _files(files: Sequence[Shown]) -> Iterator[Text]:
    for one in files:
        size = f" · {one.size:,} bytes" if one.size is not None else ""
        yield Text(f"  file {one.rank + 1}: {said(one.title or one.media_type)} · {said(one.media_type)}{size}", "dim")


def _word(formats: Formats, key: str) -> str:
    return unescape(formats.texts.say(key))
