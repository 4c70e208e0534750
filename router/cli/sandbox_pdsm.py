"""`passerelle sandbox pdsm`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from connectors.address import parse_address
from router.cli.base import Failed


@click.command("pdsm")
@click.option("--listen", default="127.0.0.1:8095", show_default=True, help="host:port; port 0 takes a free one.")
@click.option("--token", help="Bearer token that it wants; without it, anybody is let in.")
@click.option("--people", default=20, show_default=True, help="Fictitious people that it knows, Mme TESTROSE first.")
@click.option(
    "--deposit",
    "deposits",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PDF that a general practitioner has submitted about Mme TESTROSE; may be given several times.",
)
@click.option("--known-only", is_flag=True, help="Refuse submissions about patients that it does not know.")
def command_sandbox_pdsm(
    listen: str, token: str | None, people: int, deposits: tuple[Path, ...], known_only: bool
) -> int:
    """Run a document-sharing server: submission, search, retrieval, PATCH of a document's state.

    It prints what to write into passerelle.toml, and keeps everything in memory. `PUT /mood/NAME` makes it fail as real
    ones do (unavailable, hang, drop, half, truncated, redirect…); `PUT /mood/ok` ends that.

    \b
    Examples:
      passerelle sandbox pdsm --deposit letter.pdf
      curl -X PUT http://127.0.0.1:8095/mood/unavailable
    """
    try:
        address = parse_address(listen)
    except ValueError as wrong:
        raise Failed(f"--listen {listen}: {wrong}") from None
    try:
        asyncio.run(_serve(address.host, address.port, token, people, deposits, known_only=known_only))
    except OSError as failure:
        raise Failed(f"--listen {listen}: {failure.strerror or type(failure).__name__}") from None
    return 0


async def _serve(
    host: str, port: int, token: str | None, people: int, deposits: tuple[Path, ...], *, known_only: bool
) -> None:
    from connectors.sandbox.pdsm import DocumentServer, serving
    from connectors.sandbox.people import INS_TEST_OID, ROSE, population

    server = DocumentServer(token=token)
    server.store.any_patient = not known_only
    system = f"urn:oid:{INS_TEST_OID}"
    for person in population(people):
        server.store.add_patient(system, person.matricule)
    for path in deposits:
        server.deposit(system, ROSE.matricule, path.read_bytes(), title=path.stem)
    async with serving(server, host, port) as base:
        click.echo(f"PDSm sandbox at {base}: {people} patients, {len(deposits)} documents. Ctrl-C ends it.\n")
        secret = f'token = "{token}"\n' if token else ""
        click.echo(f'[destinations.pdsm]\nconnector = "pdsm"\nurl = "{base}"\n{secret}')
        click.echo(f'[sources.pdsm]\nconnector = "pdsm"\nurl = "{base}"\n{secret}every = 60')
        await asyncio.Event().wait()
