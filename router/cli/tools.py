"""`passerelle tools`: the coordination tools that may use the dossier's FHIR API."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from router.cli.base import Failed, config_file, config_option
from router.cli.terminal import apply, now

if TYPE_CHECKING:
    from router.journal.store import Store

R = TypeVar("R")


@click.group("tools")
def command_tools() -> None:
    """Coordination tools: who may use the FHIR API of the dossier, and with which secret."""


@command_tools.command("add")
@click.argument("name")
@config_option
@click.option("--scope", "scopes", multiple=True, help="read, write, subscribe, or narrower: read/DocumentReference.")
@click.option("--structure", default="", help="Organisation that it acts for: `system|value` (FINESS…).")
@click.option("--keys", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Its public keys (JWKS).")
@click.option(
    "--certificate", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Client certificate (PEM)."
)
@click.option("--days", type=click.IntRange(1), help="Days after which it may no longer be used.")
@click.option("--level", type=click.Choice(["R", "A"]), default="A", show_default=True, help="Read, or write as well.")
def tools_add(
    name: str,
    config: Path,
    scopes: tuple[str, ...],
    structure: str,
    keys: Path | None,
    certificate: Path | None,
    days: int | None,
    level: str,
) -> None:
    """Register a tool and habilitate it; its secret is printed once.

    With --keys it has no secret: it signs its requests for tokens (private_key_jwt).

    \b
    Examples:
      passerelle tools add spico --scope read --scope subscribe --config my-router
      passerelle tools add dui --keys dui-jwks.json --structure "https://finess.esante.gouv.fr|670000002"
    """
    from router.dossier.habilitations import grant
    from router.dossier.keeping import By
    from router.dossier.tools.registry import SCOPES, add_tool
    from router.engine.clock import micros
    from schemas.habilitation import Habilitation, HolderKind, Level

    present = datetime.now(UTC)
    now = micros(present)
    thumbprint = None if certificate is None else _thumbprint(certificate)
    secret, change = add_tool(
        name,
        scopes or SCOPES,
        now=now,
        structure=structure,
        keys=None if keys is None else keys.read_bytes(),
        certificate=thumbprint,
        expires_at=None if days is None else micros(present + timedelta(days=days)),
    )
    store = _open(config)
    apply(store, change)
    habilitation = Habilitation(holder=HolderKind.TOOL, name=name, level=Level(level), start=present.date().isoformat())
    apply(store, grant(habilitation, by=By("cli", now, "registered")))
    store.close()
    click.echo(f"{name} is registered.")
    if secret is not None:
        click.echo(f"Its secret, shown this once: {secret}")


@command_tools.command("rotate")
@click.argument("name")
@config_option
@click.option("--overlap", type=click.FloatRange(0), default=24.0, show_default=True, help="Hours of the former one.")
def tools_rotate(name: str, config: Path, overlap: float) -> None:
    """Give a tool a new secret; the former one is taken for some hours more, so that nothing stops.

    \b
    Examples:
      passerelle tools rotate spico --overlap 48
    """
    from router.dossier.tools.registry import rotate_secret

    store = _open(config)
    secret, change = rotate_secret(name, now=now(), overlap_hours=overlap)
    apply(store, change)
    store.close()
    click.echo(f"The new secret of {name}, shown this once: {secret}")


@command_tools.command("revoke")
@click.argument("name")
@config_option
def tools_revoke(name: str, config: Path) -> None:
    """Shut a tool out at once: its secret, its tokens, its subscriptions."""
    from router.dossier.tools.registry import revoke_tool

    store = _open(config)
    found = apply(store, revoke_tool(name, now=now()))
    store.close()
    if not found:
        raise Failed(f"there is no tool {name} in use; `passerelle tools list` shows them")
    click.echo(f"{name} is revoked.")


@command_tools.command("list")
@config_option
def tools_list(config: Path) -> None:
    """List the tools, with what they may do and until when."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from router.dossier.tools.registry import all_tools
    from router.engine.clock import moment

    store = _open(config)
    with store.reading() as connection:
        tools = all_tools(connection)
    store.close()
    table = Table("name", "may", "acts for", "proves itself by", "state", box=SIMPLE_HEAD, pad_edge=False)
    for tool in tools:
        proof = [word for word, there in (("secret", tool.has_secret), ("keys", tool.keys)) if there]
        proof += ["certificate"] if tool.certificate is not None else []
        if tool.revoked_at is not None:
            state = f"revoked {moment(tool.revoked_at):%Y-%m-%d}"
        elif tool.expires_at is not None:
            state = ("until" if tool.is_good(now()) else "ended") + f" {moment(tool.expires_at):%Y-%m-%d}"
        else:
            state = "in use"
        table.add_row(tool.name, " ".join(tool.scopes), tool.structure, ", ".join(proof), state)
    Console().print(table)


def _thumbprint(path: Path) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        raise Failed(f"{path} is not a certificate in PEM") from None
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


def _open(config: Path) -> Store:
    from router.config.load import load
    from router.journal.store import open_store

    return open_store(load(config_file(config)).place)
