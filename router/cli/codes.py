"""`passerelle codes`: the worklist of local codes from the terminal, mapping them, and maps as CSV.

It works beside a running router, which takes a change up within a second.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click

from mappings.concept_map import LONGEST_CODE, MapEntry, Term, TermKind, target_of
from router.cli.base import Failed, config_file, config_option
from router.cli.terminal import actor, apply, now
from router.codes.maps import CodeMaps
from router.journal.store import Store
from schemas.coding import LOCAL

R = TypeVar("R")

MOST = 10_000
"""Messages that one replay reads again; it is asked for again beyond."""

_SYSTEM = click.option("--system", default=LOCAL, show_default=True, help="Code system of the sender's code.")
_UNIT = click.option("--unit", "is_unit", is_flag=True, help="CODE is a unit as the sender writes it.")


@contextmanager
def _opened(config: Path) -> Iterator[tuple[Store, CodeMaps]]:
    from router.config.load import load
    from router.journal.store import open_store

    loaded = load(config_file(config))
    store = open_store(loaded.place)
    maps = CodeMaps(loaded.code_maps)
    try:
        with store.reading() as connection:
            maps.refresh(connection)
        for problem in maps.problems:
            click.echo(problem, err=True)
        yield store, maps
    finally:
        store.close()


def _term(code: str, system: str, is_unit: bool) -> Term:
    code = code.strip()
    if not code or len(code) > LONGEST_CODE:
        raise Failed(f"a code has 1 to {LONGEST_CODE} characters")
    return Term(TermKind.UNIT, "", code) if is_unit else Term(TermKind.CODE, system, code)


@click.group("codes")
def command_codes() -> None:
    """Laboratories' own codes and units: what no map answers, mapping it, bringing and giving maps.

    A mapped code never replaces the sender's own: both travel on.
    """


@command_codes.command("list")
@config_option
@click.option("--sender", help="Only those of this sender.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 5000), help="Rows to show.")
def codes_list(config: Path, sender: str | None, limit: int) -> None:
    """List codes and units that no map answers, the most frequent first, each with an example and a proposal.

    \b
    Examples:
      passerelle codes list --config my-router
      passerelle codes list --sender 990000001 --limit 10
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from router.codes.proposals import proposals
    from router.codes.worklist import unmapped_codes
    from router.journal.view import viewing

    with _opened(config) as (store, maps), viewing(store) as view:
        found = unmapped_codes(view, maps, sender=sender, limit=limit)
    if not found:
        click.echo("Every code that was read is mapped, or came with its LOINC code.")
        return
    table = Table("seen", "sender", "kind", "code", "e.g. label", "unit", "proposal", box=SIMPLE_HEAD, pad_edge=False)
    for one in found:
        first = next(iter(proposals(one)), None)
        proposal = f"{first.code}  {first.label}" if first is not None else ""
        shown = (one.sender, one.term.kind.value, one.term.code, one.label, one.unit, proposal)
        table.add_row(str(one.seen), *(click.unstyle(cell) for cell in shown))
    console = Console(markup=False) if sys.stdout.isatty() else Console(markup=False, width=200)
    console.print(table, markup=False)


@command_codes.command("map")
@click.argument("sender")
@click.argument("code")
@click.argument("target")
@_SYSTEM
@_UNIT
@click.option("--display", default="", help="Label of the target.  [default: the usual French one, when known]")
@config_option
def codes_map(sender: str, code: str, target: str, system: str, is_unit: bool, display: str, config: Path) -> None:
    """Say that CODE of SENDER means TARGET: a LOINC code, or the UCUM code of a unit.

    \b
    Examples:
      passerelle codes map 990000001 GLY 14749-6
      passerelle codes map "LABO SUD" "mUI par mL" "m[IU]/mL" --unit
    """
    from router.codes.changes import map_terms
    from router.codes.proposals import label_of
    from router.codes.worklist import count_affected, find_unmapped
    from router.journal.view import viewing

    term = _term(code, system, is_unit)
    try:
        coding = target_of(term.kind, target, display=display or label_of(target.strip()))
    except ValueError as problem:
        raise Failed(str(problem)) from None
    with _opened(config) as (store, _):
        changed = apply(store, map_terms([MapEntry(sender, term, coding)], actor=actor(), now=now()))
        with viewing(store) as view:
            before = count_affected(view, sender, term, coding, cap=MOST)
            known = find_unmapped(view, sender, term) is not None
    click.echo(f"{code} of {sender} is {coding.code}." if changed else "It was mapped so already.")
    if not known:
        click.echo(
            "Nothing was read with this code of this sender yet: `passerelle codes list` shows how both are spelt."
        )
    if before.count:
        shown = f"{'more than ' if before.more else ''}{before.count}"
        click.echo(f"{shown} message(s) were read before; `passerelle codes replay` reads them again.")


@command_codes.command("replay")
@click.argument("sender")
@click.argument("code")
@_SYSTEM
@_UNIT
@config_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def codes_replay(sender: str, code: str, system: str, is_unit: bool, config: Path, yes: bool) -> int:
    """Read again the messages that used CODE of SENDER before it was mapped as it is now. The count is shown first.

    \b
    Examples:
      passerelle codes replay 990000001 GLY
    """
    from router.codes.worklist import affected
    from router.journal.actions import replay_messages
    from router.journal.view import viewing

    term = _term(code, system, is_unit)
    with _opened(config) as (store, maps):
        with viewing(store) as view:
            found = affected(view, sender, term, maps.of(sender).targets.get(term), limit=MOST)
        if not found.ids:
            click.echo("Nothing to replay: no message used it before it was mapped.")
            return 1
        sentence = f"{len(found.ids)} message(s) to read again{', and there are more' if found.more else ''}."
        if yes:
            click.echo(sentence)
        elif not click.confirm(f"{sentence} Go on?"):
            return 1
        done = 0
        for start in range(0, len(found.ids), 500):
            batch = found.ids[start : start + 500]
            done += apply(store, replay_messages(batch, actor=actor(), now=now()))
    click.echo(f"{done} will be read again; a running router takes them up at once, else at its next start.")
    return 0


@command_codes.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@config_option
def codes_import(file: Path, config: Path) -> int:
    """Bring the mappings of a CSV; those that are there already are renewed. Exit status 1: some lines were refused.

    \b
    CSV header: sender,kind,system,code,target,target_system,display
    The columns sender, code and target must be there.
    \b
    Examples:
      passerelle codes import labo-sud.csv --config my-router
    """
    from mappings.concept_map_csv import read_maps
    from router.codes.changes import map_terms

    read = read_maps(file.read_bytes())
    with _opened(config) as (store, _):
        change = map_terms(read.entries, actor=actor(), now=now(), action="import codes")
        changed = apply(store, change)
    for problem in read.problems:
        click.echo(f"{file}, {problem}", err=True)
    click.echo(f"{changed} mapped or changed, {len(read.entries) - changed} as before, {len(read.problems)} refused.")
    return 1 if read.problems else 0


@command_codes.command("export")
@config_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write.  [default: print]")
def codes_export(config: Path, out: Path | None) -> None:
    """Write the journal's mappings as CSV, as `import` reads it. Those of configured files are in their files.

    \b
    Examples:
      passerelle codes export --out maps.csv
    """
    from mappings.concept_map_csv import write_maps
    from router.codes.maps import load_entries

    with _opened(config) as (store, _), store.reading() as connection:
        text = write_maps(entry for _, entry in load_entries(connection))
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
