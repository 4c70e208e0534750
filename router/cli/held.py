"""Held deliveries from the terminal: what was found in them, and setting them aside (`passerelle cancel`).

Sending one all the same is `passerelle replay --delivery`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from router.cli.base import config_option
from router.cli.terminal import actor, apply, now, opened
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
    from router.journal.actions import cancel_deliveries

    if not yes and not click.confirm(f"{len(deliveries)} delivery(ies) to set aside. Go on?"):
        return 1
    change = cancel_deliveries(deliveries, actor=actor(), now=now())
    with opened(config) as store:
        done = apply(store, change)
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
