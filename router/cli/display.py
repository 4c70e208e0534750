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

from mappings.contracts import Format, Piece, Position, Reading
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
    targets = sorted(explanation.renditions)
    table = Table("canonical value", "", "from", *(f"to {name}" for name in targets), box=SIMPLE_HEAD, pad_edge=False)
    for value in explanation.values:
        goes = (_places(value.targets.get(name, ())) for name in targets)
        table.add_row(value.path, escape(value.value[:40]), _places(value.sources), *goes)
    console = Console()
    if not console.is_terminal:
        console.width = 220
    console.print(table)
    for name, reason in explanation.not_written.items():
        console.print(f"[yellow]{name} cannot carry this:[/yellow] {escape(reason)}")
    notes = (
        ("Changes what the whole message is", explanation.structure),
        ("Is checked, and changes no value", explanation.checked),
        ("Changes nothing", explanation.silent),
    )
    for title, positions in notes:
        if positions:
            console.print(f"[yellow]{title}:[/yellow] {escape(', '.join(one.where for one in positions))}")
    if not explanation.complete:
        console.print("[yellow]The file is too large to try every byte: this is a part of it.[/yellow]")


def _places(positions: Sequence[Position]) -> str:
    return escape("\n".join(dict.fromkeys(one.where for one in positions))) or "—"


def print_json(explanation: Explanation) -> None:
    """Print an explanation as JSON; spans are bytes."""
    answer = {
        "values": [
            {
                "path": value.path,
                "value": value.value,
                "from": [one._asdict() for one in value.sources],
                "to": {name: [one._asdict() for one in places] for name, places in value.targets.items()},
            }
            for value in explanation.values
        ],
        "structure": [one._asdict() for one in explanation.structure],
        "checked": [one._asdict() for one in explanation.checked],
        "silent": [one._asdict() for one in explanation.silent],
        "not_written": dict(explanation.not_written),
        "complete": explanation.complete,
    }
    print(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())  # noqa: T201 - the command's own output
