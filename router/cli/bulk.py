"""`passerelle reroute` and `passerelle bulk`: actions on many rows from the terminal, carried out by the router."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import click
from sqlalchemy import select

from router.bulk.jobs import MOST, BulkAction, Job, JobState, Preview, list_jobs, load_job, start_job, stop_job
from router.bulk.outcomes import left_by_reason
from router.bulk.planning import keep_preview, plan_job, preview_of
from router.bulk.undoing import plan_undo, undoable
from router.cli.base import Failed, config_file, config_option
from router.cli.journal import printed, shown_time
from router.cli.terminal import actor, apply, now, opened
from router.journal import tables
from router.journal.store import Store

R = TypeVar("R")


@click.command("reroute")
@config_option
@click.option("--message", "messages", type=int, multiple=True, help="What this message said (repeatable).")
@click.option("--delivery", "deliveries", type=int, multiple=True, help="What this delivery carries (repeatable).")
@click.option("--dead", metavar="DESTINATION", help="What all dead deliveries of this destination carry.")
@click.option("--to", "destination", metavar="DESTINATION", help="Send it to this destination.")
@click.option("--route", metavar="ROUTE", help="Send it where this route leads, whatever its condition.")
@click.option("--set-aside", is_flag=True, help="Set aside the deliveries named, as far as they have not left.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command_reroute(
    config: Path,
    messages: tuple[int, ...],
    deliveries: tuple[int, ...],
    dead: str | None,
    destination: str | None,
    route: str | None,
    set_aside: bool,
    yes: bool,
) -> int:
    """Send items to another destination, or by another route. What will happen is shown first.

    Who has an item, or is about to get it, does not get it twice. A running router takes the action up at once, else
    at its next start: `passerelle bulk show NUMBER` tells how far it is.

    \b
    Examples:
      passerelle reroute --dead coordination --to archive --set-aside
      passerelle reroute --message 1042 --route "laboratory results to the dossier"
    """
    from router.config.load import load

    configuration = load(config_file(config)).configuration
    routes = {one.name: one.to for one in configuration.routes}
    if bool(destination) is bool(route):
        raise Failed("name either --to DESTINATION or --route ROUTE")
    if destination and destination not in configuration.destinations:
        raise Failed(f"there is no destination {destination}; there are: {', '.join(configuration.destinations)}")
    if route and route not in routes:
        raise Failed(f"there is no route “{route}”; there are: {', '.join(routes)}")
    if bool(messages) is bool(deliveries or dead):
        raise Failed("name messages (--message), or deliveries (--delivery, --dead)")
    target = f"destination:{destination}" if destination else f"route:{route}"
    with opened(config) as store:
        ids, more = _chosen(store, messages, deliveries, dead)
        planned = plan_job(
            BulkAction.REROUTE,
            ids,
            actor=actor(),
            now=now(),
            back="/bulk",
            more=more,
            target=target,
            set_aside=set_aside,
            of_deliveries=not messages,
        )
        number = apply(store, planned)
        with store.reading() as connection:
            preview = preview_of(connection, store.sealer, number, routes)
        apply(store, keep_preview(number, preview))
        _print_preview(preview, more=more)
        if not preview.will:
            click.echo("Nothing to reroute.")
            return 1
        if not yes and not click.confirm("Go on?"):
            return 1
        apply(store, start_job(number, actor=actor(), now=now()))
    click.echo(f"Action {number}; a running router takes it up at once, else at its next start.")
    return 0


def _chosen(
    store: Store, messages: tuple[int, ...], deliveries: tuple[int, ...], dead: str | None
) -> tuple[list[int], bool]:
    ids = set(messages or deliveries)
    if dead:
        column = tables.delivery.c
        state = column.state == tables.DeliveryState.DEAD.value
        wanted = select(column.id).where(state, column.destination == dead).order_by(column.id).limit(MOST + 1)
        with store.reading() as connection:
            ids |= set(connection.execute(wanted).scalars())
    return sorted(ids)[:MOST], len(ids) > MOST


def _print_preview(preview: Preview, *, more: bool) -> None:
    click.echo(f"{preview.will} item(s) will leave, about {preview.patients} patient(s).")
    for name, count in preview.destinations.items():
        click.echo(f"  to {name}: {count}")
    for kind, count in preview.kinds.items():
        click.echo(f"  {kind}: {count}")
    for why, count in preview.left.items():
        click.echo(f"  left alone, {why}: {count}")
    if more:
        click.echo(f"There are more: one action takes {MOST} at most.")


@click.group("bulk")
def command_bulk() -> None:
    """Actions on many rows: how far they are, stopping one, taking one back."""


@command_bulk.command("list")
@config_option
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Rows to show.")
def bulk_list(config: Path, limit: int) -> None:
    """List the actions that were started, the newest first."""
    with opened(config) as store, store.reading() as connection:
        found = list_jobs(connection, limit=limit)
    printed(
        ("id", "began", "action", "target", "by", "state", "done", "of"),
        [
            (job.id, shown_time(job.started_at), job.action, job.target, job.actor, job.state, job.done, job.total)
            for job in found
        ],
    )


@command_bulk.command("show")
@config_option
@click.argument("number", type=int)
def bulk_show(config: Path, number: int) -> int:
    """Show how far an action is, what was left alone and why, what can be taken back."""
    with opened(config) as store, store.reading() as connection:
        job = _job(load_job(connection, number), number)
        left, back = left_by_reason(connection, number), undoable(connection, job)
    click.echo(
        f"{job.action} {job.target}".rstrip() + f": {job.state}, {job.done} of {job.total}, {job.changed} acted upon"
    )
    for why, count in left.items():
        click.echo(f"  left alone, {why}: {count}")
    if job.problem:
        click.echo(job.problem)
    if back:
        click.echo(f"{back} can be taken back: passerelle bulk undo {number}")
    return 1 if job.state is JobState.FAILED else 0


@command_bulk.command("stop")
@config_option
@click.argument("number", type=int)
def bulk_stop(config: Path, number: int) -> int:
    """Stop an action that runs; what was done stays done."""
    with opened(config) as store:
        stopped = apply(store, stop_job(number, actor=actor(), now=now()))
    click.echo("Stopped." if stopped else f"Action {number} does not run.")
    return 0 if stopped else 1


@command_bulk.command("undo")
@config_option
@click.argument("number", type=int)
def bulk_undo(config: Path, number: int) -> int:
    """Take back what can be taken back of an action: what has not left."""
    with opened(config) as store:
        made = apply(store, plan_undo(number, actor=actor(), now=now()))
    if made is None:
        click.echo(f"Nothing of action {number} can be taken back.")
        return 1
    click.echo(f"Action {made} takes it back; a running router takes it up at once, else at its next start.")
    return 0


def _job(found: Job | None, number: int) -> Job:
    if found is None:
        raise Failed(f"there is no action {number}")
    return found
