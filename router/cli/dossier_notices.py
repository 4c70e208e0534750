"""`passerelle dossier notices`: who was told of what, and how it ended."""

from __future__ import annotations

from pathlib import Path

import click

from router.cli.base import Failed, config_option
from router.cli.dossier_desk import ask, by_now, patient_number, show_table
from router.cli.terminal import opened

STATES = ("queued", "leaving", "sent", "delivered", "read", "failed", "cancelled")


@click.command("notices")
@click.argument("patient")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only those in this state.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@config_option
def command_notices(patient: str, states: tuple[str, ...], limit: int, config: Path) -> int:
    """Show who was told of what in a dossier, by which channel, and how it ended; newest first. Audited.

    \b
    Examples:
      passerelle dossier notices 12
      passerelle dossier notices 12 --state failed
    """
    from router.dossier.keeping import dossier_of
    from router.dossier.leaving.board import notice_lines
    from router.dossier.leaving.channels import why
    from router.engine.clock import moment
    from router.journal.view import View

    by_now()
    with opened(config) as store:
        number = patient_number(store, patient)

        def look(view: View) -> list[tuple[str, ...]] | None:
            line = dossier_of(view.connection, view.sealer, number)
            if line is None:
                return None
            return [
                (
                    f"{moment(one.at):%Y-%m-%d %H:%M:%S}",
                    one.event,
                    one.level,
                    one.who,
                    one.channel,
                    one.state,
                    f"{moment(one.changed_at):%Y-%m-%d %H:%M:%S}",
                    f"delivery {one.delivery_id}" if one.delivery_id and not one.detail else why(one.detail),
                )
                for one in notice_lines(view, line.id, states=states, limit=limit)
            ]

        rows = ask(store, look, audit=("read dossier", f"patient {number}"))
    if rows is None:
        raise Failed("this patient has no dossier; `passerelle dossier open` opens one")
    heads = ("of (UTC)", "event", "level", "who", "channel", "state", "since (UTC)", "why or by what")
    show_table(heads, rows, "Nobody was told of anything.")
    return 0
