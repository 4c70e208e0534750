"""Messages of any format over HTTP: a source that is posted to, a destination that posts (webhook)."""

from __future__ import annotations

from connectors.contracts import Connector
from connectors.http.destination import HttpDestination
from connectors.http.probe import probe_source
from connectors.http.settings import HttpDestinationSettings, HttpSourceSettings
from connectors.http.source import HttpSource
from connectors.probing import webhook

CONNECTOR = Connector(
    name="http",
    summary="Receives messages by POST with an API key; sends them to a webhook.",
    source_settings=HttpSourceSettings,
    destination_settings=HttpDestinationSettings,
    make_source=HttpSource,
    make_destination=HttpDestination,
    probe_source=probe_source,
    probe_destination=webhook,
)
