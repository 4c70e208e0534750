"""`passerelle sandbox`: the outside world, played on this machine with fictitious people."""

from __future__ import annotations

import importlib

import click

SERVICES: dict[str, tuple[str, str]] = {
    "annuaire": ("router.cli.sandbox_annuaire", "The Annuaire's FHIR API and an extraction, fictitious people."),
    "insi": ("router.cli.sandbox_insi", "INSi: who has which INS."),
    "mssante": ("router.cli.sandbox_mssante", "A mail operator of MSSanté: submission and IMAP, with mailboxes."),
}
"""Every service: its module (attribute `sandbox_<name>`) and its line of help, known without importing it."""


class Services(click.Group):
    """A group whose services are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the services."""
        return list(SERVICES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one service's command."""
        if cmd_name not in SERVICES:
            return None
        module = importlib.import_module(SERVICES[cmd_name][0])
        command: click.Command = getattr(module, f"sandbox_{cmd_name}")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from the table above, without importing any."""
        with formatter.section("Services"):
            formatter.write_dl([(name, line) for name, (_, line) in SERVICES.items()])


@click.group("sandbox", cls=Services)
def command_sandbox() -> None:
    """Serve a simulated partner on this machine until Ctrl-C, and print what to configure to reach it.

    \b
    Examples:
      passerelle sandbox insi
      passerelle sandbox mssante
    """
