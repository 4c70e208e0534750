"""`passerelle pdsm`: an operator's look at a document-sharing server, and changes of a document's state there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from router.cli.base import Failed, config_file, config_option
from router.cli.terminal import actor, apply, now

if TYPE_CHECKING:
    from connectors.pdsm.client import PdsmClient
    from connectors.pdsm.resources import Resource
    from connectors.pdsm.settings import PdsmDestinationSettings
    from connectors.pdsm.updates import Change

R = TypeVar("R")

ACTIONS = ("delete", "mask", "unmask", "archive", "unarchive")


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which destination's server, about whom: the search token of the patient (`system|value`)."""

    settings: PdsmDestinationSettings
    patient: str


@click.group("pdsm")
def command_pdsm() -> None:
    """Look at a document-sharing server, and change the state of documents there."""


_destination = click.option("--destination", required=True, help="Name of a destination whose connector is pdsm.")
_patient = click.option("--patient", required=True, type=int, help="Number of the patient in the register.")


@command_pdsm.command("list")
@config_option
@_destination
@_patient
def command_list(config: Path, destination: str, patient: int) -> int:
    """List a patient's documents there: unique id, status, date, title. The look is recorded in the audit.

    \b
    Examples:
      passerelle pdsm list --destination dmp --patient 12
    """
    from connectors.pdsm.resources import ARCHIVED, flagged, text, unique_id

    async def found(client: PdsmClient, asked: _Asked) -> list[Resource]:
        from connectors.pdsm.client import ALL_STATUSES, token

        criteria = {"patient.identifier": token(*asked.patient.split("|", 1)), "status": ALL_STATUSES}
        return [one async for page in client.pages("DocumentReference", criteria) for one in page.matches]

    documents = _done(config, destination, patient, "list shared documents", "", found)
    for one in documents:
        state = text(one, "status") + (" archived" if flagged(one, ARCHIVED) else "")
        click.echo(f"{unique_id(one)}  {state}  {text(one, 'date')[:10]}  {text(one, 'description')}")
    click.echo(f"{len(documents)} document(s).", err=True)
    return 0


@command_pdsm.command("set")
@config_option
@_destination
@_patient
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("document", metavar="UNIQUE-ID")
def command_set(config: Path, destination: str, patient: int, yes: bool, action: str, document: str) -> int:
    """Delete, mask to professionals, unmask, archive or unarchive a document there.

    Exit status: 0 it is so, 1 the server refuses, 2 it could not be asked.

    \b
    Examples:
      passerelle pdsm set mask 1.2.250.1.999.7.1 --destination dmp --patient 12
    """
    from connectors.contracts import Delivered, Retry
    from connectors.pdsm.destination import change_state
    from connectors.pdsm.updates import PatchForm
    from mappings.fhir.systems import document_number_out

    if not yes and not click.confirm(f"{action} {document} at {destination}. Go on?"):
        return 1

    async def changed(client: PdsmClient, asked: _Asked) -> object:
        stored = await client.look_up(document_number_out(document, ""), asked.patient)
        if stored is None:
            raise Failed("the server has no document of this unique id about this patient")
        form = PatchForm(asked.settings.patch)
        return await change_state(client, stored, _change(action, stored, asked.settings.deletion), form)

    outcome = _done(config, destination, patient, f"{action} shared document", document, changed)
    detail = getattr(outcome, "detail", "")
    click.echo(f"{action}: {'done' if isinstance(outcome, Delivered) else 'not done'} ({detail})")
    if isinstance(outcome, Retry):
        return 2
    return 0 if isinstance(outcome, Delivered) else 1


@command_pdsm.command("again")
@config_option
@click.option("--source", required=True, help="Name of a source whose connector is pdsm.")
@_patient
def command_again(config: Path, source: str, patient: int) -> int:
    """Let a source look at all of a patient's documents again, at its next round.

    For documents that were rejected because their file was not to be had (a host that is allowed since, a larger
    `max_document`): what is known here is not taken twice.

    \b
    Examples:
      passerelle pdsm again --source share --patient 12
    """
    from connectors.pdsm.following import memory_key
    from connectors.pdsm.settings import PdsmSourceSettings
    from router.config.load import load
    from router.engine.memory import forget
    from router.journal.actions import record_audit
    from router.journal.store import open_store
    from router.journal.unit import Unit

    loaded = load(config_file(config))
    if not any(one.name == source and isinstance(one.settings, PdsmSourceSettings) for one in loaded.sources):
        raise Failed(f"{loaded.path} has no source {source} whose connector is pdsm")
    who, at = actor(), now()
    store = open_store(loaded.place)
    try:
        with store.writing() as connection:
            unit = Unit(connection, store.sealer)
            done = forget(f"source {source}", memory_key(patient)).apply(unit)
            record_audit(who, "fetch shared documents again", f"patient {patient}", now=at, detail=source).apply(unit)
            unit.flush()
    finally:
        store.close()
    click.echo(
        "Every document is looked at again at the next round." if done else "Nothing is remembered of this patient."
    )
    return 0


def _change(action: str, stored: Resource, deletion: str) -> Change:
    from connectors.pdsm.resources import objects
    from connectors.pdsm.updates import Change, same_label
    from mappings.fhir.systems import VISIBILITY

    mask: Resource = {"coding": [{"system": VISIBILITY, "code": "MASQUE_PS"}]}
    match action:
        case "delete":
            gone = deletion == "is-deleted"
            return Change(status="superseded", deleted=True) if gone else Change(status=deletion)
        case "mask" | "unmask":
            labels = [one for one in objects(stored, "securityLabel") if not same_label(one, mask)]
            return Change(labels=[*labels, mask] if action == "mask" else labels)
        case _:
            return Change(archived=action == "archive")


def _done(
    config: Path,
    destination: str,
    patient: int,
    action: str,
    document: str,
    work: Callable[[PdsmClient, _Asked], Awaitable[R]],
) -> R:
    """Record what is about to be done, then do it: who looks at health data leaves a trace even when it fails."""
    from connectors.pdsm.client import Interrupted, PdsmClient
    from connectors.pdsm.following import usable_ins
    from connectors.pdsm.settings import PdsmDestinationSettings
    from router.config.load import load
    from router.identity.patients import load_patients
    from router.journal.actions import record_audit
    from router.journal.store import open_store

    loaded = load(config_file(config))
    resolved = next((one for one in loaded.destinations if one.name == destination), None)
    if resolved is None or not isinstance(resolved.settings, PdsmDestinationSettings):
        raise Failed(f"{loaded.path} has no destination {destination} whose connector is pdsm")
    store = open_store(loaded.place)
    try:
        with store.reading() as connection:
            known = load_patients(connection, store.sealer, [patient]).get(patient)
        ins = usable_ins(known.identity) if known is not None else None
        if ins is None:
            raise Failed(f"patient {patient} is not in the register, or has no qualified INS")
        detail = f"{destination} {document}".strip()
        apply(store, record_audit(actor(), action, f"patient {patient}", now=now(), detail=detail))
    finally:
        store.close()
    asked = _Asked(resolved.settings, f"urn:oid:{ins.oid}|{ins.matricule}")

    async def run() -> R:
        client = PdsmClient(asked.settings, lambda: datetime.now(UTC), {})
        try:
            return await work(client, asked)
        finally:
            await client.close()

    try:
        return asyncio.run(run())
    except Interrupted as interrupted:
        raise Failed(f"{destination}: {interrupted.outcome.detail}") from None
