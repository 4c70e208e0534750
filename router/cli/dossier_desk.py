"""What the sub-commands of `passerelle dossier` share: the journal, whose dossier it is, changes, tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from router.cli.base import Failed
from router.cli.terminal import actor, apply, now

if TYPE_CHECKING:
    from router.dossier.keeping import By, Done
    from router.journal.operations import Change
    from router.journal.store import Store
    from router.journal.view import View

R = TypeVar("R")

by_option = click.option("--why", default="", help="Why, in a few words: kept in the dossier's history.")


def by_now(why: str = "") -> By:
    """Give who is at this terminal, now."""
    from router.dossier.keeping import By

    return By(actor(), now(), why)


def ask(store: Store, query: Callable[[View], R], *, audit: tuple[str, str] | None = None) -> R:
    """Ask the journal; what is shown of health data is noted first."""
    from router.journal.actions import record_audit
    from router.journal.view import viewing

    if audit is not None:
        by = by_now()
        apply(store, record_audit(by.actor, audit[0], audit[1], now=by.now))
    with viewing(store) as view:
        return query(view)


def done(store: Store, change: Change[Done], sentence: str) -> int:
    """Apply a change and say what came of it; `{number}` and `{version}` are filled. Raises Failed when refused."""
    from router.dossier.keeping import SENTENCES

    found = apply(store, change)
    if found.refusal is not None:
        raise Failed(SENTENCES[found.refusal])
    click.echo(sentence.format(number=found.number, version=found.version))
    return 0


def patient_number(store: Store, text: str) -> int:
    """Give the number of a patient: as it is, or found by `AUTHORITY|IDENTIFIER`. Raises Failed."""
    from router.identity.patients import identifier_token, look_up
    from router.journal.view import viewing

    if text.isascii() and text.isdigit():
        return int(text)
    system, bar, value = text.partition("|")
    if not bar or not value:
        raise Failed("a patient is a number of the register, or AUTHORITY|IDENTIFIER")
    if system and system[0].isdigit():
        system = f"urn:oid:{system}"
    with viewing(store) as view:
        numbers = set().union(*look_up(view.connection, [identifier_token(view.sealer, system, value)]).active.values())
    if len(numbers) != 1:
        raise Failed("no patient of the register has this identifier" if not numbers else "several patients have it")
    return int(next(iter(numbers)))


def show_table(heads: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> None:
    """Print a table, or a sentence where there is nothing to print."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    if not rows:
        if nothing:
            click.echo(nothing)
        return
    table = Table(*heads, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(click.unstyle(cell) for cell in row))
    console = Console(markup=False) if sys.stdout.isatty() else Console(markup=False, width=200)
    console.print(table, markup=False)
