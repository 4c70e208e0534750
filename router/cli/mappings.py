"""`passerelle mappings`: the versions of the mappings, and what reading messages again with one would change."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from router.cli.base import Failed, config_file, config_option
from router.cli.journal import printed, shown_time
from router.cli.terminal import actor, apply, now, opened
from router.journal.mapping_versions import (
    EndMappings,
    mapping_version,
    mapping_versions,
    mappings_of,
    software_version,
)


@click.group("mappings")
def command_mappings() -> None:
    """Versions of the mappings: code maps, formats and options, as messages were read with them."""


@command_mappings.command("list")
@config_option
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Rows to show.")
def mappings_list(config: Path, limit: int) -> None:
    """List the versions, the newest first."""
    with opened(config) as store, store.reading() as connection:
        found = mapping_versions(connection, limit=limit)
    printed(("version", "first reading", "software"), [(one.id, shown_time(one.at), one.software) for one in found])


@command_mappings.command("show")
@config_option
@click.argument("number", type=int)
def mappings_show(config: Path, number: int) -> None:
    """Show what a version says."""
    with opened(config) as store, store.reading() as connection:
        kept = mappings_of(connection, store.sealer.clone(), number)
    if kept is None:
        raise Failed(f"there is no version {number} of the mappings")
    click.echo(f"Passerelle {kept.software}, {kept.timezone}")
    for side, ends in (("source", kept.sources), ("destination", kept.destinations)):
        for name, one in ends.items():
            click.echo(f"  {side} {name}: {_said(one)}")
    for line in sorted(kept.maps):
        click.echo(f"  {line.sender} {line.term.code} = {line.target.code} {line.target.display or ''}".rstrip())


@command_mappings.command("compare")
@config_option
@click.argument("number", type=int)
@click.option("--message", "messages", type=int, multiple=True, required=True, help="Read this message (repeatable).")
def mappings_compare(config: Path, number: int, messages: tuple[int, ...]) -> int:
    """Show what reading messages again with a version would change; nothing is kept or sent.

    \b
    Exit status: 0 nothing would change, 1 something would.
    \b
    Example: passerelle mappings compare 12 --message 1042, then passerelle replay --message 1042 --mappings 12
    """
    from router.cli.plan import show_differences
    from router.config.load import load
    from router.engine.plan import plan_of
    from router.engine.worker import Worker
    from router.journal.actions import record_audit
    from router.journal.view import viewing
    from router.web.rereading import reread_many
    from router.whatif.replaying import load_raws, with_mappings

    loaded = load(config_file(config))
    with opened(config) as store:
        with store.reading() as connection:
            version = mapping_version(connection, number)
        if version is None:
            raise Failed(f"there is no version {number} of the mappings")
        raws = with_mappings(load_raws(store, store.sealer.clone(), sorted(set(messages))), number)
        if not raws:
            raise Failed("there is no such message")
        told = ", ".join(str(raw.message_id) for raw in raws)[:200]
        apply(store, record_audit(actor(), "compare reading", f"{len(raws)} rows", now=now(), detail=told))
        prepared = Worker(plan_of(loaded, store.sealer.master), store).process(raws, datetime.now(UTC))
        with viewing(store) as view:
            report = reread_many(view, prepared)
    if not version.of_this_software:
        click.echo(
            f"Version {number} was used with Passerelle {version.software}; {software_version()} reads with it now.",
            err=True,
        )
    show_differences(report)
    click.echo(f"{report.changed} of {report.compared} message(s) would come out otherwise.")
    return 1 if report.changed else 0


def _said(one: EndMappings) -> str:
    from router.web.flow_facts import shown_option

    options = [f"{name}={shown_option(name, value)}" for name, value in sorted(one.options.items())]
    return ", ".join(part for part in (one.connector, one.format, one.charset, *options) if part)
