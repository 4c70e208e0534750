"""Posts transaction Bundles to the base of a FHIR server."""

from __future__ import annotations

from connectors.contracts import Outcome, Parcel, Refused, Retry, Services
from connectors.fhir.codec import judge
from connectors.fhir.settings import FhirDestinationSettings
from connectors.outbound_http import HttpPeer

MEDIA_TYPE = "application/fhir+json"


class FhirDestination:
    """One FHIR base. The identity of the Delivery travels as Idempotency-Key, the same at each attempt.

    A server that ignores that header still recognises a repeated Bundle when its entries are conditional, as those of
    the `fhir` format are.
    """

    def __init__(self, name: str, settings: FhirDestinationSettings, services: Services) -> None:
        self.name = name
        self._services = services
        self._peer = HttpPeer(settings, {"User-Agent": "passerelle", "Accept": MEDIA_TYPE, "Prefer": settings.prefer})
        services.health.state = "ready"

    async def send(self, parcel: Parcel) -> Outcome:
        """Post once; status and OperationOutcome together decide."""
        if parcel.attachments:
            return Refused("a FHIR transaction has no way to carry files beside the Bundle")
        headers = {"Content-Type": parcel.media_type or MEDIA_TYPE, "Idempotency-Key": parcel.identity}
        if parcel.traceparent:
            headers["traceparent"] = parcel.traceparent
        answer = await self._peer.post(parcel.content, headers, self._services.now())
        return answer if isinstance(answer, Retry) else judge(answer)

    async def close(self) -> None:
        """Release the pooled connections."""
        await self._peer.close()
