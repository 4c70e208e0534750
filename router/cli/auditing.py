"""`passerelle audit`: who did or saw what, whether the record was altered, and what concerns one patient."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import click

from router.cli.base import Failed, config_option

_LIMIT = click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Rows to show.")


@click.group("audit", invoke_without_command=True)
@config_option
@_LIMIT
@click.pass_context
def command_audit(ctx: click.Context, config: Path, limit: int) -> None:
    """List who did or saw what, the newest first.

    \b
    Examples:
      passerelle audit --config my-router
      passerelle audit verify --config my-router
      passerelle audit patient 12 --config my-router > access.csv
    """
    if ctx.invoked_subcommand is not None:
        return
    from sqlalchemy import select

    from router.cli.journal import printed, rows_of, shown_time
    from router.cli.terminal import opened
    from router.journal import tables

    with opened(config) as store:
        found = rows_of(store, select(tables.audit).order_by(tables.audit.c.id.desc()).limit(limit))
    printed(
        ("when", "who", "what", "on", "detail"),
        [(shown_time(row.at), row.actor, row.action, row.target, row.detail) for row in found],
    )


@command_audit.command("verify")
@config_option
@click.option("--known", default="", help="A head that was printed earlier: says whether the record still holds it.")
def audit_verify(config: Path, known: str) -> int:
    """Verify that no row of the audit was changed, taken out or put in.

    The head that is printed names the last row: note it outside this machine, and give it back with --known; rows cut
    from the end are seen by nothing else.

    Exit status: 0 whole, 1 altered.
    """
    from router.cli.terminal import opened
    from router.journal.auditing import verify_audit

    with opened(config) as store, store.reading() as connection:
        chain = verify_audit(connection, store.sealer.clone(), known)
    if chain.before:
        click.echo(f"{chain.before} row(s) are older than the chain and cannot be verified.")
    if chain.broken is not None:
        click.echo(f"Altered: row {chain.broken} does not follow from the one before it.")
    if chain.known is False:
        click.echo("Altered: the record does not hold the head that was given.")
    if chain.whole:
        click.echo(f"Whole: {chain.rows} row(s). Head {chain.head or 'none yet'}")
    return 0 if chain.whole else 1


@command_audit.command("patient")
@click.argument("number", type=click.IntRange(1))
@config_option
def audit_patient(number: int, config: Path) -> None:
    """Print as CSV who did or saw what about one patient (the right of access).

    NUMBER is the patient's in this journal (`passerelle patients list`). It counts the patient's own row, messages,
    items, deliveries and dossier; what was done to several rows at once (`12 rows`) names none of them and is not told.
    """
    from router.cli.journal import shown_time
    from router.cli.terminal import opened
    from router.journal.queries_audit import audit_of_patient

    with opened(config) as store, store.reading() as connection:
        rows = audit_of_patient(connection, number)
        if rows is None:
            raise Failed(f"there is no patient {number} in this journal")
        writer = csv.writer(sys.stdout)
        writer.writerow(("when", "who", "what", "on", "detail"))
        for row in rows:
            writer.writerow((shown_time(row.at), row.actor, row.action, row.target, row.detail))
