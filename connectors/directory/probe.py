"""Testing folders: can they be listed, can a file be made in them."""

from __future__ import annotations

import asyncio
from datetime import datetime

from connectors.directory.settings import DirectoryDestinationSettings, DirectorySourceSettings
from connectors.probing import Probe, readable, writable


async def probe_source(settings: DirectorySourceSettings, _now: datetime) -> Probe:
    """List the folder; files are moved out of it, so it must take new ones as well."""

    def look() -> Probe:
        listed = readable(settings.folder)
        return Probe((listed, writable(settings.folder)) if listed.ok else (listed,))

    return await asyncio.to_thread(look)


async def probe_destination(settings: DirectoryDestinationSettings, _now: datetime) -> Probe:
    """Make a file in the folder, and take it away."""
    return Probe((await asyncio.to_thread(writable, settings.folder),))
