"""`passerelle messages`, `deliveries`, `dead-letters`, `replay`: the journal from the terminal.

Patients' names stay out of these lists: the terminal keeps what it showed. They work beside a running router.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Select, func, select

from router.cli.base import Failed, config_option
from router.cli.held import print_findings
from router.cli.terminal import actor, apply, now, opened
from router.engine.clock import moment
from router.journal import tables
from router.journal.store import Store

_LIMIT = click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Rows to show.")
WIDE = 200
"""Columns used when the output goes to a file or another program, where nothing should be cut."""

_STATE_HELP = "Only those in this state (repeatable)."


def rows_of(store: Store, statement: Select[Any]) -> Sequence[Any]:
    """Give what a statement finds."""
    with store.reading() as connection:
        return connection.execute(statement).all()


def printed(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(*titles, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    console.print(table)


def shown_time(at: int | None) -> str:
    """Write a time of the journal as the terminal's zone has it."""
    return moment(at).astimezone().strftime("%Y-%m-%d %H:%M:%S") if at is not None else ""


@click.command("messages")
@config_option
@_LIMIT
@click.option("--state", "states", multiple=True, help=_STATE_HELP)
@click.option("--source", help="Only those of this source.")
@click.option("--control-id", help="Only the one with this control id.")
@click.option("--counts", is_flag=True, help="Only count them, by state.")
def command_messages(
    config: Path, limit: int, states: tuple[str, ...], source: str | None, control_id: str | None, counts: bool
) -> None:
    """List messages, the newest first.

    \b
    Examples:
      passerelle messages --config my-router
      passerelle messages --state held --state rejected
      passerelle messages --counts
    """
    column = tables.message.c
    with opened(config) as store:
        if counts:
            found = rows_of(store, select(column.state, func.count()).group_by(column.state).order_by(column.state))
            printed(("state", "messages"), [tuple(row) for row in found])
            return
        statement = select(tables.message).order_by(column.id.desc()).limit(limit)
        if states:
            statement = statement.where(column.state.in_(states))
        if source:
            statement = statement.where(column.source == source)
        if control_id:
            statement = statement.where(column.control_id == control_id)
        printed(
            ("id", "received", "source", "type", "format", "control id", "state", "bytes", "duplicates"),
            [
                (
                    row.id,
                    shown_time(row.received_at),
                    row.source,
                    row.message_type,
                    row.format,
                    row.control_id,
                    row.state,
                    row.size,
                    row.duplicates,
                )
                for row in rows_of(store, statement)
            ],
        )


@click.command("deliveries")
@config_option
@_LIMIT
@click.option("--state", "states", multiple=True, help=_STATE_HELP)
@click.option("--destination", help="Only those to this destination.")
@click.option("--message", type=int, help="Only those of this message.")
@click.option("--counts", is_flag=True, help="Only count them, by destination and state.")
@click.option("--findings", is_flag=True, help="Also what was noticed when each was written, or checked and held.")
def command_deliveries(
    config: Path,
    limit: int,
    states: tuple[str, ...],
    destination: str | None,
    message: int | None,
    counts: bool,
    findings: bool,
) -> None:
    """List deliveries, the newest first.

    \b
    Examples:
      passerelle deliveries --state dead --destination coordination
      passerelle deliveries --state held --findings
      passerelle deliveries --counts
    """
    column = tables.delivery.c
    with opened(config) as store:
        if counts:
            grouped = select(column.destination, column.state, func.count()).group_by(column.destination, column.state)
            found = rows_of(store, grouped.order_by(column.destination, column.state))
            printed(("destination", "state", "deliveries"), [tuple(row) for row in found])
            return
        statement = select(tables.delivery).order_by(column.id.desc()).limit(limit)
        if states:
            statement = statement.where(column.state.in_(states))
        if destination:
            statement = statement.where(column.destination == destination)
        if message is not None:
            statement = statement.where(column.message_id == message)
        rows = rows_of(store, statement)
        printed(
            ("id", "message", "destination", "state", "attempts", "created", "ended", "next attempt", "detail"),
            [
                (
                    row.id,
                    row.message_id,
                    row.destination,
                    row.state,
                    row.attempts,
                    shown_time(row.created_at),
                    shown_time(row.ended_at),
                    shown_time(row.next_attempt_at),
                    row.detail,
                )
                for row in rows
            ],
        )
        if findings:
            print_findings(store, [row.id for row in rows])


