"""`passerelle dmp`: what an operator does in the DMP by hand, with the certificates of the configuration; audited."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from router.cli.base import Failed, config_file, config_option

if TYPE_CHECKING:
    from connectors.dmp.operating import Operator
    from mappings.xds.model import DocumentEntry
    from schemas.identity import Ins

R = TypeVar("R")

CODES = ("MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX")


def _common(command: click.decorators.FC) -> click.decorators.FC:
    """Add what every command has: where the configuration is, which identity, whose DMP."""
    command = click.option(
        "--name", help="Source or destination whose identity is used; needed when there are several."
    )(command)
    command = click.option("--oid", help="Authority of the INS, when it is neither that of production nor of tests.")(
        command
    )
    return config_option(click.argument("ins")(command))


@click.group("dmp")
def command_dmp() -> None:
    """Look into the DMP of a patient, and change what was deposited there.

    INS is the matricule with its key; `-` reads it from the standard input, out of the shell's history. Every command
    is audited. Exit status: 0 done, 1 the DMP says no (or has nothing), 2 it could not be asked.

    \b
    Examples:
      passerelle dmp test 238053523800024
      passerelle dmp search - --name dmp < ins.txt
    """


@command_dmp.command("test")
@_common
def command_test(ins: str, config: Path, name: str | None, oid: str | None) -> int:
    """Ask whether the patient has a DMP that takes documents (TD0.2)."""
    from connectors.dmp.answers import Existence

    found = _run(config, name, ins, oid, "test", "", lambda operator, who: operator.test(who))
    if isinstance(found, Existence):
        state = "active" if found.active else "closed"
        click.echo(f"a DMP exists and is {state}" if found.exists else "the patient has no DMP")
        if found.authorisation is not None:
            click.echo(f"    authorisation to consult: {found.authorisation}")
        if found.treating_doctor is not None:
            click.echo(f"    treating doctor: {'yes' if found.treating_doctor else 'no'}")
        return 0 if found.accepts else 1
    return _said_no(found)


@command_dmp.command("search")
@_common
@click.option("--archived", is_flag=True, help="List archived documents as well.")
def command_search(ins: str, config: Path, name: str | None, oid: str | None, archived: bool) -> int:
    """List the documents that are there (TD3.1)."""
    found = _run(config, name, ins, oid, "search", "", lambda operator, who: operator.search(who, archived=archived))
    if not isinstance(found, tuple):
        return _said_no(found)
    for entry in found:
        _show(entry)
    click.echo(f"{len(found)} document(s)")
    return 0


@command_dmp.command("retrieve")
@_common
@click.argument("unique_id")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A file that is made.")
def command_retrieve(ins: str, config: Path, name: str | None, oid: str | None, unique_id: str, out: Path) -> int:
    """Write one document to a new file (TD3.2)."""
    from connectors.dmp.answers import Retrieved

    if out.exists():
        raise Failed(f"{out} exists already")
    found = _run(config, name, ins, oid, "retrieve", unique_id, lambda operator, who: operator.retrieve(who, unique_id))
    if not isinstance(found, Retrieved):
        return _said_no(found)
    with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        handle.write(found.content)
    click.echo(f"{out}: {len(found.content)} bytes, {found.media_type}")
    return 0


@command_dmp.command("delete")
@_common
@click.argument("unique_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command_delete(ins: str, config: Path, name: str | None, oid: str | None, unique_id: str, yes: bool) -> int:
    """Delete a document that this structure or person deposited (TD3.3c)."""
    if not yes:
        click.confirm(f"Delete {unique_id} from the DMP?", abort=True)
    found = _run(config, name, ins, oid, "delete", unique_id, lambda operator, who: operator.delete(who, unique_id))
    return _done(found, "deleted")


@command_dmp.command("archive")
@_common
@click.argument("unique_id")
@click.option("--back", is_flag=True, help="Bring it back from the archive.")
def command_archive(ins: str, config: Path, name: str | None, oid: str | None, unique_id: str, back: bool) -> int:
    """Archive a document, or bring it back (TD3.3d)."""
    action = "unarchive" if back else "archive"
    found = _run(
        config, name, ins, oid, action, unique_id, lambda operator, who: operator.archive(who, unique_id, back=back)
    )
    return _done(found, "brought back" if back else "archived")


@command_dmp.command("mask")
@_common
@click.argument("unique_id")
@click.option("--code", type=click.Choice(CODES), default=CODES[0], show_default=True, help="The visibility code.")
@click.option("--remove", is_flag=True, help="Take the code away: unmask, or make visible.")
def command_mask(
    ins: str, config: Path, name: str | None, oid: str | None, unique_id: str, code: str, remove: bool
) -> int:
    """Mask a document to professionals, or with --remove unmask it or make it visible (TD3.3a, TD3.3b)."""
    if not remove and code != CODES[0]:
        raise Failed("a document that is in the DMP can be made visible (--remove), not hidden from the patient later")
    found = _run(
        config,
        name,
        ins,
        oid,
        "unmask" if remove else "mask",
        unique_id,
        lambda operator, who: operator.show(who, unique_id, code, hidden=not remove),
    )
    return _done(found, "changed")


# --- asking


def _run(
    config: Path,
    name: str | None,
    ins: str,
    oid: str | None,
    action: str,
    target: str,
    ask: Callable[[Operator, Ins], Awaitable[R]],
) -> R:
    """Audit, then ask: who looked is known even if nothing came of it."""
    from connectors.dmp.operating import Operator
    from connectors.dmp.settings import DmpSettings
    from router.config.load import load
    from router.engine.clock import micros, utc_now
    from router.journal.actions import record_audit
    from router.journal.store import open_store
    from router.journal.unit import Unit

    loaded = load(config_file(config))
    held = [(one.name, one.settings) for one in loaded.destinations]
    held += [(one.name, one.settings) for one in loaded.sources]
    usable = [(known, one) for known, one in held if isinstance(one, DmpSettings) and name in (None, known)]
    if not usable:
        raise Failed(f"{loaded.path} has no dmp source or destination" + (f" named {name}" if name else ""))
    if len(usable) > 1:
        raise Failed("say which one by --name: " + ", ".join(known for known, _ in usable))
    used, settings = usable[0]
    who = _ins(sys.stdin.readline() if ins == "-" else ins, oid, loaded.configuration.identity.environment)
    store = open_store(loaded.place)
    try:
        with store.writing() as connection:
            unit = Unit(connection, store.sealer)
            audit = record_audit("command line", f"dmp {action}", target or used, now=micros(utc_now()), detail=used)
            audit.apply(unit)
            unit.flush()
    finally:
        store.close()

    async def asking() -> R:
        operator = Operator(settings, utc_now)
        try:
            return await ask(operator, who)
        finally:
            await operator.close()

    return asyncio.run(asking())


def _ins(text: str, oid: str | None, environment: object) -> Ins:
    from schemas.identifiers import MatriculeVerdict, check_matricule, ins_authority
    from schemas.identity import Ins

    checked = check_matricule(text.strip())
    if checked.verdict is not MatriculeVerdict.OK:
        raise Failed("INS is not a matricule of fifteen signs whose key verifies")
    authority = oid or ("1.2.250.1.213.1.4.10" if str(environment) == "test" else "1.2.250.1.213.1.4.8")
    if ins_authority(authority) is None:
        raise Failed("--oid is not an authority of INS")
    return Ins(matricule=checked.value, oid=authority)


# --- showing


def _show(entry: DocumentEntry) -> None:
    kind = entry.type_code.label or entry.type_code.code if entry.type_code is not None else "?"
    hidden = [code.code for code in entry.confidentiality_codes if code.code in CODES]
    status = (entry.availability_status or "").rpartition(":")[2]
    click.echo(f"{entry.unique_id}  {entry.creation_time or '?'}  {status}  {kind}  {' '.join(hidden)}".rstrip())
    click.echo(f"    {entry.title or ''}  ({entry.size or '?'} bytes, version {entry.version or '?'})")


def _done(found: object, word: str) -> int:
    from connectors.dmp.answers import Registered

    if not isinstance(found, Registered):
        return _said_no(found)
    click.echo(word)
    for warning in found.warnings:
        click.echo(f"    {warning.sentence}")
    return 0


def _said_no(found: object) -> int:
    """Say why not: in English, and the DMP's own reasons in French as well."""
    from connectors.dmp.answers import Refusal, Trouble

    if isinstance(found, Refusal):
        for reason in found.reasons:
            click.echo(f"{reason.code}: {reason.en} / {reason.fr}", err=True)
        return 1
    if isinstance(found, Trouble):
        click.echo(found.detail, err=True)
        return 2
    click.echo("the DMP does not have this document, or not in a state that can change", err=True)
    return 1
