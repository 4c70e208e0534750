"""`passerelle users`: accounts of the dashboard."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from router.cli.base import config_option
from router.cli.keys import users_key
from router.cli.terminal import actor, apply, now, opened

ROLES = ["administrator", "operator", "identity-officer", "referent", "auditor", "read-only"]
ROLE_HELP = (
    "An operator runs the flows; an identity officer decides whose held items are; a referent keeps dossiers; an "
    "auditor sees everything and changes nothing; read-only sees that it flows, nothing of a patient."
)


@click.group("users")
def command_users() -> None:
    """Accounts of the dashboard."""


command_users.add_command(users_key)


@command_users.command("add")
@click.argument("name")
@config_option
@click.option("--password", envvar="PASSERELLE_USER_PASSWORD", help="Unset: one is made and shown once.")
@click.option("--role", type=click.Choice(ROLES), default="administrator", show_default=True, help=ROLE_HELP)
def users_add(name: str, config: Path, password: str | None, role: str) -> None:
    """Add an account, or give an existing one a new password and role."""
    from router.web.accounts import add_account
    from router.web.rights import Role

    chosen = password or secrets.token_urlsafe(12)
    with opened(config) as store:
        add_account(store, name, chosen, Role(role.replace("-", "_")), actor=actor())
    click.echo(f"Account {name} is ready." + ("" if password else f" Password (shown this once): {chosen}"))


@command_users.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@config_option
def users_role(name: str, role: str, config: Path) -> None:
    """Give an account another role."""
    from router.web.people import change_role
    from router.web.rights import Role

    with opened(config) as store:
        apply(store, change_role(name, Role(role.replace("-", "_")), actor=actor(), now=now()))
    click.echo(f"Account {name} is {role}.")


@command_users.command("lock")
@click.argument("name")
@config_option
def users_lock(name: str, config: Path) -> None:
    """Lock an account until it is unlocked, and end its sessions."""
    from router.web.people import lock_account

    with opened(config) as store:
        apply(store, lock_account(name, actor=actor(), now=now()))
    click.echo(f"Account {name} is locked; its sessions ended.")


@command_users.command("unlock")
@click.argument("name")
@config_option
@click.option("--forget-codes", is_flag=True, help="Also ask for no more one-time codes: the telephone is lost.")
def users_unlock(name: str, config: Path, forget_codes: bool) -> None:
    """Unlock an account."""
    from router.web.people import forget_totp, unlock_account

    with opened(config) as store:
        apply(store, unlock_account(name, actor=actor(), now=now()))
        if forget_codes:
            apply(store, forget_totp(name, actor=actor(), now=now()))
    click.echo(f"Account {name} is unlocked." + (" It signs in without a code." if forget_codes else ""))


@command_users.command("end-sessions")
@click.argument("name")
@config_option
def users_end_sessions(name: str, config: Path) -> None:
    """End the sessions of an account: whoever uses it must sign in again."""
    from router.web.people import end_sessions

    with opened(config) as store:
        ended = apply(store, end_sessions(name, actor=actor(), now=now()))
    click.echo(f"{ended} sessions ended.")


@command_users.command("list")
@config_option
def users_list(config: Path) -> None:
    """List the accounts, and the keys of the API."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from router.cli.journal import shown_time
    from router.cli.keys import key_table
    from router.web.keys import api_keys
    from router.web.people import people

    with opened(config) as store, store.reading() as connection:
        found, keys = people(connection), api_keys(connection)
    at = now()
    table = Table("account", "role", "signs in by", "last used", "state", "sessions", box=SIMPLE_HEAD, pad_edge=False)
    for one in found:
        state = "locked" if one.disabled_at else "paused" if one.locked_until and one.locked_until > at else "open"
        way = one.issuer or ("password and code" if one.totp_at else "password")
        used = shown_time(one.used_at) if one.used_at else ""
        table.add_row(one.name, one.role.value, way, used, state, str(one.sessions))
    Console().print(table)
    if keys:
        Console().print(key_table(keys, at))
