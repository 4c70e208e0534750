"""`passerelle sandbox dmp`."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.cli.base import Failed

if TYPE_CHECKING:
    from connectors.sandbox.dmp import DmpSandbox

_FOLDER = click.Path(path_type=Path, file_okay=False)
_THERE = click.Path(path_type=Path, file_okay=False, exists=True)


@click.command("dmp")
@click.option(
    "--folder",
    type=_FOLDER,
    default=Path("sandbox-dmp"),
    show_default=True,
    help="Where its documents and certificates are kept; what is there is taken up again.",
)
@click.option(
    "--schemas", type=_THERE, help="Folder of the public XSD (IHE, ebRS, HL7V3, saml): messages are held to them."
)
@click.option(
    "--value-sets", type=_THERE, help="Folder of the ANS's value sets (JDV_J07….xml): codes are held to them."
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the services; 0 takes a free one.")
@click.option("--plain", is_flag=True, help="Plain HTTP instead of mutual TLS, on this machine alone.")
@click.option("--unsigned", is_flag=True, help="Take a VIHF and a lot without verifying their signatures.")
@click.option(
    "--deposit",
    type=click.IntRange(0, 100),
    default=0,
    help="Documents that her doctor deposits for Mme TESTROSE first.",
)
def command_sandbox_dmp(
    folder: Path, schemas: Path | None, value_sets: Path | None, port: int, plain: bool, unsigned: bool, deposit: int
) -> None:
    """Run a DMP of fictitious people, until Ctrl-C: submission, search, retrieval, updates, authorisations.

    It prints the settings to paste into passerelle.toml, and the address of a page that lists what it holds.

    \b
    Examples:
      passerelle sandbox dmp
      passerelle sandbox dmp --folder /tmp/dmp --schemas annexe-wsdl-schema/schema --deposit 2
    """
    from connectors.sandbox.dmp import DmpSandbox
    from connectors.sandbox.dmp.rules import Checks
    from connectors.sandbox.dmp.value_sets import ValueSets

    checks = Checks(vihf=not unsigned, lot_signature=not unsigned, values=ValueSets(value_sets))
    dmp = DmpSandbox(folder, tls=not plain, port=port, schemas=schemas, checks=checks)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(dmp, deposit))


async def _serve(dmp: DmpSandbox, documents: int) -> None:
    from connectors.sandbox.dmp.others import deposit

    try:
        async with dmp:
            for _ in range(documents):
                await asyncio.to_thread(deposit, dmp.store)
            click.echo(_settings(dmp))
            click.echo(f"Page     {dmp.page_url}")
            click.echo("Ready. Ctrl-C stops.")
            await asyncio.Event().wait()
    except OSError as problem:
        raise Failed(
            f"the sandbox cannot start: {problem.strerror or problem} ({problem.filename or dmp.port})"
        ) from None


def _settings(dmp: DmpSandbox) -> str:
    made = dmp.certificates
    client, signer = made.client, made.signer
    lines = [
        "# To paste into passerelle.toml:",
        "[destinations.dmp]",
        'connector = "dmp"',
        f"url = {_text(dmp.url)}",
        *(f"{_KEYS[name]} = {_text(endings[0])}" for name, endings in dmp.paths.items() if name in _KEYS),
        f"signature = {{ cert = {_text(signer.certificate)}, key = {_text(signer.key)} }}",
        (
            'user = { id = "899990000012", name = "TESTEUR CAMILLE", profession = "10", profession_label = "Médecin", '
            'speciality = "SM26", speciality_label = "Qualifié en Médecine Générale (SM)" }'
        ),
        'sector = "SA01"',
        'homologation = "FICTIF"',
        'oid = "1.2.250.1.999.35.9"',
    ]
    if dmp.tls:
        files = f"ca = {_text(made.authority)}, cert = {_text(client.certificate)}, key = {_text(client.key)}"
        lines.insert(3, f"tls = {{ {files} }}")
    return "\n".join([*lines, ""])


_KEYS = {"repository": "repository", "registry": "registry", "patient": "patients"}


def _text(value: Path | str) -> str:
    """Write a TOML string; a path is made absolute."""
    text = str(value.resolve()) if isinstance(value, Path) else value
    return json.dumps(text, ensure_ascii=False)
