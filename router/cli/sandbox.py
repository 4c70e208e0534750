"""`passerelle sandbox`: the outside world on this machine, for an integrator's bench."""

from __future__ import annotations

import importlib

import click

SANDBOXES: dict[str, tuple[str, str]] = {
    "annuaire": ("router.cli.sandbox_annuaire", "The Annuaire's FHIR API and an extraction, fictitious people."),
    "dmp": ("router.cli.sandbox_dmp", "A DMP: registry and repository, written from the specification."),
    "insi": ("router.cli.sandbox_insi", "INSi: who has which INS."),
    "pdsm": ("router.cli.sandbox_pdsm", "A document-sharing server (PDSm, IHE MHD) with faults on demand."),
    "tool": ("router.cli.sandbox_tool", "A coordination tool (SICODOM, Parcours, SPICO…) that pulls, is told, writes."),
    "mssante": ("router.cli.sandbox_mssante", "A mail operator of MSSanté: submission and IMAP, with mailboxes."),
}
"""Every part: its module (attribute `command_sandbox_<name>`) and its line of help."""


class SandboxGroup(click.Group):
    """A group whose parts are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the parts by name."""
        return sorted(SANDBOXES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one part."""
        if cmd_name not in SANDBOXES:
            return None
        module = importlib.import_module(SANDBOXES[cmd_name][0])
        command: click.Command = getattr(module, "command_sandbox_" + cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of parts from the table above, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in sorted(SANDBOXES.items())])


@click.group("sandbox", cls=SandboxGroup)
def command_sandbox() -> None:
    """Serve a simulated partner on this machine until Ctrl-C, and print what to configure to reach it.

    \b
    Examples:
      passerelle sandbox insi
      passerelle sandbox mssante
    """
