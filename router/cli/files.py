"""`passerelle convert`, `validate`, `show`, `explain`, `formats`, `schema`: work on files, without a router."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.cli.base import Failed

if TYPE_CHECKING:
    from mappings.contracts import Format, ReadContext
    from schemas.finding import Finding

_FILES = click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=False, allow_dash=True)
)
_FROM = click.option("--from", "source_format", help="Format of the files. Unset: recognised by their content.")


@click.command("convert")
@_FILES
@click.option("--to", "target", required=True, help="Format to write; `passerelle formats` lists them.")
@_FROM
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write into, one file an item.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="Setting of the target format.")
def command_convert(
    files: tuple[Path, ...], target: str, source_format: str | None, out: Path | None, options: tuple[str, ...]
) -> int:
    """Translate files; folders are read whole. Findings go to standard error.

    \b
    Exit status: 0 done, 1 done with error findings or a refused item, 2 unreadable input or wrong usage.
    \b
    Examples:
      passerelle convert report.hpr --to fhir
      passerelle convert inbox/ --to canonical --out converted/
      passerelle convert message.hl7 --to hprim-medecin --out out/
    """
    from mappings.contracts import FormatError
    from mappings.registry import format_named
    from router.cli.progress import each
    from router.conversion import Converter, pairs

    writer = format_named(target)
    converter = Converter(writer, now=datetime.now(UTC), options=pairs(options))
    found = list(_expand(files))
    if not found:
        raise Failed("there is no file to convert")
    status = 0
    for path in each(found, "converting", shown=out is not None):
        try:
            results = converter.convert(_content(path), source_format, _context(path))
        except FormatError as problem:
            click.echo(f"{_shown(path)}: {problem}", err=True)
            status = 2
            continue
        _print_findings(path, results.findings)
        if results.failed:
            status = max(status, 1)
        if out is None:
            for rendition in results.renditions:
                sys.stdout.buffer.write(rendition.content)
                if not rendition.content.endswith(b"\n"):
                    sys.stdout.buffer.write(b"\n")
        else:
            converter.write_into(out, path, results)
    return status


@click.command("validate")
@_FILES
@_FROM
@click.option(
    "--against", type=click.Path(path_type=Path, exists=True), help="Folder of a validation package (XSD, schematron)."
)
def command_validate(files: tuple[Path, ...], source_format: str | None, against: Path | None) -> int:
    """List what a reader notices in files, and for FHIR what a second, independent model says of each resource.

    With --against, each CDA document (the file, or what a message or archive carries) is also checked against the XML
    schemas and schematrons of a package such as the ANS's; a failed assertion makes the exit status 1.

    \b
    Examples:
      passerelle validate report.hpr
      passerelle validate bundle.json --from fhir
      passerelle validate letter.xml --against TestContenuCDA
    """
    from mappings.contracts import FormatError
    from router.cli.progress import each
    from router.conversion import read_content, recognise
    from router.validation import conforms, open_package
    from router.validation.carried import documents_of

    package = open_package(against) if against is not None else None
    status = 0
    for path in each(list(_expand(files)), "validating", shown=False):
        content = _content(path)
        try:
            fmt = recognise(content, source_format)
            reading = read_content(fmt, content, _context(path))
        except FormatError as problem:
            click.echo(f"{_shown(path)}: {problem}", err=True)
            status = 2
            continue
        findings = [*reading.findings, *_second_opinion(fmt, content)]
        checked: list[Finding] = []
        if package is not None:
            documents = [content] if fmt.name == "cda" else list(documents_of(reading.items))
            for document in documents:
                checked += package.validate(document)
            if not documents:
                click.echo(f"{_shown(path)}: info validation.nothing: it carries no CDA document to check")
            findings += checked
        _print_findings(path, findings, stream_is_error=False)
        for one in reading.unread:
            click.echo(f"{_shown(path)}: info unread {one.where}: a value that the mapping leaves behind")
        if any(finding.severity == "error" for finding in findings) or not conforms(checked):
            status = max(status, 1)
        click.echo(f"{_shown(path)}: {fmt.name}, {len(reading.items)} item(s), {len(findings)} finding(s)")
    return status


@click.command("show")
@_FILES
@_FROM
@click.option("--raw", is_flag=True, help="Only the fields, not what was understood.")
def command_show(files: tuple[Path, ...], source_format: str | None, raw: bool) -> int:
    """Read files aloud: every field with its official name, then the items that were understood.

    \b
    Examples:
      passerelle show message.hl7
      passerelle show report.hpr --raw
    """
    from mappings.contracts import FormatError
    from router.cli.display import show_pieces
    from router.cli.readings import show_items
    from router.conversion import read_content, recognise

    status = 0
    for path in _expand(files):
        content = _content(path)
        try:
            fmt = recognise(content, source_format)
            reading = read_content(fmt, content, _context(path))
        except FormatError as problem:
            click.echo(f"{_shown(path)}: {problem}", err=True)
            status = 2
            continue
        show_pieces(_shown(path), fmt, content)
        if not raw:
            show_items(reading)
        _print_findings(path, reading.findings)
    return status


@click.command("explain")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@_FROM
@click.option("--to", "targets", multiple=True, help="Formats to follow the values into (repeatable). Unset: fhir.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command_explain(file: Path, source_format: str | None, targets: tuple[str, ...], as_json: bool) -> int:
    """Show from which bytes each canonical value came, and where it goes.

    Each piece of the file is altered in turn and read again: what changes came from it. Each canonical value is altered
    in turn and written again: where the output changes is where it goes. Nothing is declared, everything is observed.

    \b
    Examples:
      passerelle explain message.hl7
      passerelle explain report.hpr --to fhir --to hl7v2
    """
    from mappings.explain import explain
    from mappings.registry import format_named
    from router.cli.display import show_explanation
    from router.conversion import recognise

    content = _content(file)
    fmt = recognise(content, source_format)
    wanted = [format_named(name) for name in targets or ("fhir",)]
    show_explanation(explain(content, fmt, _context(file), wanted), as_json=as_json)
    return 0


@click.command("formats")
def command_formats() -> None:
    """List the installed formats, what they read and write, and which can become which."""
    from mappings.registry import formats
    from router.cli.display import show_formats
    from router.cli.matrix import show_matrices

    show_formats(formats())
    show_matrices(formats())


@click.command("schema")
def command_schema() -> None:
    """Print the JSON Schema of what `convert --to canonical` prints."""
    import orjson

    from schemas.json_schema import json_schema

    click.echo(orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2).decode())


def _expand(files: Sequence[Path]) -> Iterator[Path]:
    for path in files:
        if str(path) != "-" and path.is_dir():
            yield from sorted(one for one in path.iterdir() if one.is_file() and not one.name.startswith("."))
        else:
            yield path


def _content(path: Path) -> bytes:
    return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()


def _shown(path: Path) -> str:
    return "standard input" if str(path) == "-" else str(path)


def _context(path: Path) -> ReadContext:
    from mappings.contracts import ReadContext
    from router.conversion import siblings_of

    if str(path) == "-":
        return ReadContext(received_at=datetime.now(UTC))
    return ReadContext(received_at=datetime.now(UTC), filename=path.name, siblings=siblings_of(path))


def _second_opinion(fmt: Format, content: bytes) -> Sequence[Finding]:
    if fmt.name != "fhir":
        return ()
    from mappings.fhir.check import check_with_fhirclient

    return check_with_fhirclient(content)


def _print_findings(path: Path, findings: Sequence[Finding], *, stream_is_error: bool = True) -> None:
    for finding in findings:
        where = f" {finding.where}" if finding.where else ""
        line = f"{_shown(path)}: {finding.severity.value} {finding.code}{where}: {finding.message}"
        click.echo(line, err=stream_is_error)
