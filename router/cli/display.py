"""How files are shown in the terminal: pieces, items, formats, explanations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from mappings.contracts import Format, Piece, Reading
from schemas.item import ITEM, Item, ItemKind
from schemas.lab import CodedValue, LabChapter, LabReport, Observation, QuantityValue, TextValue

if TYPE_CHECKING:
    from mappings.explain import Explanation

CUT = 160
"""Characters of a field shown; attachments are long."""


def show_pieces(title: str, fmt: Format, content: bytes) -> None:
    """Print every field with its position, official name and text."""
    tree = Tree(f"[bold]{escape(title)}[/bold]  [dim]{fmt.name}, {len(content)} bytes[/dim]")
    for piece in fmt.pieces(content):
        _grow(tree, piece)
    Console().print(tree)


def _grow(tree: Tree, piece: Piece) -> None:
    text = piece.text if len(piece.text) <= CUT else f"{piece.text[:CUT]}… ({len(piece.text)} characters)"
    kind = f" [dim]{escape(piece.type)}[/dim]" if piece.type else ""
    label = f"[cyan]{escape(piece.where)}[/cyan] {escape(piece.name)}{kind}"
    branch = tree.add(f"{label}  [bold]{escape(text)}[/bold]" if text else label)
    for child in piece.children:
        _grow(branch, child)


def show_items(reading: Reading) -> None:
    """Print what was understood, item by item."""
    console = Console()
    for item in reading.items:
        console.print()
        console.print(f"[bold]{escape(_headline(item))}[/bold]")
        if isinstance(item.content, LabReport):
            console.print(_results(item.content))
            if item.content.conclusion:
                console.print(f"Conclusion: {escape(item.content.conclusion)}")
        else:
            table = Table("value", "", box=SIMPLE_HEAD, pad_edge=False)
            for path, value in _leaves(ITEM.dump_python(item, mode="json")["content"]):
                table.add_row(path, escape(value))
            console.print(table)
    if reading.unread:
        console.print()
        console.print(f"[yellow]{len(reading.unread)} value(s) not used:[/yellow]")
        for one in reading.unread:
            console.print(f"  [cyan]{escape(one.where)}[/cyan] {escape(one.text[:CUT])}")


def _headline(item: Item) -> str:
    patient = item.patient
    name = patient.used_name or patient.birth_name or patient.family_name or "?"
    given = patient.used_given_name or patient.first_given_name or patient.given_name or ""
    sender = item.sender.name if item.sender is not None and item.sender.name else "unknown sender"
    born = f", born {patient.birth_date}" if patient.birth_date else ""
    return f"{item.kind} · {name} {given}{born} · from {sender} · {item.occurred_at or 'undated'}"


def _results(report: LabReport) -> Table:
    table = Table("analysis", "value", "unit", "reference", "flags", "status", box=SIMPLE_HEAD, pad_edge=False)
    table.columns[1].justify = "right"
    for title, observation in _observations(report.chapters):
        if title is not None:
            table.add_row(f"[bold]{escape(title)}[/bold]")
        if observation is None:
            continue
        reference = observation.reference
        shown = "" if reference is None else reference.text or f"{reference.low or ''} – {reference.high or ''}"
        flags = " ".join(observation.flags)
        table.add_row(
            escape(observation.label or ""),
            escape(value_text(observation)),
            escape(observation.unit.raw if observation.unit is not None else ""),
            escape(shown),
            f"[red]{escape(flags)}[/red]" if flags not in {"", "N"} else flags,
            observation.status.value,
        )
        if observation.second is not None:
            second = observation.second
            unit = second.unit.raw if second.unit is not None else ""
            text = second.value.text if isinstance(second.value, QuantityValue | TextValue) else ""
            table.add_row("", escape(text or ""), escape(unit), "", escape(" ".join(second.flags)), "")
        if observation.comment:
            table.add_row(f"  [dim]{escape(observation.comment)}[/dim]")
    return table


def _observations(chapters: Sequence[LabChapter]) -> Iterator[tuple[str | None, Observation | None]]:
    for chapter in chapters:
        if chapter.title:
            yield chapter.title, None
        for observation in chapter.observations:
            yield None, observation
        yield from _observations(chapter.chapters)


def value_text(observation: Observation) -> str:
    """Give a result's value as a reader expects it."""
    value = observation.value
    if value is None:
        return "—"
    if isinstance(value, QuantityValue):
        return f"{value.comparator or ''}{value.number}"
    if isinstance(value, CodedValue):
        return value.text or ", ".join(code.display or code.code for code in value.codes)
    return value.text or ""


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for rank, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{rank}]")
    elif value is not None:
        yield path, str(value)[:CUT]


def show_formats(formats: Mapping[str, Format]) -> None:
    """Print what each format reads and writes."""
    table = Table("format", "extension", *(kind.value for kind in ItemKind), box=SIMPLE_HEAD, pad_edge=False)
    words = {(True, True): "read, write", (True, False): "read", (False, True): "write", (False, False): "—"}
    for name, fmt in formats.items():
        table.add_row(name, fmt.extension, *(words[kind in fmt.reads, kind in fmt.writes] for kind in ItemKind))
    Console().print(table)


def show_explanation(explanation: Explanation, *, as_json: bool) -> None:
    """Print where each value came from and where it goes."""
    if as_json:
        print_json(explanation)
        return
    targets = sorted({name for row in explanation.rows for name in row.to})
    table = Table("canonical value", "", "from", *(f"to {name}" for name in targets), box=SIMPLE_HEAD, pad_edge=False)
    for row in explanation.rows:
        goes = ("\n".join(row.to.get(name, ())) or "—" for name in targets)
        table.add_row(row.path, escape(str(row.value)[:40]), "\n".join(row.origins) or "—", *goes)
    console = Console()
    console.print(table)
    if explanation.unread:
        console.print(f"[yellow]Influences nothing:[/yellow] {escape(', '.join(explanation.unread))}")


def print_json(explanation: Explanation) -> None:
    """Print an explanation as JSON."""
    rows = [
        {"path": row.path, "value": row.value, "from": list(row.origins), "to": {k: list(v) for k, v in row.to.items()}}
        for row in explanation.rows
    ]
    answer = {"rows": rows, "unread": list(explanation.unread)}
    print(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())  # noqa: T201 - the command's own output
