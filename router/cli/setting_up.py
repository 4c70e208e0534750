"""`passerelle init`, `check`, `reference`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.cli.base import Failed, config_file, config_option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.config.load import Loaded
    from router.journal.store import Store

TEMPLATE = """\
# Passerelle: what comes in, what goes out, and by which rules. `passerelle check` reads it back to you;
# `passerelle reference` lists every key.

[journal]
data = "data"                 # the journal, its key and its large contents
# url = "postgresql+psycopg://passerelle@localhost/passerelle"     # instead of the embedded SQLite

[web]
listen = "127.0.0.1:8080"     # dashboard and API

[identity]
environment = "test"          # "production" on a real one: test and real INS never mix

[dossier]
api = true                    # coordination tools: FHIR under /fhir; see `passerelle tools add`

[sources.laboratory]
connector = "mllp"
listen = "127.0.0.1:2575"
format = "hl7v2"

[sources.inbox]
connector = "directory"
folder = "in"                 # HPRIM files are put here; what was read goes to `archive`, the rest to `error`

[destinations.outbox]
connector = "directory"
folder = "out"
format = "fhir"

[[routes]]
name = "laboratory results and stays to the coordination dossier"
when = "item.kind in ['lab_report', 'stay', 'document'] && patient.in_coordination"
to = ["outbox"]
"""


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--admin", default="admin", show_default=True, help="Name of the administrator's account.")
@click.option("--password", envvar="PASSERELLE_ADMIN_PASSWORD", help="Its password. Unset: one is made and shown once.")
@click.option("--url", default="", help="Database URL of the journal. Unset: SQLite in the folder.")
@click.option("--preset", default="", help="Start from a coordination tool's: `passerelle presets list`.")
def command_init(folder: Path, admin: str, password: str | None, url: str, preset: str) -> None:
    """Make a router's folder: a configuration to adapt, the journal with its key, an administrator.

    \b
    Examples:
      passerelle init my-router
      passerelle init my-router --preset spico
      passerelle serve --config my-router
    """
    from router.journal.sealing import make_key_file
    from router.journal.store import JournalPlace, open_store
    from router.web.accounts import add_account

    texts = _texts_of(preset)
    configuration = folder / "passerelle.toml"
    if configuration.exists():
        raise Failed(f"{configuration} exists already; choose another folder, or remove it first")
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o700)
    for name in ("in", "out"):
        (folder / name).mkdir(exist_ok=True)
    place = JournalPlace.at(data.resolve(), url)
    if not place.key_file.exists():
        make_key_file(place.key_file)
    store = open_store(place)
    chosen = password or secrets.token_urlsafe(12)
    add_account(store, admin, chosen)
    if preset:
        _bring_matrix(store, preset, texts["matrix.csv"])
    store.close()
    for name, more in texts.items():
        if name != configuration.name:
            (folder / name).write_text(more, encoding="utf-8")
    text = texts[configuration.name]
    if url:
        text = text.replace('data = "data"  ', f'url = "{url}"\ndata = "data"  ', 1)
    descriptor = os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
    click.echo(f"Made {configuration} and the journal in {data}.")
    click.echo(f"Administrator: {admin}")
    if password is None:
        click.echo(f"Password:      {chosen}   (shown this once)")
    click.echo(f"Keep a copy of {place.key_file} in a safe place: without it the journal cannot be read.")
    click.echo(f"Next: passerelle serve --config {folder}")


def _texts_of(preset: str) -> Mapping[str, str]:
    """Give the files to write: those of a preset, else the plain template."""
    if not preset:
        return {"passerelle.toml": TEMPLATE}
    from router.presets import files_of, preset as preset_named

    return files_of(preset_named(preset)).texts


def _bring_matrix(store: Store, preset: str, text: str) -> None:
    """Let the preset's matrix hold from the beginning."""
    from datetime import UTC, datetime

    from router.dossier.keeping import By
    from router.dossier.matrices import bring_matrix
    from router.engine.clock import micros
    from router.journal.unit import Unit

    with store.writing() as connection:
        unit = Unit(connection, store.sealer)
        bring_matrix(text, by=By("init", micros(datetime.now(UTC)), f"preset {preset}")).apply(unit)
        unit.flush()


@click.command("check")
@config_option
def command_check(config: Path) -> int:
    """Check a configuration and say what it would do. Exit status 1: a line of a concept map cannot be used.

    \b
    Examples:
      passerelle check --config my-router
    """
    from router.certificates import certificate_notes
    from router.codes.maps import MapFiles
    from router.config.load import load
    from router.engine.clock import utc_now

    loaded = load(config_file(config))
    click.echo(f"{loaded.path} is valid.")
    for source in loaded.sources:
        wanted = source.format or "recognised by its content"
        click.echo(f"  source       {source.name}: {source.section.connector}, {wanted}")
    for destination in loaded.destinations:
        click.echo(f"  destination  {destination.name}: {destination.section.connector}, {destination.format}")
    for route in loaded.configuration.routes:
        click.echo(f"  route        {route.name}: {', '.join(route.sources) or 'every source'} → {', '.join(route.to)}")
        click.echo(f"               when {route.when}")
    reached = {name for route in loaded.configuration.routes for name in route.to}
    for destination in loaded.destinations:
        if destination.name not in reached:
            click.echo(f"  note         no route leads to {destination.name}")
    for name in _unchecked_deposits(loaded):
        click.echo(f'  note         {name}: documents go to the DMP unchecked; it wants validate = "strict"')
    if loaded.insi is not None:
        click.echo(f"  insi         {loaded.insi.url}")
    annuaire = loaded.annuaire
    if annuaire is not None:
        listed = ", with a white list" if annuaire.white_list else ""
        api = f", {annuaire.url}" if annuaire.url else ""
        click.echo(f"  annuaire     {len(annuaire.files)} extraction(s){api}{listed}")
    for destination in loaded.destinations:
        if destination.section.recipients is not None:
            click.echo(f"  recipients   {destination.name}: {', '.join(destination.section.recipients.to)}")
            if annuaire is None:
                said = f"{destination.name} writes to recipients: without [annuaire] only known addresses are found"
                click.echo(f"  note         {said}")
    for note in certificate_notes(loaded, utc_now()):
        click.echo(f"  certificate  {note.sentence}", err=True)
    maps = MapFiles(loaded.code_maps)
    maps.look()
    if maps:
        click.echo(f"  codes        {len(list(maps.entries()))} mapped by {len(loaded.code_maps)} file(s)")
    for problem in maps.problems:
        click.echo(f"  error        {problem}", err=True)
    return 1 if maps.problems else 0


def _unchecked_deposits(loaded: Loaded) -> list[str]:
    """List the destinations that deposit in the DMP without checking what leaves (EX_2.1-1090)."""
    strict = {name for one in loaded.configuration.routes if one.validation == "strict" for name in one.to}
    loose = {name for one in loaded.configuration.routes if one.validation != "strict" for name in one.to}
    return [
        one.name
        for one in loaded.destinations
        if one.format == "xds" and one.section.validation != "strict" and (one.name in loose or one.name not in strict)
    ]


@click.command("reference")
def command_reference() -> None:
    """Print the reference of every configuration key, as Markdown."""
    from router.config.reference import reference

    click.echo(reference())
