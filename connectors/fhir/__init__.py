"""FHIR R4 servers: transaction Bundles are posted, and their OperationOutcome is read honestly."""

from __future__ import annotations

from connectors.contracts import Connector
from connectors.fhir.destination import FhirDestination
from connectors.fhir.settings import FhirDestinationSettings
from connectors.probing import fhir_server

CONNECTOR = Connector(
    name="fhir",
    summary="Posts transaction Bundles to a FHIR R4 server.",
    destination_settings=FhirDestinationSettings,
    make_destination=FhirDestination,
    format="fhir",
    probe_destination=fhir_server,
)
