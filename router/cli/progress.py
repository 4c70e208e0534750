"""A progress bar for what takes long, on standard error, only where a person looks."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

MANY = 20
"""Below this many things nothing is drawn."""


def each(things: Sequence[T], doing: str, *, shown: bool = True) -> Iterator[T]:
    """Go through things with a bar, a count and the time left."""
    if not shown or len(things) < MANY or not sys.stderr.isatty():
        yield from things
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield from progress.track(things, description=doing)
