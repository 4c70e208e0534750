"""`passerelle merges`: merges of two patients that messages made, what undoing one would do, and undoing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.cli.base import Failed, config_file, config_option
from router.cli.terminal import actor, apply, now, opened

if TYPE_CHECKING:
    from router.identity.flows_foreseen import Foreseen

NUMBER = click.argument("number", type=int, metavar="MERGE")


@click.group("merges")
def command_merges() -> None:
    """List merges of two patients that messages made, and undo a wrong one."""


@command_merges.command("list")
@config_option
@click.option("--state", type=click.Choice(["standing", "undone"]), help="Only those that stand, or were undone.")
@click.option("--patient", type=int, help="Only those of this patient of the register.")
@click.option("--before", type=int, help="Go on before this merge.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
def list_merges(config: Path, state: str | None, patient: int | None, before: int | None, limit: int) -> int:
    """List merges, newest first, without a name.

    \b
    Examples:
      passerelle merges list --state standing --config my-router
      passerelle merges list --patient 12
    """
    from router.cli.journal import printed, shown_time
    from router.desk.merges import MergeState, merges
    from router.journal.view import viewing

    since = _retained_since(config)
    with opened(config) as store, viewing(store) as view:
        found = merges(
            view,
            state=MergeState(state) if state else None,
            patient_id=patient,
            before=before,
            limit=limit,
            not_before=since,
        )
    if not found:
        click.echo("No merge.")
        return 0
    heads = ("merge", "at", "message", "absorbed", "survivor", "state", "undone", "why")
    rows = [
        (
            str(one.id),
            shown_time(one.at),
            str(one.item.message_id) if one.item is not None else "erased",
            f"patient {one.absorbed.patient_id}",
            f"patient {one.survivor.patient_id}",
            one.state.value if one.refusal is None or one.undone_at is not None else f"standing, {one.refusal.value}",
            f"{shown_time(one.undone_at)} by {one.undone_by}" if one.undone_at is not None else "",
            one.why,
        )
        for one in found
    ]
    printed(heads, rows)
    return 0


@command_merges.command("undo")
@NUMBER
@click.option("--why", required=True, help="Why, in a few words: kept sealed with the merge.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def undo(number: int, why: str, yes: bool, config: Path) -> int:
    """Undo a merge: say what it will do, ask, do it. Noted in the audit.

    \b
    Exit status: 0 undone, 1 not wanted after all, 2 it cannot be undone.
    \b
    Examples:
      passerelle merges undo 3 --why "two persons, the sender confirms" --config my-router
    """
    from router.desk.merges import SENTENCES
    from router.identity.flows_foreseen import Foreseen
    from router.identity.flows_merge import LONGEST_WHY, foresee_undoing, undo_merge
    from router.journal.view import viewing

    why = why.strip()
    if not why or len(why) > LONGEST_WHY:
        raise Failed(f"say why, in at most {LONGEST_WHY} characters")
    since = _retained_since(config)
    with opened(config) as store:
        if not yes:
            with viewing(store) as view:
                foreseen = foresee_undoing(view, number, not_before=since)
            if not isinstance(foreseen, Foreseen):
                raise Failed(SENTENCES[foreseen])
            click.echo(_figures(foreseen))
            if not click.confirm(f"Undo merge {number}?"):
                return 1
        undone = apply(store, undo_merge(number, actor=actor(), why=why, now=now(), not_before=since))
    if undone.refusal is not None:
        raise Failed(SENTENCES[undone.refusal])
    click.echo(f"Patients {undone.survivor_id} and {undone.absorbed_id} are two again. {_figures(undone.done)}")
    return 0


def _figures(found: Foreseen) -> str:
    return (
        f"Came or prepared since: {found.came}, of which not (surely) the survivor's: {found.moved}; "
        f"decided and prepared anew: {found.anew}; waiting deliveries stopped: {found.stopped}; "
        f"had left, their receivers must be told (a task each): {found.told}."
    )


def _retained_since(config: Path) -> int:
    from router.config.load import load
    from router.desk.merges import kept_since

    return kept_since(now(), load(config_file(config)).configuration.journal.retention_days)
