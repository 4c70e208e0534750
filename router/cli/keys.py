"""`passerelle key`: keys of the API."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.cli.base import Failed, config_option
from router.cli.terminal import actor, opened

if TYPE_CHECKING:
    from rich.table import Table

    from router.web.keys import ApiKey

ROLES = ["administrator", "operator", "identity-officer", "referent", "auditor", "read-only"]


@click.group("key")
def command_key() -> None:
    """Keys of the API, each held to a role."""


@command_key.command("add")
@click.argument("name")
@config_option
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the key may do: as an account of the role.")
@click.option("--days", type=click.IntRange(min=1), help="Days after which it ends. Unset: when it is withdrawn.")
def key_add(name: str, config: Path, role: str, days: int | None) -> None:
    """Make a key, which is shown once.

    \b
    Examples:
      passerelle key add prometheus --role read-only
      passerelle key add export-labo --role auditor --days 90
    """
    from router.web.keys import add_api_key
    from router.web.rights import Role

    with opened(config) as store:
        key = add_api_key(store, name, Role(role.replace("-", "_")), days=days, actor=actor())
    click.echo(f"Key {name} (shown this once): {key}")


@command_key.command("list")
@config_option
def key_list(config: Path) -> None:
    """List the keys: role, end, last use."""
    from rich.console import Console

    from router.web.accounts import moment
    from router.web.keys import api_keys

    with opened(config) as store, store.reading() as connection:
        found = api_keys(connection)
    Console().print(key_table(found, moment()))


@command_key.command("revoke")
@click.argument("name")
@config_option
def key_revoke(name: str, config: Path) -> None:
    """Withdraw a key: it lets nobody in from now on."""
    _revoke(name, config)


@click.command("key")
@click.argument("name")
@config_option
@click.option("--revoke", is_flag=True, help="Withdraw the key of this name.")
def users_key(name: str, config: Path, revoke: bool) -> None:
    """Make an administrator's key for the API, or withdraw one: `passerelle key` says more."""
    from router.web.keys import add_api_key

    if revoke:
        _revoke(name, config)
        return
    with opened(config) as store:
        key = add_api_key(store, name, actor=actor())
    click.echo(f"Key {name} (shown this once): {key}")


def _revoke(name: str, config: Path) -> None:
    from router.web.keys import revoke_api_key

    with opened(config) as store:
        if not revoke_api_key(store, name, actor=actor()):
            raise Failed(f"there is no valid key named {name}")
    click.echo(f"Key {name} is withdrawn.")


def key_table(keys: Sequence[ApiKey], now: int) -> Table:
    """Show keys; `now` is microseconds."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from router.cli.journal import shown_time

    table = Table("key", "role", "made", "ends", "last used", "state", box=SIMPLE_HEAD, pad_edge=False)
    for one in keys:
        state = "withdrawn" if one.revoked_at else "over" if one.is_over(now) else "valid"
        ends, used = (shown_time(at) if at else "" for at in (one.expires_at, one.used_at))
        table.add_row(one.name, one.role.value, shown_time(one.created_at), ends, used, state)
    return table
