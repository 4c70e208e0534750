"""`passerelle sandbox`: partners that do not exist, to test against."""

from __future__ import annotations

import click

from router.cli.sandbox_dmp import command_sandbox_dmp


@click.group("sandbox")
def command_sandbox() -> None:
    """Run services of fictitious partners on this machine, to test a router against."""


command_sandbox.add_command(command_sandbox_dmp)
