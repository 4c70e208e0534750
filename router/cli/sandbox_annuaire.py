"""`passerelle sandbox annuaire`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click


@click.command("annuaire")
@click.option("--people", default=200, show_default=True, help="Fictitious professionals that the API knows.")
@click.option("--extract", type=click.Path(path_type=Path, dir_okay=False), help="Write an extraction here as well.")
@click.option("--lines", default=5000, show_default=True, help="Lines of that extraction.")
def command_sandbox_annuaire(people: int, extract: Path | None, lines: int) -> None:
    """Run the directory's FHIR API with fictitious professionals, and print the section to paste.

    \b
    Examples:
      passerelle sandbox annuaire --extract extraction.txt
    """
    from connectors.sandbox.annuaire import KEY, AnnuaireSandbox, professionals
    from connectors.sandbox.extracts import write_extract

    files = ""
    if extract is not None:
        write_extract(extract, lines)
        files = f'files = ["{extract.absolute()}"]\n'

    async def run() -> None:
        async with AnnuaireSandbox(professionals(people)) as annuaire:
            click.echo(f'[annuaire]\nurl = "{annuaire.url}"\napi_key = "{KEY}"\n{files}\nReady. Ctrl-C ends it.')
            await asyncio.Event().wait()

    asyncio.run(run())
