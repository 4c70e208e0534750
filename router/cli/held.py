"""Held deliveries from the terminal: what was found in them, and setting them aside (`passerelle cancel`).

Sending one all the same is `passerelle replay --delivery`.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from router.cli.base import config_file, config_option
from router.engine.clock import micros
from router.journal.store import Store


@click.command("cancel")
@config_option
@click.argument("deliveries", nargs=-1, required=True, type=int, metavar="DELIVERY…")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command_cancel(config: Path, deliveries: tuple[int, ...], yes: bool) -> int:
    """Set deliveries aside: they will not be sent. Those already sent are left alone.

    \b
    Examples:
      passerelle deliveries --state held --findings
      passerelle cancel 1042 1043 --yes
    """
    from router.config.load import load
    from router.journal.actions import cancel_deliveries
    from router.journal.store import open_store
    from router.journal.unit import Unit

    if not yes and not click.confirm(f"{len(deliveries)} delivery(ies) to set aside. Go on?"):
        return 1
    change = cancel_deliveries(deliveries, actor=f"{getpass.getuser()} (command line)", now=micros(datetime.now(UTC)))
    store = open_store(load(config_file(config)).place)
    try:
        with store.writing() as connection:
            unit = Unit(connection, store.sealer)
            done = change.apply(unit)
            unit.flush()
    finally:
        store.close()
    click.echo(f"{done} set aside.")
    return 0 if done == len(set(deliveries)) else 1


def print_findings(store: Store, numbers: Sequence[int]) -> None:
    """Print what was noticed in each Delivery: its writer's findings, and those of its check."""
    from router.journal.queries_message import delivery_findings
    from router.journal.view import viewing

    with viewing(store) as view:
        for number in numbers:
            for finding in delivery_findings(view, number):
                where = f" {finding.where}" if finding.where else ""
                click.echo(f"#{number}: {finding.severity.value} {finding.code}{where}: {finding.message}")
