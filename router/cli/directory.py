"""`passerelle directory`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.cli.base import Failed, config_file, config_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.annuaire.building import ImportReport
    from connectors.annuaire.entries import Correspondent
    from router.config.load import Loaded
    from router.directory.service import DirectoryService, LookedUp


@click.group("directory")
def command_directory() -> None:
    """Look up professionals and secure mailboxes (Annuaire Santé), keep the index and the white list fresh."""


@command_directory.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@config_option
@click.option("--force", is_flag=True, help="Take an extraction with far fewer mailboxes than the last one.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def directory_import(files: tuple[Path, ...], config: Path, force: bool, as_json: bool) -> int:
    """Index extractions of the Annuaire Santé: mailboxes (31 columns), professionals (56 columns); ZIP or text.

    The new index replaces the old one when it is whole; what is wrong with a file leaves the last good one. Of two
    extractions, one that is not given is kept as it was.

    \b
    Exit status: 0 indexed, 1 indexed with lines that could not be used, 2 not indexed.
    \b
    Examples:
      passerelle directory import Extraction_Correspondance_MSSante.zip PS_LibreAcces.zip
    """
    import orjson

    from connectors.annuaire.settings import AnnuaireSettings
    from router.directory.places import directory_folder
    from router.directory.refreshing import import_files
    from router.engine.clock import utc_now

    loaded = _loaded(config)
    folder = directory_folder(loaded.place.data)
    with _shown() as progress:
        report = import_files(
            loaded.annuaire or AnnuaireSettings(), folder, files, now=utc_now, force=force, shown=progress
        )
    if as_json:
        click.echo(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        _show_report(report)
    return 1 if any(one.malformed or one.recoded for one in report.texts) else 0


@command_directory.command("refresh")
@config_option
@click.option("--force", is_flag=True, help="Read what has not changed too, and take far fewer mailboxes than before.")
def directory_refresh(config: Path, force: bool) -> int:
    """Fetch and index the extractions, and the white list, that the section [annuaire] names.

    Exit status: 0 done or unchanged, 1 something could not be refreshed (its last good version stays).
    """
    from router.directory.places import directory_folder
    from router.directory.refreshing import refresh
    from router.engine.clock import utc_now

    loaded = _loaded(config)
    section = loaded.annuaire
    if section is None or not (section.files or section.white_list):
        raise Failed(f"{loaded.path} names neither files nor a white_list in [annuaire]")
    with _shown() as progress:
        done = refresh(section, directory_folder(loaded.place.data), now=utc_now, force=force, shown=progress)
    if done.report is not None:
        _show_report(done.report)
    elif done.unchanged:
        click.echo("The extractions have not changed.")
    if done.domains is not None:
        click.echo(f"{done.domains} domains in the white list.")
    for trouble in done.troubles:
        click.echo(f"passerelle: {trouble.part}: {trouble.message} (the last good stays)", err=True)
    return 1 if done.troubles else 0


@command_directory.command("search")
@click.argument("words", nargs=-1)
@config_option
@click.option("--place", default="", help="Commune or postal code; its beginning is enough.")
@click.option("--rpps", default="", help="RPPS number: whole. The national API is asked when it is configured.")
@click.option("--finess", default="", help="FINESS number of a structure: whole.")
@click.option("--address", default="", help="Address of a mailbox: whole.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def directory_search(
    words: tuple[str, ...], config: Path, place: str, rpps: str, finess: str, address: str, as_json: bool
) -> int:
    """Look up professionals and structures with their mailboxes, by the beginnings of names or by a number.

    \b
    Exit status: 0 somebody was found, 1 nobody, 2 the directory could not be asked.
    \b
    Examples:
      passerelle directory search testaut --place 35
      passerelle directory search --rpps 99900000011
    """
    from dataclasses import asdict

    import orjson

    if not (words or place or rpps or finess or address):
        raise Failed("say what to look for: a name, --place, --rpps, --finess or --address")
    looked = asyncio.run(_look_up(_loaded(config), " ".join(words), place, rpps, finess, address))
    if as_json:
        click.echo(orjson.dumps([asdict(one) for one in looked.found], option=orjson.OPT_INDENT_2).decode())
    else:
        _show_found(looked.found)
    if looked.trouble is not None:
        click.echo(f"passerelle: the national API was not asked: {looked.trouble.detail}", err=True)
        return 0 if looked.found else 2
    return 0 if looked.found else 1


@command_directory.command("status")
@config_option
@click.option("--moved", is_flag=True, help="List the mailboxes that moved with the last import.")
@click.option("--json", "as_json", is_flag=True, help="Print the report of the last import as JSON.")
def directory_status(config: Path, moved: bool, as_json: bool) -> None:
    """Show the last import, one under way, what moved, and how the white list is."""
    import orjson

    service = _service(_loaded(config))
    status = service.status()
    if as_json:
        click.echo(orjson.dumps(status.report, option=orjson.OPT_INDENT_2).decode())
        return
    index, listed, report = status.state.index, status.state.white_list, status.report
    if report is None:
        click.echo("Nothing is indexed yet: passerelle directory import FILE…, or name files in [annuaire].")
    else:
        kinds = ", ".join(f"{kind} {count}" for kind, count in report["kinds"].items())
        counts = f"{report['mailboxes']} mailboxes ({kinds}), {report['people']} professionals"
        click.echo(f"Index      {counts}, {report['structures']} structures; {report['at']}")
        if report["moved"]:
            told = report["moved"]
            click.echo(f"Moved      {told['added']} added, {told['gone']} gone, {told['changed']} changed")
    if index.trouble:
        click.echo(f"Trouble    {index.tried_at}: {index.trouble}; the last good index stays")
    if status.progress is not None:
        percent = "" if status.progress.percent is None else f" {status.progress.percent} %"
        click.echo(f"Under way  {status.progress.doing}{percent}")
    click.echo(f"API        {'configured' if status.api else 'not configured'}")
    if status.white_list is not None:
        click.echo(f"White list {len(status.white_list.domains)} domains, made {status.white_list.generated_at}")
    else:
        click.echo("White list none")
    if listed.trouble:
        click.echo(f"Trouble    {listed.tried_at}: {listed.trouble}; the last good list stays")
    for address, how in service.directory.moved(limit=10_000) if moved else ():
        click.echo(f"{how:8} {address}")


@command_directory.command("white-list")
@click.argument("domains", nargs=-1)
@config_option
@click.option("--file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Keep this list first.")
def directory_white_list(domains: tuple[str, ...], config: Path, file: Path | None) -> int:
    """Say which of these domains (or addresses' domains) are MSSanté's; without any, list them all.

    Exit status: 0 all are, 1 one is not, 2 there is no list, or the file is none.
    """
    from connectors.annuaire.white_list import KeptWhiteList, domain_of
    from router.directory.places import directory_folder

    kept = KeptWhiteList(directory_folder(_loaded(config).place.data))
    found = kept.replace(file.read_bytes()) if file is not None else kept.current()
    if found is None:
        raise Failed("there is no white list yet: name one in [annuaire] white_list, or give --file")
    if not domains:
        click.echo(f"{len(found.domains)} domains, made {found.generated_at}")
        for name, operators in sorted(found.domains.items()):
            click.echo(f"{name}  {len(operators)}")
        return 0
    for one in domains:
        click.echo(f"{domain_of(one)}  {'yes' if found.allowed(one) else 'no'}")
        for operator in sorted(found.operators(one)):
            click.echo(f"    {operator}")
    return 0 if all(found.allowed(one) for one in domains) else 1


@command_directory.command("rules")
def directory_rules() -> None:
    """Print the tables of who gets what, as CSV: a copy of one may be changed and named in a destination."""
    from router.recipients.rules import shipped

    for name in ("who_gets_what.csv", "legal_wishes.csv"):
        click.echo(f"# {name}")
        click.echo(shipped(name))


async def _look_up(loaded: Loaded, name: str, place: str, rpps: str, finess: str, address: str) -> LookedUp:
    from connectors.annuaire.directory import Query
    from router.directory.service import LookedUp

    service = _service(loaded)
    try:
        if rpps:
            return await service.person(rpps)
        if address:
            return await service.at(address)
        if finess:
            return await service.structure(finess)
        return LookedUp(tuple(service.directory.search(Query(name, place))))
    finally:
        await service.close()


def _service(loaded: Loaded) -> DirectoryService:
    from router.directory.service import DirectoryService
    from router.engine.clock import utc_now

    return DirectoryService(loaded.annuaire, loaded.place.data, now=utc_now)


def _loaded(config: Path) -> Loaded:
    from router.config.load import load

    return load(config_file(config))


@contextmanager
def _shown() -> Iterator[Callable[[str, int, int], None]]:
    """Draw a bar on standard error, only where a person looks."""
    import sys

    if not sys.stderr.isatty():
        yield lambda _doing, _read, _size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, TaskID] = {}

        def show(doing: str, read: int, size: int) -> None:
            said = doing or "indexing"
            if said not in tasks:
                tasks[said] = progress.add_task(said, total=size or None)
            progress.update(tasks[said], completed=read)

        yield show


def _show_report(report: ImportReport) -> None:
    for one in report.texts:
        left = f", {one.malformed} of another shape left out" if one.malformed else ""
        left += f", {one.without_address} without an address" if one.without_address else ""
        left += f", {one.recoded} not in UTF-8" if one.recoded else ""
        click.echo(f"{one.name}: {one.lines} lines of {one.kind.value}{left}")
    for name in report.left_aside:
        click.echo(f"{name}: not one of the extractions, left aside")
    for kind in report.taken_over:
        click.echo(f"{kind}: taken over from the index before")
    kinds = ", ".join(f"{kind} {count}" for kind, count in report.kinds.items())
    click.echo(
        f"{report.mailboxes} mailboxes ({kinds}), {report.people} professionals, {report.structures} structures "
        f"in {report.seconds:.1f} s"
    )
    if report.moved is not None:
        click.echo(f"{report.moved.added} added, {report.moved.gone} gone, {report.moved.changed} changed")


def _show_found(found: Sequence[Correspondent]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Column, Table

    if not found:
        click.echo("Nobody is found.")
        return
    boxes_column = Column("mailboxes", overflow="fold")
    table = Table("who", "RPPS or FINESS", "where", boxes_column, box=SIMPLE_HEAD, pad_edge=False)
    for one in found:
        number = one.rpps or next((place.structure for place in one.places), "")
        places = "\n".join(" ".join((place.name, place.postal_code, place.city)).strip() for place in one.places[:4])
        boxes = "\n".join(dict.fromkeys(f"{box.kind} {box.address}" for box in one.mailboxes))
        table.add_row("\n".join((one.name, *one.professions)), number, places, boxes)
    Console().print(table)
