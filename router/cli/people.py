"""`passerelle patients`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.cli.base import config_file, config_option

if TYPE_CHECKING:
    from router.identity.import_report import ImportReport


@click.group("patients")
def command_patients() -> None:
    """Register the patients that the coordination dossier follows."""


@command_patients.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@config_option
@click.option("--not-in-coordination", is_flag=True, help="Known, but not followed: routes can tell the difference.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def patients_import(file: Path, config: Path, not_in_coordination: bool, as_json: bool) -> int:
    """Register the patients of a CSV or a FHIR Bundle; one already known is updated.

    Nobody is merged on a guess: an entry is refused when its numbers belong to several patients, to one whom its traits
    or matricule contradict, or to an earlier entry. Whoever only resembles a patient is registered, and reported.

    \b
    CSV header: ipp_authority,ipp,ins,ins_oid,birth_name,birth_given_names,used_name,birth_date,sex,birth_place
    \b
    Exit status: 0 all were registered or updated, 1 some were refused.
    \b
    Examples:
      passerelle patients import patients.csv --config my-router
    """
    import orjson

    from router.cli.progress import each
    from router.config.load import load
    from router.engine.clock import micros
    from router.identity.import_report import import_patients
    from router.identity.importing import read_patients
    from router.journal.store import open_store

    read = read_patients(file.read_bytes())
    store = open_store(load(config_file(config)).place)
    report = import_patients(
        store,
        read.entries,
        in_coordination=not not_in_coordination,
        now=lambda: micros(datetime.now(UTC)),
        each=lambda groups: each(groups, "registering"),
    )
    store.close()
    if as_json:
        click.echo(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(report)
    return 1 if report.refused else 0


def _show(report: ImportReport) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    if report.notes:
        table = Table("entry", "", "code", "other", "what it is", box=SIMPLE_HEAD, pad_edge=False)
        for note in report.notes:
            table.add_row(note.entry, "refused" if note.refused else "suspect", note.code, note.other, note.message)
        Console().print(table)
    click.echo(f"{report.registered} registered, {report.updated} updated, {report.refused} refused.")


@command_patients.command("rules")
@click.option("--policy", type=click.Choice(["register", "rniv"]), help="Only the rows of this policy.")
@click.option("--markdown", is_flag=True, help="Print everything as in the documentation.")
def patients_rules(policy: str | None, markdown: bool) -> None:
    """Show the decision table: when an item is attached to a patient, and when it waits for a person.

    \b
    Examples:
      passerelle patients rules --policy rniv
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from router.identity.decisions import Policy, rules
    from router.identity.explaining import as_markdown, conditions_of

    if markdown:
        click.echo(as_markdown(), nl=False)
        return
    for chosen in (Policy(policy),) if policy else tuple(Policy):
        table = Table(
            "row", "when", "then", "why", title=f"policy {chosen.value}", title_justify="left", box=SIMPLE_HEAD
        )
        for rule in rules(chosen):
            table.add_row(rule.row, conditions_of(rule), rule.reason or "attached", rule.english)
        Console().print(table)


@command_patients.command("count")
@config_option
def patients_count(config: Path) -> None:
    """Count the registered patients."""
    from sqlalchemy import func, select

    from router.config.load import load
    from router.journal import tables
    from router.journal.store import open_store

    store = open_store(load(config_file(config)).place)
    with store.reading() as connection:
        count = connection.execute(select(func.count()).select_from(tables.patient)).scalar_one()
    store.close()
    click.echo(f"{count} patients registered.")
