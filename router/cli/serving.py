"""`passerelle serve`."""

from __future__ import annotations

from pathlib import Path

import click

from router.cli.base import config_file, config_option


@click.command("serve")
@config_option
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the addresses (JSON) here once everything listens.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    envvar="PASSERELLE_LOG_FORMAT",
    help="How to log on standard error; unset: as `[observe] log_format` says.",
)
@click.option(
    "--role",
    type=click.Choice(["all", "receive", "work", "web"]),
    default="all",
    show_default=True,
    envvar="PASSERELLE_ROLE",
    help="What this node of a cluster does (`[cluster]`): receive messages, work on them, show the dashboard, or all.",
)
def command_serve(config: Path, ready_file: Path | None, log_format: str | None, role: str) -> None:
    """Run the router until Ctrl-C or SIGTERM, which stop it gracefully.

    \b
    Examples:
      passerelle serve --config my-router
      passerelle serve --config my-router --ready-file /run/passerelle.ready
      passerelle serve --config my-router --role work
    """
    from router.certificates import certificate_notes
    from router.config.load import load
    from router.engine.clock import utc_now
    from router.engine.serve import Ready, serve

    loaded = load(config_file(config))
    if log_format is not None:
        loaded = loaded.logging_as(log_format)

    def ready(where: Ready) -> None:
        click.echo(f"Dashboard  {where.web}")
        for name, address in where.sources.items():
            click.echo(f"Source     {name}  {address or 'not listening (see the dashboard)'}")
        for note in certificate_notes(loaded, utc_now()):
            click.echo(f"Warning    {note.sentence}", err=True)
        click.echo("Ready. Ctrl-C stops gracefully.")

    serve(loaded, ready=ready, ready_file=ready_file, role=role)
