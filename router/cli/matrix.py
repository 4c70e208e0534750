"""Which format can become which, from the registry: what one reads, another writes."""

from __future__ import annotations

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mappings.contracts import Format
from schemas.item import ItemKind

SHOWN = {ItemKind.LAB_REPORT: "Laboratory reports", ItemKind.DOCUMENT: "Documents", ItemKind.NOTE: "Notes"}
"""Kinds whose matrix is printed, with its title."""


def cells(formats: Mapping[str, Format], kind: ItemKind) -> dict[str, dict[str, bool]]:
    """Give, for each format that reads this kind, every format that writes it: True when it may become it."""
    targets = [name for name, fmt in formats.items() if kind in fmt.writes]
    return {name: dict.fromkeys(targets, True) for name, fmt in formats.items() if kind in fmt.reads}


def show_matrices(formats: Mapping[str, Format]) -> None:
    """Print a matrix for each kind: the format that is read in rows, the one that is written in columns."""
    console = Console()
    for kind, title in SHOWN.items():
        rows = cells(formats, kind)
        columns = sorted({column for row in rows.values() for column in row})
        table = Table("from ↓  to →", *columns, title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        for name, row in rows.items():
            table.add_row(name, *("✓" if row.get(column) else "—" for column in columns))
        console.print(table)
