"""`passerelle dossier extract`: what a structure may read of the dossiers that it is a member of, as files."""

from __future__ import annotations

from pathlib import Path

import click

from router.cli.base import Failed, config_option
from router.cli.dossier_desk import by_now
from router.cli.terminal import apply, opened


@click.command("extract")
@click.option("--structure", "finess", required=True, help="FINESS number of the structure.")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="A new folder to write to."
)
@config_option
def command_extract(finess: str, out: Path, config: Path) -> int:
    """Extract what a structure may read as a member, in clear: a FHIR Bundle for each dossier, files, one CSV. Audited.

    It reads what the FHIR API serves: `[dossier] api = true` keeps that up.

    \b
    Examples:
      passerelle dossier extract --structure 670000002 --out extraction-2026-11
    """
    from router.dossier.circle_door import CircleDoor
    from router.dossier.extracting import Extraction, NotEmpty, extract_of, keep_extract, reader_for
    from router.journal.view import viewing

    if not finess.isascii() or not finess.isalnum() or len(finess) > 14:
        raise Failed("a FINESS number has nine characters, digits and letters")
    by = by_now()
    reader, door = reader_for(finess, by.actor), CircleDoor()
    with opened(config) as store, viewing(store) as view:
        try:
            extraction = Extraction(out)
            for patient in door.patients(view, reader):
                found = extract_of(view, door, reader, patient, now=by.now)
                if found is not None:
                    apply(store, keep_extract(found, finess, by.actor, now=by.now))
                    extraction.add(view, found)
        except NotEmpty as fault:
            raise Failed(str(fault)) from None
        except OSError as fault:
            raise Failed(f"{out} cannot be written: {fault.strerror}") from None
    if not extraction.dossiers:
        raise Failed("this structure may read nothing: it is a member of no dossier, or the API keeps none")
    click.echo(
        f"{extraction.dossiers} dossiers, {extraction.resources} resources in {out}. They are health data in clear."
    )
    return 0
