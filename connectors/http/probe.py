"""Testing HTTP connections."""

from __future__ import annotations

from datetime import datetime

from connectors.http.settings import HttpSourceSettings
from connectors.probing import Probe, listener


async def probe_source(settings: HttpSourceSettings, _now: datetime) -> Probe:
    """See whether the listener listens."""
    return await listener(settings.listen)
