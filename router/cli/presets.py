"""`passerelle presets`: first configurations for the coordination tools of French regions."""

from __future__ import annotations

import click


@click.group("presets")
def command_presets() -> None:
    """Start from a configuration made for a coordination tool.

    `passerelle init DIR --preset NAME` writes it.
    """


@command_presets.command("list")
def presets_list() -> None:
    """List the presets."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from router.presets import presets

    table = Table("name", "tool", "region", "what it is", box=SIMPLE_HEAD, pad_edge=False)
    for one in presets():
        table.add_row(one.name, one.label, one.region, one.summary)
    Console().print(table)


@command_presets.command("show")
@click.argument("name")
@click.option("--file", "wanted", default="", help="Print one of its files: passerelle.toml, notices.toml, matrix.csv.")
@click.option("--markdown", is_flag=True, help="Print its page of the documentation.")
def presets_show(name: str, wanted: str, markdown: bool) -> None:
    """Show what a preset serves, its roles and words; or one of the files that it writes.

    \b
    Examples:
      passerelle presets show spico
      passerelle presets show spico --file passerelle.toml
    """
    from router.cli.base import Failed
    from router.presets import files_of, preset

    found = preset(name)
    texts = files_of(found).texts
    if wanted:
        if wanted not in texts:
            raise Failed(f"a preset has no file {wanted!r}; it has {', '.join(texts)}")
        click.echo(texts[wanted], nl=False)
        return
    if markdown:
        from router.presets.page import page_of

        click.echo(page_of(found), nl=False)
        return
    words = found.vocabulary
    rhythm = "is told by webhook" if words.rhythm == "webhook" else f"comes every {words.every:g} s"
    click.echo(f"{found.label} · {found.region} · {found.version}\n{found.summary}\nThe tool {rhythm}.\n")
    for one in found.served:
        click.echo(one.feature)
        for label, text in (("in", one.feeds), ("out", one.leaves), ("unverified", one.unverified)):
            if text:
                click.echo(f"  {label:<11}{text}")
    click.echo("\nRoles (column of the matrix)")
    for role, family in found.roles.items():
        click.echo(f"  {role}: {family.value}")
    click.echo("\nKinds of notes (TRE_R234)")
    for word, code in words.notes.items():
        click.echo(f"  {word}: {code}")
    changed = {cell for cells in found.matrix.values() for cell in cells}
    click.echo(f"\nMatrix: {'its own cells for ' + ', '.join(sorted(changed)) if changed else 'the default'}")
    click.echo(f"Start:  passerelle init DIR --preset {name}")
    click.echo(f"Try:    passerelle sandbox tool --profile {name} …   (docs/tools/{name}.md)")
