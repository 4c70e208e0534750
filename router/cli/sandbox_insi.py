"""`passerelle sandbox insi`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from router.cli.base import Failed

MOODS = ("well", "down", "slow", "html", "busy", "forbidden", "technical", "unknown_software", "no_rights", "several")


@click.command("insi")
@click.option("--port", default=0, show_default=True, help="Port on the loopback; 0 takes any.")
@click.option("--people", default=100, show_default=True, type=click.IntRange(0, 10_000), help="Fictitious people.")
@click.option("--mood", default="well", show_default=True, type=click.Choice(MOODS), help="How the service behaves.")
@click.option(
    "--schemas",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the public schemas: each request is validated, and what it breaks is printed.",
)
def command_sandbox_insi(port: int, people: int, mood: str, schemas: Path | None) -> int:
    """Serve INSi with fictitious people, and the public persons of the qualification platform.

    \b
    Examples:
      passerelle sandbox insi
      passerelle sandbox insi --mood busy
    """
    try:
        asyncio.run(_serve(port, people, mood, schemas))
    except KeyboardInterrupt:
        return 0
    except OSError as problem:
        raise Failed(f"port {port} cannot be used: {problem.strerror}; choose another with --port") from None
    return 0


async def _serve(port: int, people: int, mood: str, schemas: Path | None) -> None:
    from connectors.ins.sandbox import InsiSandbox, Mood
    from connectors.sandbox.people import population

    async with InsiSandbox(population(people), port=port, schemas=schemas) as insi:
        insi.mood = Mood(mood)
        click.echo(f'[insi]\nurl = "{insi.url}"\nauthorisation = "TEST"\nemitter = "10B0000000"\n')
        click.echo(f"INSi (sandbox) serves {people} fictitious people. Ctrl-C stops.")
        told = 0
        while True:
            await asyncio.sleep(0.5)
            for violation in insi.violations[told:]:
                click.echo(f"a request breaks the schema: {violation}", err=True)
            told = len(insi.violations)
