"""`passerelle plan`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.cli import terminal
from router.cli.base import config_file, config_option

if TYPE_CHECKING:
    from router.whatif.differences import Report


@click.command("plan")
@click.argument("draft", type=click.Path(path_type=Path, allow_dash=True))
@config_option
@click.option("--last", default=500, show_default=True, type=click.IntRange(1, 1_000_000), help="Messages to read.")
@click.option("--source", default="", help="Only those of this source.")
@click.option("--since", type=click.DateTime(), help="Only those received from then on (UTC).")
@click.option("--until", type=click.DateTime(), help="Only those received before then (UTC).")
@click.option("--actor", default="", hidden=True, help="Who asks, when the dashboard does.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the number under which it is kept, and counts.")
def command_plan(
    draft: Path,
    config: Path,
    last: int,
    source: str,
    since: datetime | None,
    until: datetime | None,
    actor: str,
    as_json: bool,
) -> int:
    """Show what a changed configuration (or code map) would alter, on messages that were received; nothing is sent.

    DRAFT is the changed file, `-` for standard input; it is read as if it stood in the place of the present one. Both
    configurations read the same messages now, and what would be sent is compared place by place. The comparison is kept
    as evidence: the dashboard shows it.

    \b
    Exit status: 0 nothing would change, 1 something would.
    \b
    Examples:
      passerelle plan new.toml --config my-router --last 1000
      passerelle plan new.toml --config my-router --source labo-sud
    """
    from router.cli.base import Failed
    from router.cli.progress import counting
    from router.config.load import load, load_text
    from router.engine.clock import micros
    from router.journal.store import open_store
    from router.whatif.evidence import changes, keep
    from router.whatif.replaying import Scope, compare

    present = load(config_file(config))
    try:
        text = sys.stdin.read() if str(draft) == "-" else draft.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Failed(f"{draft} is not UTF-8 text") from None
    changed = load_text(text, present.path)
    bounds = [None if one is None else micros(one.replace(tzinfo=UTC)) for one in (since, until)]
    scope = Scope(last, source, bounds[0], bounds[1])
    now = datetime.now(UTC)
    store = open_store(present.place)
    try:
        with counting("messages", lines=as_json) as told:
            report = compare(store, present, changed, scope, now, told=told)
        by = actor or terminal.actor()
        diff = changes(present.path.read_text(encoding="utf-8"), text)
        number = terminal.apply(store, keep(report, scope, diff, actor=by, now=micros(now), text=text))
    finally:
        store.close()
    if as_json:
        click.echo(f'{{"id": {number}, "compared": {report.compared}, "changed": {report.changed}}}')
    else:
        _show(report, number)
    return 1 if report.changed else 0


def _show(report: Report, number: int) -> None:
    show_differences(report)
    click.echo(f"{report.changed} of {report.compared} message(s) would come out otherwise. Kept as what-if {number}.")


def show_differences(report: Report) -> None:
    """Print differences as a table."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    if report.found:
        table = Table("what", "of", "where", "messages", "for example", box=SIMPLE_HEAD, pad_edge=False)
        for difference, found in report.ranked():
            examples = ", ".join(f"#{one}" for one in found.examples)
            table.add_row(difference.aspect.value, difference.subject, difference.where, str(found.messages), examples)
        console = Console()
        if not console.is_terminal:
            console.width = 200
        console.print(table)
