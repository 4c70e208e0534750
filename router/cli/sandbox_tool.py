"""`passerelle sandbox tool`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import click

from router.cli.base import Failed

if TYPE_CHECKING:
    from connectors.sandbox.tools import Tool

NAMES = ("mespatients", "parcours", "sicodom", "spico", "telesante-pdl")


@click.command("tool")
@click.option("--profile", type=click.Choice(NAMES), required=True, help="The coordination tool to play.")
@click.option("--server", default="http://127.0.0.1:8080", show_default=True, help="Address of the router.")
@click.option("--name", default="", help="Name that it was registered with.  [default: the profile's]")
@click.option("--secret", envvar="PASSERELLE_TOOL_SECRET", help="Its secret, as `passerelle tools add` printed it.")
@click.option("--user", required=True, help="Professional for whom it asks: `system|value`.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port for notices; 0 takes a free one.")
def command_sandbox_tool(profile: str, server: str, name: str, secret: str | None, user: str, port: int) -> None:
    """Play a coordination tool against a router until Ctrl-C: it subscribes, pulls, and shows its users' feed.

    Its page, at the address that it prints, shows alerts and news as they come.

    Notices come over plain http on this machine: the router needs `[dossier] subscriber_http = true` and
    `subscriber_networks = ["127.0.0.0/8"]`, as a sandbox's configuration has them. `PUT /mood/unavailable` at the
    address that it prints makes it refuse notices.

    \b
    Examples:
      passerelle tools add spico --config my-router
      passerelle sandbox tool --profile spico --secret pst_… --user 'https://rpps.esante.gouv.fr|89900000001'
    """
    from connectors.sandbox.tools import Tool, profile as profile_of

    if not secret:
        raise Failed("a tool proves itself by its secret: --secret, or PASSERELLE_TOOL_SECRET")
    tool = Tool(profile_of(profile), server.rstrip("/"), name or profile, secret, user, port=port)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_play(tool))


async def _play(tool: Tool) -> None:
    import aiohttp

    from connectors.sandbox.tools import ToolFault

    try:
        async with tool:
            click.echo(f"{tool.profile.label} ({tool.profile.region}) for {tool.name}")
            if tool.profile.rhythm == "webhook":
                made = await tool.subscribe()
                click.echo(f"Notices  {tool.endpoint}, {len(made)} subscription(s)")
            else:
                click.echo(f"Pulls    every {tool.profile.every:g} s")
            click.echo(f"Page     {tool.address}")
            click.echo("Ready. Ctrl-C stops.")
            await _tell(tool)
    except (ToolFault, OSError, aiohttp.ClientError) as problem:
        raise Failed(f"the tool cannot work with {tool.server}: {problem}") from None


async def _tell(tool: Tool) -> None:
    """Print what is new; titles only, which a sandbox may show."""
    work = asyncio.create_task(_pulling(tool))
    shown = 0
    try:
        while not work.done():
            for line in tool.feed[shown:]:
                click.echo(f"  {line.word}: {line.title or line.reference}")
            shown = len(tool.feed)
            await asyncio.sleep(0.2)
        await work
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


async def _pulling(tool: Tool) -> None:
    await tool.pull()
    await tool.run()
