"""Settings of the FHIR destination."""

from __future__ import annotations

from pydantic import Field

from connectors.outbound_http import HttpPeerSettings


class FhirDestinationSettings(HttpPeerSettings):
    """Posts transaction Bundles to the base of a FHIR R4 server (`url`)."""

    prefer: str = Field(
        "return=minimal",
        pattern=r"^return=(minimal|representation|OperationOutcome)$",
        description="What the server is asked to send back (Prefer header); minimal is the quickest.",
    )
