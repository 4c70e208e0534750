"""HL7 v2 over MLLP (fact sheet hl7v2-fr §1.1 and §2): a listener that acknowledges, a sender that waits."""

from __future__ import annotations

from connectors.contracts import Connector
from connectors.mllp.destination import MllpDestination
from connectors.mllp.probe import probe_destination, probe_source
from connectors.mllp.settings import MllpDestinationSettings, MllpSourceSettings
from connectors.mllp.source import MllpSource

CONNECTOR = Connector(
    name="mllp",
    summary="Receives and sends HL7 v2 over MLLP, with acknowledgements, TLS and mutual TLS.",
    source_settings=MllpSourceSettings,
    destination_settings=MllpDestinationSettings,
    make_source=MllpSource,
    make_destination=MllpDestination,
    format="hl7v2",
    probe_source=probe_source,
    probe_destination=probe_destination,
)
