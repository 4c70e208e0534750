"""Posts Parcels to a webhook."""

from __future__ import annotations

import hashlib
import hmac

from pydantic import SecretStr

from connectors.contracts import Outcome, Parcel, Retry, Services
from connectors.http.codec import multipart
from connectors.http.settings import HttpDestinationSettings
from connectors.outbound_http import HttpPeer, judged_by_status


class HttpDestination:
    """One webhook. The identity of the Delivery travels as Idempotency-Key, the same at each attempt.

    A Parcel with attachments is posted as multipart/form-data: `message` first, then each file under its name.
    """

    def __init__(self, name: str, settings: HttpDestinationSettings, services: Services) -> None:
        self.name = name
        self._settings = settings
        self._services = services
        self._peer = HttpPeer(settings, {"User-Agent": "passerelle"})
        services.health.state = "ready"

    async def send(self, parcel: Parcel) -> Outcome:
        """Post once; the answer's status decides."""
        body, media_type = parcel.content, parcel.media_type
        if parcel.attachments:
            body, media_type = multipart(parcel)
        now = self._services.now()
        headers = {"Content-Type": media_type, "Idempotency-Key": parcel.identity}
        if parcel.traceparent:
            headers["traceparent"] = parcel.traceparent
        if self._settings.signature_secret is not None:
            secret, former = self._settings.signature_secret.get_secret_value(), self._settings.former_signature_secret
            headers[self._settings.signature_header] = sign(body, secret, int(now.timestamp()), former=former)
        answer = await self._peer.post(body, headers, now)
        return answer if isinstance(answer, Retry) else judged_by_status(answer)

    async def close(self) -> None:
        """Release the pooled connections."""
        await self._peer.close()


def sign(body: bytes, secret: str, timestamp: int, *, former: SecretStr | None = None) -> str:
    """Make the signature header: `t` (Unix seconds) and `v1`, the HMAC-SHA256 of `<t>.<body>` in hexadecimal.

    The time is under the signature, so that a receiver can refuse an old post that somebody plays again. With a
    `former` secret there is a second `v1` by it: a receiver that changes over takes the post when one of them is right.
    """
    signed = f"{timestamp}.".encode() + body
    secrets = (secret,) if former is None else (secret, former.get_secret_value())
    digests = (hmac.new(one.encode(), signed, hashlib.sha256).hexdigest() for one in secrets)
    return ",".join((f"t={timestamp}", *(f"v1={digest}" for digest in digests)))
