"""`passerelle config`: apply a configuration to a running router, see what was applied before, go back."""

from __future__ import annotations

import time
from pathlib import Path

import click

from router.cli import terminal
from router.cli.base import Failed, config_file, config_option

WAIT_SECONDS = 300.0
"""How long a running router is waited for."""

PAUSE_SECONDS = 0.2


@click.group("config")
def command_config() -> None:
    """Apply a configuration without losing a message; its history and the way back."""


@command_config.command("apply")
@click.argument("draft", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--comment", default="", help="What it changes and why; kept with the version.")
@config_option
def apply(draft: Path, comment: str, config: Path) -> int:
    """Put DRAFT in the place of the configuration file, and into use if the router runs.

    The draft is checked as if it stood there. When something of it cannot be opened, the former configuration goes on
    and the file stays as it is. SIGHUP to the router does the same with the file itself, after it was edited.

    \b
    Exit status: 0 applied, 1 it could not be (one sentence why), 2 the draft has mistakes.
    \b
    Examples:
      passerelle check --config new.toml
      passerelle plan new.toml --config my-router
      passerelle config apply new.toml --comment "labo-sud moves to TLS" --config my-router
    """
    try:
        text = draft.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise Failed(f"{draft} is not UTF-8 text") from None
    return _apply(config, text, comment)


@command_config.command("history")
@config_option
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Rows to show.")
def history(config: Path, limit: int) -> None:
    """List versions of the configuration, the newest first."""
    from router.cli.journal import printed, shown_time
    from router.cli.terminal import opened
    from router.config.versions import history, running_version

    with opened(config) as store, store.reading() as connection:
        found, running = history(connection, limit=limit), running_version(connection)
    printed(
        ("version", "at", "by", "state", "comment"),
        [
            (
                one.id,
                shown_time(one.at),
                one.actor or one.origin.value,
                "runs" if running is not None and one.id == running.id else one.state.value,
                one.comment or one.detail.partition("\n")[0],
            )
            for one in found
        ],
    )


@command_config.command("show")
@click.argument("number", type=int, required=False)
@config_option
def show(number: int | None, config: Path) -> None:
    """Print the text of a version, that of the one that was applied last without NUMBER."""
    from router.cli.terminal import opened
    from router.config.versions import running_version, text_of

    with opened(config) as store, store.reading() as connection:
        running = running_version(connection)
        wanted = number if number is not None else (running.id if running is not None else 0)
        try:
            text = text_of(connection, store.sealer, wanted)
        except LookupError:
            raise Failed("there is no such version; `passerelle config history` lists them") from None
    click.echo(text, nl=False)


@command_config.command("revert")
@click.argument("number", type=int)
@config_option
def revert(number: int, config: Path) -> int:
    """Apply the text of a former version again."""
    from router.cli.terminal import opened
    from router.config.versions import text_of

    with opened(config) as store, store.reading() as connection:
        try:
            text = text_of(connection, store.sealer, number)
        except LookupError:
            raise Failed("there is no such version; `passerelle config history` lists them") from None
    return _apply(config, text, f"back to version {number}")


def _apply(config: Path, text: str, comment: str) -> int:
    from router.config.load import ConfigurationFault, load, load_text
    from router.config.versions import VersionOrigin, VersionState, digest_of, settle_version, want_version
    from router.config.writing import FileChanged, StagedFile, read_text
    from router.journal.locking import AlreadyRunning, router_lock
    from router.journal.store import open_store

    path = config_file(config).resolve()
    drafted = load_text(text, path)
    try:
        place = load(path).place
    except ConfigurationFault:
        place = drafted.place  # the file in place has mistakes, and this may be what mends them
    base = digest_of(read_text(path))
    at, by = terminal.now(), terminal.actor()
    store = open_store(place)
    try:
        wanted = want_version(text, base, origin=VersionOrigin.COMMAND, comment=comment, actor=by, now=at)
        try:
            with router_lock(store.engine, place.data):
                # No router runs: whoever holds its lock may write in its place.
                number = terminal.apply(store, wanted)
                if base != digest_of(text):
                    try:
                        StagedFile(path, text).commit(base)
                    except (OSError, FileChanged) as problem:
                        said = str(problem) if isinstance(problem, FileChanged) else f"{path.name} cannot be written"
                        terminal.apply(store, settle_version(number, VersionState.FAILED, now=at, detail=said))
                        raise Failed(said) from None
                terminal.apply(store, settle_version(number, VersionState.APPLIED, now=at))
                click.echo(f"Version {number} is in place; the router starts with it.")
                return 0
        except AlreadyRunning:
            number = terminal.apply(store, wanted)
        return _wait(store, number)
    finally:
        store.close()


def _wait(store: object, number: int) -> int:
    from router.config.versions import VersionState, version_of
    from router.engine.applying import RESTART
    from router.journal.store import Store

    assert isinstance(store, Store)  # noqa: S101 - for the types: modules are loaded when they are needed
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        with store.reading() as connection:
            version = version_of(connection, number)
        if version is not None and version.settled:
            break
        if time.monotonic() > deadline:
            raise Failed(
                f"the router has not answered yet; `passerelle config history` will say what became of {number}"
            )
        time.sleep(PAUSE_SECONDS)
    if version.state is VersionState.APPLIED:
        later = version.detail.removeprefix(RESTART)
        click.echo(
            f"Version {number} runs." + (f" Waits for the next start: [{'], ['.join(later.split())}]." if later else "")
        )
        return 0
    click.echo(
        f"Version {number} was not applied: {version.detail or 'the router stopped meanwhile'}. What ran goes on."
    )
    return 1
