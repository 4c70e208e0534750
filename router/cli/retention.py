"""`passerelle journal`: what retention takes, in figures, and what must stay."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.cli.base import config_file, config_option
from router.cli.journal import printed, shown_time
from router.cli.terminal import actor, apply, now, opened

if TYPE_CHECKING:
    from router.journal.retention import Kind
    from router.journal.store import Store


@click.group("journal")
def command_journal() -> None:
    """See and run what retention erases, hold what must stay, and look the journal over."""


@command_journal.command("purge")
@config_option
@click.option("--dry-run", is_flag=True, help="Only say in figures what would go, and what stays though it is old.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def journal_purge(config: Path, dry_run: bool, yes: bool) -> int:
    """Erase now what is past its retention, as a running router does every hour.

    In small groups, beside a router that goes on. Contents that no row names any more are removed by the router.

    \b
    Examples:
      passerelle journal purge --dry-run
      passerelle journal purge --yes
    """
    from router.config.load import load
    from router.engine.housekeeping import kept_days
    from router.journal.retention import DAY_MICROS, Kind, preview

    days = kept_days(load(config_file(config)).configuration)
    limits = {kind: now() - kept * DAY_MICROS if kept else None for kind, kept in days.items()}
    with opened(config) as store:
        with store.reading() as connection:
            due = [preview(connection, kind, limit) for kind, limit in limits.items()]
        printed(
            ("what", "kept", "would go", "from", "to", "bytes received", "old and waiting", "old and held"),
            [
                (one.kind.value, f"{days[one.kind]} days", one.rows, shown_time(one.oldest), shown_time(one.newest))
                + ((one.size, one.waiting, one.held) if one.kind is Kind.MESSAGES else ("", "", ""))
                if one.limit is not None
                else (one.kind.value, "for good", "", "", "", "", "", "")
                for one in due
            ],
        )
        total = sum(one.rows for one in due)
        if dry_run or not total:
            return 0
        if not yes and not click.confirm(f"Erase {total} rows with all that came of them?"):
            return 1
        gone = sum(_erase(store, kind, limit) for kind, limit in limits.items() if limit is not None)
    click.echo(f"{gone} rows erased.")
    return 0


def _erase(store: Store, kind: Kind, limit: int) -> int:
    """Erase group after group, each in a transaction of its own; gives how many rows went."""
    from router.journal.operations import Change
    from router.journal.pacing import Pace
    from router.journal.retention import Kind, erasable, erase_messages, erase_rows

    pace, gone, after = Pace(10, 200), 0, (0, 0)
    while True:
        if kind is Kind.MESSAGES:
            with store.reading() as connection:
                found = erasable(connection, limit, after, pace.size)
            if not found:
                return gone
            after, group = found[-1], partial(erase_messages, numbers=[number for _, number in found])
        else:
            group = partial(erase_rows, kind=kind, limit=limit, size=pace.size)
        with pace.timed():
            count = apply(store, Change(group, note="retention"))
        if kind is not Kind.MESSAGES and not count:
            return gone
        gone += count


@command_journal.command("hold")
@config_option
@click.option("--message", type=int, help="Keep this message, with all that came of it.")
@click.option("--patient", type=int, help="Keep every message about this patient, also under merged numbers.")
@click.option("--reason", required=True, help="Why, without a person's name: a file's number.")
def journal_hold(config: Path, message: int | None, patient: int | None, reason: str) -> None:
    """Keep something from being erased until the hold is lifted.

    \b
    Examples:
      passerelle journal hold --patient 12 --reason "dossier 2026-114"
      passerelle journal lift 1
    """
    from router.journal.retention import set_hold

    if (message is None) == (patient is None):
        raise click.UsageError("give --message or --patient")
    subject, number = ("message", message) if message is not None else ("patient", patient or 0)
    with opened(config) as store:
        made = apply(store, set_hold(subject, number, reason, actor=actor(), now=now()))
    click.echo(f"Hold {made}: {subject} {number} is kept until `passerelle journal lift {made}`.")


@command_journal.command("lift")
@click.argument("hold", type=int)
@config_option
def journal_lift(hold: int, config: Path) -> None:
    """Lift a hold: what it kept goes with the next erasure if it is past its retention."""
    from router.journal.retention import lift_hold

    with opened(config) as store:
        apply(store, lift_hold(hold, actor=actor(), now=now()))
    click.echo(f"Hold {hold} is lifted.")


@command_journal.command("holds")
@config_option
@click.option("--all", "lifted", is_flag=True, help="Also those that were lifted.")
def journal_holds(config: Path, lifted: bool) -> None:
    """List the holds."""
    from router.journal.retention import holds

    with opened(config) as store, store.reading() as connection:
        found = holds(connection, lifted=lifted)
    printed(
        ("hold", "keeps", "since", "by", "reason", "lifted", "by"),
        [
            (
                one.id,
                f"{one.subject} {one.number}",
                shown_time(one.at),
                one.actor,
                one.reason,
                shown_time(one.lifted_at),
                one.lifted_by,
            )
            for one in found
        ],
    )


@command_journal.command("verify")
@config_option
@click.option("--known", default="", help="An audit head that was noted earlier: whether the chain passes through it.")
def journal_verify(config: Path, known: str) -> int:
    """Look the journal over, as after a restore: counts, newest values opened, contents there, the audit's chain.

    Exit status 1 when something is missing or altered.
    """
    from router.keeping.recovering import look_over

    with opened(config) as store:
        state = look_over(store, known)
    click.echo(f"{state.messages} messages, the newest received {shown_time(state.newest_at) or 'never'}")
    for name, number in sorted(state.deliveries.items()):
        click.echo(f"{number} deliveries {name}")
    click.echo(f"{state.opened} of the newest values open with the key, {state.closed} do not")
    click.echo(f"{state.missing_blobs} large contents are named and missing")
    passes = {
        None: "",
        True: ", and passes through the known head",
        False: ", and does not pass through the known head",
    }
    broken = "is whole" if state.chain.broken is None else f"is broken at row {state.chain.broken}"
    click.echo(f"The audit's chain of {state.chain.rows} rows {broken}{passes[state.chain.known]}")
    return 0 if state.whole else 1
