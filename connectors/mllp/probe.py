"""Testing MLLP connections: HL7 v2 has no question that a receiver would not take for a message, so none is asked."""

from __future__ import annotations

from datetime import datetime

from connectors.address import parse_address
from connectors.mllp.settings import MllpDestinationSettings, MllpSourceSettings
from connectors.probing import Probe, listener, reach


async def probe_source(settings: MllpSourceSettings, _now: datetime) -> Probe:
    """See whether the listener listens."""
    return await listener(settings.listen)


async def probe_destination(settings: MllpDestinationSettings, _now: datetime) -> Probe:
    """Connect to the receiver, TLS included."""
    host, port = parse_address(settings.address)
    return await reach(host, port, settings.tls, settings.connect_timeout)
