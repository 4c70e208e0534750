"""`passerelle keys`: the master key of the journal, changed without stopping."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.cli.base import config_option
from router.cli.terminal import actor, apply, now, opened

if TYPE_CHECKING:
    from router.journal.store import Store


@click.group("keys")
def command_keys() -> None:
    """Change the journal's master key beside the traffic, see how far it is, retire the former one."""


@command_keys.command("prepare")
@config_option
def keys_prepare(config: Path) -> None:
    """Make the coming key only, to copy it to every machine of a cluster before `rotate`.

    \b
    Examples:
      passerelle keys prepare
      scp data/journal.key.next other:/srv/my-router/data/
      passerelle keys rotate
    """
    from router.cli.base import config_file
    from router.config.load import load
    from router.keeping.rotation import prepare

    path, name = prepare(load(config_file(config)).place)
    click.echo(f"The coming key is {name}, in {path}. Copy it to a safe place, and beside the key of every machine.")


@command_keys.command("rotate")
@config_option
@click.option("--here", is_flag=True, help="Seal everything anew in this command, as where no router runs.")
def keys_rotate(config: Path, here: bool) -> None:
    """Change the master key: a new one seals from now on, and what the former one sealed is sealed anew.

    The router goes on, and does it in the background; asked for again after an interruption, it goes on with what was
    begun. The former key opens what it sealed until `retire`.

    \b
    Examples:
      passerelle keys rotate --config my-router
      passerelle keys status
      passerelle keys retire
    """
    from router.keeping.rotation import begin

    with opened(config) as store:
        begun = begin(store, actor=actor(), now=now())
        click.echo(f"Key {begun.master} seals from now on ({store.place.key_file}): copy it to a safe place.")
        click.echo(f"The former key {begun.former} is in {begun.kept}: back-ups made until now need it.")
        if here:
            _carry_out(store)
        else:
            click.echo("A running router seals the rest anew in the background: `passerelle keys status`.")


@command_keys.command("reseal")
@config_option
def keys_reseal(config: Path) -> None:
    """Go on with sealing anew in this command, as where no router runs."""
    with opened(config) as store:
        _carry_out(store)


@command_keys.command("status")
@config_option
def keys_status(config: Path) -> None:
    """Say which key seals, and how far a change of it is."""
    from router.cli.journal import shown_time
    from router.journal.sealing import master_id
    from router.keeping.resealing import SETTLED_MICROS, find_rotation, resting
    from router.keeping.rotation import masters_of

    with opened(config) as store:
        with store.reading() as connection:
            last = find_rotation(connection)
        click.echo(f"Key in use: {master_id(store.sealer.master)} ({store.place.key_file})")
        if last is None:
            click.echo("It was never changed.")
            return
        click.echo(f"Keys that open this journal: {', '.join(masters_of(store))}")
        click.echo(f"Last change: {last.former} -> {last.master}, begun {shown_time(last.started_at)} by {last.actor}")
        click.echo(f"{last.looked} rows looked at, {last.changed} values sealed anew, {last.damaged} open with no key")
        if last.state == "resealing" and resting(last, now()):
            begins = shown_time(last.started_at + SETTLED_MICROS)
            click.echo(f"What was there is sealed anew. The pass that proves that nothing is left begins at {begins}.")
        elif last.state == "resealing":
            click.echo(f"Pass {last.pass_number} is under way, at {last.where or 'its beginning'}.")
        elif last.state == "resealed":
            click.echo(
                f"Everything is under the new key since {shown_time(last.resealed_at)}: `passerelle keys retire`."
            )
        else:
            click.echo(f"The former key was retired {shown_time(last.retired_at)}.")


@command_keys.command("retire")
@config_option
def keys_retire(config: Path) -> None:
    """Let the former key open nothing any more, after a last look at the whole journal."""
    from router.keeping.rotation import retire

    with opened(config) as store:
        last = retire(store, actor=actor(), now=now())
    click.echo(
        f"Key {last.former} opens nothing of this journal any more. Destroy it with the last back-up from its time."
    )


def _carry_out(store: Store) -> None:
    """Seal group after group anew until nothing is left, but for the proof, which has to wait."""
    from router.keeping.resealing import Resealing, resting

    resealing = Resealing(store)
    while (rotation := resealing.under_way()) is not None:
        if resting(rotation, now()):
            click.echo(
                f"{rotation.changed} values are sealed anew. Once every process knows the new key, in five minutes, a "
                "last pass proves that nothing is left: a running router does it, or `passerelle keys reseal`."
            )
            return
        apply(store, resealing.keep(rotation, resealing.group(rotation.position), now()))
        resealing.pace.end()
    click.echo("Nothing is left under an older key.")
