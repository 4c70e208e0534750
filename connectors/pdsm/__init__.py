"""Documents shared the FHIR way: the French guide PDSm, after IHE MHD (ITI-65, 105, 66, 67, 68, and PATCH)."""

from __future__ import annotations

from connectors.contracts import Connector
from connectors.pdsm.destination import PdsmDestination
from connectors.pdsm.settings import PdsmDestinationSettings, PdsmSourceSettings
from connectors.pdsm.source import PdsmSource
from connectors.probing import fhir_server

CONNECTOR = Connector(
    name="pdsm",
    summary="Submits documents to a document-sharing server (PDSm, IHE MHD), and fetches those of others.",
    source_settings=PdsmSourceSettings,
    make_source=PdsmSource,
    destination_settings=PdsmDestinationSettings,
    make_destination=PdsmDestination,
    format="pdsm",
    probe_source=fhir_server,
    probe_destination=fhir_server,
)
