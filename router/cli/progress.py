"""A progress bar for what takes long, on standard error, only where a person looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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


@contextmanager
def counting(doing: str, *, lines: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Give a function that is told how many are done of how many.

    With `lines`, each is written to standard error as `done of`, for a program that reads it.
    """
    if lines or not sys.stderr.isatty():

        def write(done: int, of: int) -> None:
            if lines:
                print(done, of, file=sys.stderr, flush=True)  # noqa: T201 - the protocol with the dashboard

        yield write
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(doing, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)
