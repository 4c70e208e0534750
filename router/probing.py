"""Testing the connection of a source or destination, from the dashboard or the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from connectors.contracts import Settings
from connectors.probing import Probe, ProbeCode, Prober, ProbeStep, listener
from connectors.registry import connector_named
from router.config.load import Loaded
from router.faults import Fault


class NothingToTest(Fault):
    """There is no such source or destination."""


async def probe(loaded: Loaded, side: str, name: str, *, address: str = "") -> Probe:
    """Test one connection. `address` is where a running source listens, for one that took any free port.

    Raises NothingToTest.
    """
    found: tuple[str, Settings, Prober | None] | None = None
    if side == "source":
        source = next((one for one in loaded.sources if one.name == name), None)
        if source is not None:
            connector = connector_named(source.section.connector)
            found = connector.name, source.settings, connector.probe_source
    else:
        destination = next((one for one in loaded.destinations if one.name == name), None)
        if destination is not None:
            connector = connector_named(destination.section.connector)
            found = connector.name, destination.settings, connector.probe_destination
    if found is None:
        raise NothingToTest(f"there is no {side} {name!r} in {loaded.path.name}")
    connector_name, settings, prober = found
    if prober is None:
        return Probe((ProbeStep(ProbeCode.UNKNOWN, connector_name),))
    if address and getattr(settings, "listen", None) is not None:
        return await listener(address)
    return await prober(settings, datetime.now(UTC))
