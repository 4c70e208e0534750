"""`passerelle patients` and `passerelle users`."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

import click

from router.cli.base import Failed, config_file, config_option


@click.group("patients")
def command_patients() -> None:
    """Register the patients that the coordination dossier follows."""


@command_patients.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@config_option
@click.option("--not-in-coordination", is_flag=True, help="Known, but not followed: routes can tell the difference.")
def patients_import(file: Path, config: Path, not_in_coordination: bool) -> int:
    """Register the patients of a CSV or a FHIR Bundle; one already known is updated.

    \b
    CSV header: ipp_authority,ipp,ins,ins_oid,birth_name,birth_given_names,used_name,birth_date,sex,birth_place
    \b
    Examples:
      passerelle patients import patients.csv --config my-router
    """
    from router.cli.progress import each
    from router.config.load import load
    from router.engine.clock import micros
    from router.identity.importing import read_patients
    from router.identity.patients import register
    from router.journal.store import open_store
    from router.journal.unit import Unit

    read = read_patients(file.read_bytes())
    store = open_store(load(config_file(config)).place)
    created = updated = 0
    problems = list(read.problems)
    groups = [read.identities[at : at + 200] for at in range(0, len(read.identities), 200)]
    for rank, group in enumerate(each(groups, "registering")):
        with store.writing() as connection:
            unit = Unit(connection, store.sealer)
            for place, identity in enumerate(group):
                now = micros(datetime.now(UTC))
                done = register(identity, in_coordination=not not_in_coordination, now=now).apply(unit)
                if done.conflict:
                    problems.append(f"entry {rank * 200 + place + 1}: its numbers belong to several known patients")
                elif done.created:
                    created += 1
                else:
                    updated += 1
            unit.flush()
    store.close()
    for problem in problems:
        click.echo(f"{file}: {problem}", err=True)
    click.echo(f"{created} registered, {updated} updated, {len(problems)} refused.")
    return 1 if problems else 0


@command_patients.command("count")
@config_option
def patients_count(config: Path) -> None:
    """Count the registered patients."""
    from sqlalchemy import func, select

    from router.config.load import load
    from router.journal import tables
    from router.journal.store import open_store

    store = open_store(load(config_file(config)).place)
    with store.reading() as connection:
        count = connection.execute(select(func.count()).select_from(tables.patient)).scalar_one()
    store.close()
    click.echo(f"{count} patients registered.")


@click.group("users")
def command_users() -> None:
    """Accounts of the dashboard and keys of the API."""


@command_users.command("add")
@click.argument("name")
@config_option
@click.option("--password", envvar="PASSERELLE_USER_PASSWORD", help="Unset: one is made and shown once.")
@click.option(
    "--role",
    type=click.Choice(["administrator", "identity-officer", "auditor"]),
    default="administrator",
    show_default=True,
    help="An identity officer decides whose held items are; an auditor only looks.",
)
def users_add(name: str, config: Path, password: str | None, role: str) -> None:
    """Add an account, or give an existing one a new password and role."""
    from router.config.load import load
    from router.journal.store import open_store
    from router.web.accounts import Role, add_account

    store = open_store(load(config_file(config)).place)
    chosen = password or secrets.token_urlsafe(12)
    add_account(store, name, chosen, Role(role.replace("-", "_")))
    store.close()
    click.echo(f"Account {name} is ready." + ("" if password else f" Password (shown this once): {chosen}"))


@command_users.command("list")
@config_option
def users_list(config: Path) -> None:
    """List the accounts and the API keys."""
    from sqlalchemy import select

    from router.config.load import load
    from router.journal import tables
    from router.journal.store import open_store

    store = open_store(load(config_file(config)).place)
    with store.reading() as connection:
        for row in connection.execute(select(tables.account.c.name, tables.account.c.role)):
            click.echo(f"account  {row.name}  {row.role}")
        for row in connection.execute(select(tables.api_key.c.name, tables.api_key.c.revoked_at)):
            click.echo(f"key      {row.name}  {'revoked' if row.revoked_at else 'valid'}")
    store.close()


@command_users.command("key")
@click.argument("name")
@config_option
@click.option("--revoke", is_flag=True, help="Withdraw the key of this name.")
def users_key(name: str, config: Path, revoke: bool) -> None:
    """Make a key for the API (shown once), or withdraw it."""
    from router.config.load import load
    from router.journal.store import open_store
    from router.web.accounts import add_api_key, revoke_api_key

    store = open_store(load(config_file(config)).place)
    try:
        if revoke:
            if not revoke_api_key(store, name):
                raise Failed(f"there is no valid key named {name}")
            click.echo(f"Key {name} is withdrawn.")
            return
        click.echo(f"Key {name} (shown this once): {add_api_key(store, name)}")
    finally:
        store.close()
