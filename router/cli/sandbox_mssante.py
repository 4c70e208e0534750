"""`passerelle sandbox mssante`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from router.cli.base import Failed


@click.command("mssante")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep certificates, configuration and mails here; a short path.  [default: a temporary folder]",
)
@click.option("--embedded", is_flag=True, help="Play the operator in this process: nothing to install, no root.")
def command_sandbox_mssante(folder: Path | None, embedded: bool) -> int:
    """Run a mail operator of MSSanté on this machine, until Ctrl-C: Dovecot and Postfix, or one of our own.

    It makes its own certificates, opens mailboxes for a router, a hospital, a laboratory, a doctor, a nurse and a
    patient, and prints the sections to paste into passerelle.toml. The doctor's mailbox of `--embedded` answers reading
    notifications.

    \b
    Examples:
      passerelle sandbox mssante
      passerelle sandbox mssante --embedded --folder /tmp/operator
    """
    with _ended_by_signals():
        try:
            if embedded:
                asyncio.run(_play(folder))
            else:
                _serve(folder)
        except KeyboardInterrupt:
            click.echo("stopped")
    return 0


async def _play(folder: Path | None) -> None:
    from connectors.sandbox.mail_operator import MailOperator, Ports

    with _place(folder) as place:
        for ports in (Ports(10143, 10993, 10587), Ports()):
            try:
                async with MailOperator(place, ports=ports) as operator:
                    _tell(operator.source(), operator.destination(), place, "the embedded operator")
                    await asyncio.Event().wait()
            except OSError:
                if ports == Ports():
                    raise
                click.echo("the usual ports are taken: using free ones", err=True)


def _serve(folder: Path | None) -> None:
    from connectors.sandbox.mail_servers import MailServers, ServersFault, missing

    if said := missing():
        raise Failed(f"{said}; install what is missing (apt-get install dovecot-core …), or use --embedded")
    with _place(folder) as place:
        try:
            with MailServers(place) as servers:
                _tell(servers.source(), servers.destination(), place, "Dovecot and Postfix")
                token = place / "token"
                token.write_text(servers.token(seconds=8 * 3600), encoding="ascii")
                click.echo(f"# an access token for XOAUTH2, good for eight hours: {token}")
                signal.pause()
        except ServersFault as fault:
            raise Failed(str(fault)) from None


def _tell(source: Mapping[str, Any], destination: Mapping[str, Any], place: Path, what: str) -> None:
    from connectors.sandbox.mail_people import SECRET, personas

    click.echo(f"# {what}, in {place}. Ctrl-C stops it. To paste into passerelle.toml:\n")
    click.echo('[sources.mailbox]\nconnector = "mssante"\n' + _toml(source))
    click.echo('[destinations.mail]\nconnector = "mssante"\n' + _toml(destination, options={"from": source["account"]}))
    click.echo(f"# mailboxes, each with the password {SECRET}:")
    for one in personas():
        click.echo(f"#   {one.address:<44} {one.who}")


def _toml(settings: Mapping[str, Any], **more: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in {**settings, **more}.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_value(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    """Give the folder, made if need be; a temporary one when none was said."""
    from connectors.sandbox.mail_servers import short_folder

    if folder is None:
        with short_folder() as place:
            yield place
        return
    place = folder.resolve()
    if place.exists() and not place.is_dir():
        raise Failed(f"{place} is not a folder")
    place.mkdir(parents=True, exist_ok=True)
    yield place


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a polite end by another process be like Ctrl-C: the servers must be stopped."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
