"""Testing the DMP: a call to it is about a patient, so the test ends with the handshake, our certificate shown."""

from __future__ import annotations

from datetime import datetime

from connectors.dmp.settings import DmpSettings
from connectors.probing import Probe, http_door


async def probe(settings: DmpSettings, _now: datetime) -> Probe:
    """Connect to the DMP's host with mutual TLS."""
    target, tls = (settings.url, settings.tls) if settings.proxy is None else (settings.proxy, None)
    return await http_door(str(target), tls, settings.connect_timeout)
