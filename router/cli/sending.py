"""`passerelle send`: a test sender."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import click

from router.cli.base import Failed


@click.command("send")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--to", "target", required=True, help="mllp://host:port, mllps://host:port, http://…, or a folder.")
@click.option("--api-key", envvar="PASSERELLE_API_KEY", help="Key for an HTTP source.")
@click.option("--ca", type=click.Path(path_type=Path, exists=True), help="Certificate authority (PEM) to trust.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for an answer.")
def command_send(files: tuple[Path, ...], target: str, api_key: str | None, ca: Path | None, timeout: float) -> int:
    """Send files as a laboratory or a hospital would, and print what the router answers.

    Batches and files of several messages are sent message by message.

    \b
    Exit status: 0 all accepted, 1 something refused, 2 nobody answers.
    \b
    Examples:
      passerelle send message.hl7 --to mllp://127.0.0.1:2575
      passerelle send reports/ --to http://127.0.0.1:8081/messages --api-key …
      passerelle send report.hpr --to my-router/in
    """
    from router.sending import Answer, CannotSend, send_all

    contents = [(path.name, path.read_bytes()) for path in _expand(files)]
    if not contents:
        raise Failed("there is no file to send")
    refused = 0

    def told(answer: Answer) -> None:
        nonlocal refused
        refused += not answer.accepted
        click.echo(f"{answer.name}: {answer.verdict}{' — ' + answer.detail if answer.detail else ''}")

    try:
        asyncio.run(send_all(contents, target, api_key=api_key, ca=ca, seconds=timeout, told=told))
    except CannotSend as problem:
        raise Failed(str(problem)) from None
    return 1 if refused else 0


def _expand(files: tuple[Path, ...]) -> Iterator[Path]:
    for path in files:
        if path.is_dir():
            yield from sorted(one for one in path.iterdir() if one.is_file() and not one.name.startswith("."))
        else:
            yield path
