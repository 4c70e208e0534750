"""`passerelle alarms`."""

from __future__ import annotations

from pathlib import Path

import click

from router.cli.base import Failed, config_file, config_option


@click.command("alarms")
@config_option
@click.option("--past", is_flag=True, help="Those that are over, the newest first.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Rows to show of --past.")
@click.option("--language", default="en", show_default=True, type=click.Choice(["fr", "en"]), help="Language.")
@click.option("--forget", metavar="NODE", default="", help="Close the alarm of a node that will not come back.")
def command_alarms(config: Path, past: bool, limit: int, language: str, forget: str) -> int:
    """List alarms in words.

    Exit status: 0 none goes on, 1 some do (with --past: always 0).

    \b
    Examples:
      passerelle alarms --config my-router
      passerelle alarms --past --language fr --config my-router
      passerelle alarms --forget work3 --config my-router
    """
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    from router.cli.journal import shown_time
    from router.cli.terminal import opened
    from router.config.load import load
    from router.engine.clock import micros
    from router.watch.alarms import open_alarms, past_alarms
    from router.watch.sentences import sentence
    from router.web.formatting import Formats
    from router.web.texts import Texts

    zone = ZoneInfo(load(config_file(config)).configuration.web.timezone)
    formats = Formats(Texts.of(language), zone, micros(datetime.now(UTC)))
    if forget:
        _forget(config, forget)
    with opened(config) as store, store.reading() as connection:
        found = past_alarms(connection, limit=limit) if past else open_alarms(connection)
    for alarm in found:
        by = f" [taken up by {alarm.acknowledged_by}]" if alarm.acknowledged_by else ""
        click.echo(f"{shown_time(alarm.opened_at)}  {sentence(alarm, formats).striptags()}{by}")
    if not found:
        click.echo("No alarm.")
    return 1 if found and not past else 0


def _forget(config: Path, node: str) -> None:
    from router.cli.terminal import actor, apply, now, opened
    from router.watch.alarms import open_alarms
    from router.watch.nodes import forget_node
    from router.watch.signs import SignKind

    with opened(config) as store:
        with store.reading() as connection:
            found = [one for one in open_alarms(connection) if one.kind is SignKind.NODE and one.subject == node[:120]]
        if not any(apply(store, forget_node(one.id, actor=actor(), now=now())) for one in found):
            raise Failed(f"no alarm goes on about a node {node}; see passerelle alarms")
