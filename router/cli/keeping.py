"""`passerelle backup` and `passerelle restore`: the journal kept safe from the loss of its machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.cli.base import config_file, config_option

if TYPE_CHECKING:
    from router.keeping.manifest import Manifest

_PROGRAMS = click.option(
    "--programs",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of pg_dump and pg_restore, where they are not on the path (PostgreSQL only).",
)


@click.command("backup")
@click.argument("target", type=click.Path(path_type=Path))
@config_option
@_PROGRAMS
def command_backup(target: Path, config: Path, programs: Path | None) -> None:
    """Back the journal up into a new folder TARGET, beside a router that goes on.

    The key is not in it: keep it in another place, without it nothing of the back-up can be read.

    \b
    Examples:
      passerelle backup /backups/2026-11-26 --config my-router
      passerelle restore /backups/2026-11-26 --verify --key journal.key
    """
    from datetime import UTC, datetime

    from router.config.load import load
    from router.keeping.backup import back_up

    place = load(config_file(config)).place
    manifest = back_up(place, target, datetime.now(UTC), programs=programs)
    click.echo(f"Backed up into {target}: {_told(manifest)}.")
    click.echo(f"Its key is {manifest.key_id} ({place.key_file}), and is not in it.")
    click.echo(f"Audit head: {manifest.audit_head or 'none'}")


@click.command("restore")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@config_option
@click.option("--key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The journal's key file.")
@click.option("--verify", "only_verify", is_flag=True, help="Only look whether the back-up could be restored.")
@click.option(
    "--to",
    "moment",
    metavar="TIME",
    help="Of a base back-up of PostgreSQL: make it ready to be played forward to this moment, as "
    "2026-11-26T14:05:00+01:00 (with --archive and --into).",
)
@click.option("--archive", type=click.Path(path_type=Path, file_okay=False), help="Where PostgreSQL archived its log.")
@click.option("--into", type=click.Path(path_type=Path), help="The new folder of the database.")
@_PROGRAMS
def command_restore(
    folder: Path,
    config: Path,
    key: Path | None,
    only_verify: bool,
    moment: str | None,
    archive: Path | None,
    into: Path | None,
    programs: Path | None,
) -> None:
    """Restore a back-up into the empty place that the configuration names.

    What had not ended when it was made is sent again, under the same identities: who received it knows it again.

    \b
    Examples:
      passerelle restore /backups/2026-11-26 --config new-router --key journal.key
      passerelle restore /base/sunday --to 2026-11-26T14:05:00+01:00 --archive /archive --into /var/lib/postgresql/back
    """
    from router.config.load import load
    from router.keeping.backup import restore, verify

    if moment is not None:
        _restore_to(folder, moment, archive, into)
        return
    if only_verify and key is not None:
        manifest = verify(folder, key)
    else:
        place = load(config_file(config)).place
        found = key or place.key_file
        manifest = verify(folder, found) if only_verify else restore(folder, place, found, programs=programs)
    if only_verify:
        click.echo(f"Whole, and opens with this key: {_told(manifest)}.")
        return
    click.echo(f"Restored: {_told(manifest)}. What waits is sent once the router runs: `passerelle serve`.")


def _restore_to(base: Path, moment: str, archive: Path | None, into: Path | None) -> None:
    from datetime import datetime

    from router.keeping.manifest import BackupFault
    from router.keeping.recovering import prepare_recovery

    if archive is None or into is None:
        raise click.UsageError("--to goes with --archive and --into")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        raise BackupFault(f"{moment} is no moment; write it as 2026-11-26T14:05:00+01:00") from None
    prepare_recovery(base, archive, into, at)
    click.echo(
        f"Ready in {into}. Give it to PostgreSQL's account, start PostgreSQL on it, and wait until it is promoted."
    )
    click.echo("Then look the journal over before a router works on it: `passerelle journal verify`.")


@click.command("migrate")
@config_option
@click.option("--check", "only_check", is_flag=True, help="Only say what there is to do: exit status 1 when something.")
def command_migrate(config: Path, only_check: bool) -> int:
    """Bring the journal's tables to this version, as a step of its own.

    Before the nodes of a cluster change version one by one. `serve` does it by itself where no router is at work.

    \b
    Examples:
      passerelle migrate --check --config my-router
      passerelle migrate --config my-router
    """
    import time

    from router.config.load import load
    from router.journal.migrate import current, head, is_at_work, steps, upgrade
    from router.journal.store import connect

    place = load(config_file(config)).place
    engine = connect(place)
    try:
        todo, found = steps(engine), current(engine)
        click.echo(f"Tables at revision {found or 'none'}; this version's is {head()}.")
        for step in todo:
            stop = f" (stop nodes of versions before {step.oldest} first)" if step.oldest else ""
            click.echo(f"  {step.revision}  {step.title}{stop}")
        if not todo:
            click.echo("Nothing to do.")
            return 0
        if only_check:
            return 1
        if is_at_work(engine, place):
            click.echo("A router is at work, and goes on: its version still works on the tables afterwards.")
        started = time.monotonic()
        upgrade(engine, place, asked=True)
    finally:
        engine.dispose()
    click.echo(f"Done in {time.monotonic() - started:.1f} s: {len(todo)} step(s).")
    return 0


def _told(manifest: Manifest) -> str:
    size = sum(one.size for one in manifest.files) / 1_000_000
    return (
        f"{manifest.messages} messages, {manifest.deliveries} deliveries of which {manifest.waiting} wait, "
        f"{len(manifest.files)} files, {size:.1f} MB, made {manifest.made_at}"
    )
