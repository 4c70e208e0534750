"""How files are shown in the terminal: pieces, formats, explanations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from mappings.contracts import Format, Piece, Position
from schemas.item import ItemKind

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