@click.command("dead-letters")
@config_option
def command_dead_letters(config: Path) -> None:
    """List what could not be delivered, by destination and cause, with the age of the oldest.

    \b
    Examples:
      passerelle dead-letters --config my-router
      passerelle replay --dead coordination --config my-router
    """
    column = tables.delivery.c
    statement = (
        select(column.destination, column.detail, func.count(), func.min(column.created_at), func.max(column.id))
        .where(column.state == tables.DeliveryState.DEAD.value)
        .group_by(column.destination, column.detail)
        .order_by(func.count().desc())
    )
    with opened(config) as store:
        found = rows_of(store, statement)
    if not found:
        click.echo("Nothing is dead: everything was delivered, waits, or was set aside by a person.")
        return
    printed(
        ("destination", "cause", "deliveries", "oldest", "e.g."),
        [(name, detail, count, shown_time(oldest), example) for name, detail, count, oldest, example in found],
    )


@click.command("replay")
@config_option
@click.option("--message", "messages", type=int, multiple=True, help="Read this message again (repeatable).")
@click.option("--delivery", "deliveries", type=int, multiple=True, help="Send this delivery again (repeatable).")
@click.option("--dead", metavar="DESTINATION", help="Send again all that is dead for this destination.")
@click.option("--mappings", type=int, metavar="VERSION", help="Read messages with this version of the mappings.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command_replay(
    config: Path,
    messages: tuple[int, ...],
    deliveries: tuple[int, ...],
    dead: str | None,
    mappings: int | None,
    yes: bool,
) -> int:
    """Read messages again with today's configuration, or send deliveries again. The count is shown first.

    \b
    Examples:
      passerelle replay --message 1042
      passerelle replay --message 1042 --mappings 12
      passerelle replay --dead coordination --yes
    """
    from router.journal.actions import replay_deliveries, replay_messages, sendable
    from router.journal.mapping_versions import mapping_version
    from router.journal.operations import Change

    with opened(config) as store:
        chosen = list(deliveries)
        if dead:
            column = tables.delivery.c
            wanted = select(column.id).where(
                column.state == tables.DeliveryState.DEAD.value, column.destination == dead
            )
            chosen += [row.id for row in rows_of(store, wanted)]
        if not messages and not chosen:
            click.echo("Nothing to replay.")
            return 1
        version = None
        if mappings is not None:
            with store.reading() as connection:
                version = mapping_version(connection, mappings)
            if version is None or not messages:
                raise Failed(f"there is no version {mappings}" if messages else "--mappings goes with --message")
        sentence = f"{len(messages)} message(s) to read again, {len(chosen)} delivery(ies) to send again."
        if yes:
            click.echo(sentence)
        elif not click.confirm(f"{sentence} Go on?"):
            return 1
        at = now()
        with store.reading() as connection:
            barred = sendable(connection, store.sealer, chosen)
        changes: list[Change[int]] = []
        if messages:
            changes.append(replay_messages(messages, actor=actor(), now=at, mappings=mappings))
        changes += [
            replay_deliveries(chosen[first : first + 500], actor=actor(), now=at)
            for first in range(0, len(chosen), 500)
        ]
        done = sum(apply(store, change) for change in changes)
    click.echo(f"{done} will go again; a running router takes them up at once, else at its next start.")
    for number, why in sorted(barred.items()):
        click.echo(f"Delivery {number} is left as it is. {why.sentence}", err=True)
    return 0
