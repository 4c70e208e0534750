"""Messages as lines of a file: an example of a third party's connector."""

from __future__ import annotations

from connectors.contracts import Connector
from passerelle_fanion.destination import FanionDestination
from passerelle_fanion.settings import FanionDestinationSettings, FanionSourceSettings
from passerelle_fanion.source import FanionSource

CONNECTOR = Connector(
    name="fanion",
    summary="Reads and appends messages as lines of a file.",
    source_settings=FanionSourceSettings,
    destination_settings=FanionDestinationSettings,
    make_source=FanionSource,
    make_destination=FanionDestination,
)
