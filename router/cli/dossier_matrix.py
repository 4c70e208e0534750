"""`passerelle dossier matrix`, `habilitation` and `rules`: what roles, structures and tools may do, who is told."""

from __future__ import annotations

from pathlib import Path

import click

from router.cli.base import Failed, config_file, config_option
from router.cli.dossier_consent import CATEGORIES
from router.cli.dossier_desk import ask, by_now, by_option, done, show_table
from router.cli.terminal import apply, opened

_FILE = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))


@click.group("matrix")
def command_matrix() -> None:
    """Read and change the habilitation matrix: what each role family may do with each category of data (CSV)."""


@command_matrix.command("show")
@click.option("--default", "shipped", is_flag=True, help="The one that is shipped, not the one that holds.")
@config_option
def matrix_show(shipped: bool, config: Path) -> None:
    """Print the matrix that holds, as CSV: `-` nothing, `E` told without content, `R` read, `A` read and write."""
    from router.dossier.matrices import matrix_now
    from router.dossier.matrix import default_text, write_matrix

    if shipped:
        click.echo(default_text(), nl=False)
        return
    with opened(config) as store:
        click.echo(write_matrix(ask(store, lambda view: matrix_now(view.connection))), nl=False)


@command_matrix.command("check")
@_FILE
@config_option
def matrix_check(file: Path, config: Path) -> None:
    """Say what a matrix would change, or all that is wrong with it. Nothing is written."""
    from router.dossier.matrices import matrix_now
    from router.dossier.matrix import differences, read_matrix

    matrix = read_matrix(_text(file))
    with opened(config) as store:
        changes = differences(ask(store, lambda view: matrix_now(view.connection)), matrix)
    rows = [
        (one.category.value, one.family.value, one.before.text, one.after.text, "opens" if one.opens else "")
        for one in changes
    ]
    show_table(("category", "family", "now", "then", ""), rows, "It is the matrix that holds.")


@command_matrix.command("import")
@_FILE
@by_option
@config_option
def matrix_import(file: Path, why: str, config: Path) -> None:
    """Let a matrix hold from now on, for every dossier. Who brought it, when and why is kept."""
    from router.dossier.matrices import bring_matrix

    change = bring_matrix(_text(file), by=by_now(why))
    with opened(config) as store:
        changes = apply(store, change)
    click.echo(f"{len(changes)} cell(s) changed." if changes else "It is the matrix that holds already.")


@command_matrix.command("history")
@config_option
def matrix_history_command(config: Path) -> None:
    """List the matrices that were brought, newest first, with each cell that they changed."""
    from router.dossier.matrices import matrix_history
    from router.engine.clock import moment

    with opened(config) as store:
        versions = ask(store, lambda view: matrix_history(view.connection))
    rows = [
        (
            str(version.id),
            f"{moment(version.at):%Y-%m-%d %H:%M:%S}",
            version.actor,
            version.why,
            f"{one.category.value}, {one.family.value}: {one.before.text} to {one.after.text}",
        )
        for version in versions
        for one in version.changes
    ]
    show_table(("version", "when (UTC)", "who", "why", "cell"), rows, "The shipped matrix holds; nobody changed it.")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Failed(f"{file} is not UTF-8 text") from None


@click.group("habilitation")
def command_habilitations() -> None:
    """Keep ceilings of structures, tools and professionals, below which the matrix decides."""


@command_habilitations.command("grant")
@click.argument("holder", type=click.Choice(["structure", "tool", "professional"]))
@click.argument("name")
@click.option("--finess", default="", help="FINESS number of a structure.")
@click.option("--rpps", default="", help="RPPS number of a professional.")
@click.option(
    "--for", "structures", multiple=True, help="FINESS of a structure for which a tool acts; may be repeated."
)
@click.option("--category", "categories", type=click.Choice(CATEGORIES), multiple=True, help="[default: all]")
@click.option("--level", type=click.Choice(["E", "R", "A"]), default="A", show_default=True, help="No more than this.")
@click.option("--until", default="", help="Last day.")
@by_option
@config_option
def habilitation_grant(
    holder: str,
    name: str,
    finess: str,
    rpps: str,
    structures: tuple[str, ...],
    categories: tuple[str, ...],
    level: str,
    until: str,
    why: str,
    config: Path,
) -> int:
    """Grant a habilitation. A tool needs one to do anything.

    \b
    Examples:
      passerelle dossier habilitation grant tool spico --for 670000001 --category notes --category events
    """
    from pydantic import ValidationError

    from router.dossier.habilitations import grant
    from router.engine.clock import moment
    from schemas.actors import Organization
    from schemas.coding import Identifier
    from schemas.habilitation import DataCategory, Habilitation, HolderKind, Level

    by = by_now(why)
    identifiers = [Identifier(value=finess, type="FINEG")] if finess else []
    identifiers += [Identifier(value=rpps, type="RPPS")] if rpps else []
    try:
        granted = Habilitation(
            holder=HolderKind(holder),
            name=name,
            identifiers=tuple(identifiers),
            structures=tuple(Organization(identifiers=(Identifier(value=one, type="FINEG"),)) for one in structures),
            categories=tuple(DataCategory(one) for one in categories),
            level=Level(level),
            start=moment(by.now).isoformat(timespec="seconds"),
            end=until or None,
        )
    except ValidationError:
        raise Failed("--until is a day, as 2027-12-31") from None
    with opened(config) as store:
        return done(store, grant(granted, by=by), "Habilitation {number} is granted.")


@command_habilitations.command("end")
@click.argument("number", type=int)
@by_option
@config_option
def habilitation_end(number: int, why: str, config: Path) -> int:
    """End a habilitation now: its holder is then habilitated for nothing, until another is granted."""
    from router.dossier.habilitations import end_habilitation

    with opened(config) as store:
        return done(store, end_habilitation(number, by=by_now(why)), "Habilitation {number} is ended.")


@command_habilitations.command("list")
@config_option
def habilitation_list(config: Path) -> None:
    """List the habilitations, ended ones included."""
    from router.dossier.habilitations import habilitations

    by = by_now()
    with opened(config) as store:
        found = ask(store, lambda view: habilitations(view.connection, view.sealer))
    rows = [
        (
            str(one.id),
            one.habilitation.holder.value,
            one.habilitation.name,
            ", ".join(each.value for each in one.habilitation.categories) or "all",
            one.habilitation.level.value,
            "stands" if one.stands(by.now) else "ended",
        )
        for one in found
    ]
    show_table(
        ("number", "holder", "name", "categories", "up to", ""), rows, "There is none: the matrix alone decides."
    )


@click.command("rules")
@click.option("--default", "shipped", is_flag=True, help="Print the shipped file, to copy and change.")
@click.option("--check", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Check a file.")
@config_option
def command_rules(shipped: bool, file: Path | None, config: Path) -> None:
    """Show the rules by which the circle is told of events; those of another file with --check."""
    from router.config.load import load
    from router.dossier.notices import default_rules_text, read_rules

    if shipped:
        click.echo(default_rules_text(), nl=False)
        return
    rules = read_rules(_text(file)) if file is not None else load(config_file(config)).notice_rules
    rows = [
        (
            rule.name,
            rule.event.value,
            ", ".join(one.value for one in rule.to),
            rule.level.value,
            ", ".join([*(one.value for one in rule.families), *rule.types])
            + (" if asked" if rule.only_if_asked else ""),
        )
        for rule in rules
    ]
    show_table(("rule", "event", "to", "level", "only"), rows, "No rule: nobody is told of anything.")
