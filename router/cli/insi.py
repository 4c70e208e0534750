"""`passerelle insi`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.cli.base import Failed, config_file, config_option

if TYPE_CHECKING:
    from pydantic import ValidationError

    from router.identity.insi import InsiAnswer
    from schemas.identity import PatientIdentity

SAID = {
    "found": "one person, whose traits agree",
    "different": "one person, but traits differ: not accepted",
    "other_environment": "one person, whose INS is of another environment (test or production)",
    "several": "several persons: nothing is said of them",
    "none": "nobody has these traits",
    "unavailable": "INSi did not answer: this says nothing of the person",
    "refused": "INSi refuses this router",
    "insufficient": "INSi cannot be asked with these traits",
}


@click.command("insi")
@config_option
@click.option("--birth-name", required=True, help="Birth name.")
@click.option("--given", required=True, help="Birth given names, the first one first, separated by blanks.")
@click.option("--sex", required=True, type=click.Choice(["F", "M"], case_sensitive=False), help="F or M.")
@click.option("--born", required=True, help="Birth date, YYYY-MM-DD; 00 for an unknown day or month.")
@click.option("--place", help="COG code of the birth place.")
def command_insi(config: Path, birth_name: str, given: str, sex: str, born: str, place: str | None) -> int:
    """Ask INSi about a person, with the configured certificate; nothing is written but the trace of the calls.

    Exit status: 0 one person whose traits agree, 1 anything else that INSi said, 2 INSi could not be asked.

    \b
    Examples:
      passerelle insi --birth-name TESTROSE --given "ROSE MARIE" --sex F --born 1938-05-12
    """
    from pydantic import ValidationError

    from schemas.identity import PatientIdentity, Sex

    try:
        identity = PatientIdentity(
            birth_name=birth_name,
            birth_given_names=tuple(given.split()),
            sex=Sex(sex.upper()),
            birth_date=born,
            birth_place=place,
        )
    except ValidationError as invalid:
        raise Failed(f"--{_option(invalid)} is not in the expected form") from None
    answer = asyncio.run(_ask(config, identity))
    _show(answer)
    if answer.result.value in {"unavailable", "refused", "insufficient"}:
        return 2
    return 0 if answer.result.value == "found" else 1


async def _ask(config: Path, asked: PatientIdentity) -> InsiAnswer:
    from router.config.load import load
    from router.engine.clock import utc_now
    from router.identity.insi import Insi
    from router.identity.insi_records import Purpose
    from router.journal.operations import Operation
    from router.journal.store import open_store
    from router.journal.unit import Unit

    loaded = load(config_file(config))
    if loaded.insi is None:
        raise Failed(f"{loaded.path} has no [insi] section")
    store = open_store(loaded.place)

    async def submit(operation: Operation[None]) -> None:
        def write() -> None:
            with store.writing() as connection:
                unit = Unit(connection, store.sealer)
                operation.apply(unit)
                unit.flush()

        await asyncio.to_thread(write)

    insi = Insi(loaded.insi, store, submit, now=utc_now, environment=loaded.configuration.identity.environment)
    try:
        return await insi.query(asked, actor="command line", purpose=Purpose.TEST)
    finally:
        await insi.close()
        store.close()


def _show(answer: InsiAnswer) -> None:
    click.echo(f"{answer.code}  {SAID.get(answer.result.value, answer.result.value)}  (calls: {answer.calls})")
    if answer.detail:
        click.echo(f"    {answer.detail}")
    for name in answer.missing:
        click.echo(f"    {name}: missing, or with signs that INSi does not take")
    if answer.found is not None and answer.comparison is not None:
        current = answer.found.current.ins
        click.echo(f"    INS   {masked(current.matricule)}  ({current.oid})")
        click.echo(f"    former matricules: {len(answer.found.history)}")
        for name, likeness in answer.comparison.traits:
            click.echo(f"    {name}: {likeness.value}")
        for warning in answer.found.warnings:
            click.echo(f"    warning: {warning}")


def masked(matricule: str) -> str:
    """Show a matricule by its first character and its key alone."""
    return matricule[:1] + "•" * (len(matricule) - 3) + matricule[-2:]


def _option(invalid: ValidationError) -> str:
    field = str(invalid.errors()[0]["loc"][0])
    return {"birth_date": "born", "birth_place": "place", "birth_name": "birth-name"}.get(field, field)
