"""Settings of the HTTP source and destination."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, ByteSize, Field, SecretStr, model_validator

from connectors.address import ListenAddress
from connectors.contracts import Settings
from connectors.outbound_http import HttpPeerSettings
from connectors.tls import ServerTls

MIB = 1024 * 1024
SHORTEST_KEY = 16


def _long_enough(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) < SHORTEST_KEY:
        raise ValueError(f"a key has {SHORTEST_KEY} characters at least")
    return key


ApiKey = Annotated[SecretStr, AfterValidator(_long_enough)]
"""A secret that a sender shows; 16 characters at least."""


class HttpSourceSettings(Settings):
    """Receives messages by POST, one a request, and answers 202 once each is on stable storage."""

    listen: ListenAddress = Field(
        "127.0.0.1:8081", description="Address to listen on, host:port; port 0 takes a free one."
    )
    path: str = Field("/messages", pattern=r"^/[A-Za-z0-9/_.~-]*$", description="Path that takes messages.")
    api_keys: tuple[ApiKey, ...] = Field(
        (),
        description="Keys accepted in Authorization: Bearer or X-API-Key. Several, so that one can be replaced "
        "without a stop. May be empty only when client certificates are required.",
    )
    tls: ServerTls | None = Field(None, description="Certificate of the listener; without it, clear text.")
    media_types: tuple[str, ...] = Field(
        (), description="Content types accepted, such as x-application/hl7-v2+er7; empty accepts all."
    )
    max_body: ByteSize = Field(ByteSize(64 * MIB), ge=1024, description="Largest message; past it, 413 is answered.")
    spool_threshold: ByteSize = Field(
        ByteSize(MIB), ge=1024, description="Messages larger than this go to disk as they arrive."
    )
    max_in_flight: int = Field(
        256, ge=1, description="Requests under way past which 503 is answered, to be tried again."
    )
    max_connections: int = Field(
        512, ge=1, description="Connections held at the same time; one more is closed at once."
    )
    max_connections_per_peer: int | None = Field(
        None,
        ge=1,
        description="Of these, connections from one address. Unset behind a balancer, whose address all share.",
    )
    max_rate: float | None = Field(
        None,
        gt=0,
        description="Messages a second taken from this source in the long run; more are answered 429 with Retry-After. "
        "Without it, all that come are taken.",
    )
    burst: int = Field(100, ge=1, description="Messages taken at once after a quiet time, where `max_rate` is set.")
    idle_timeout: float = Field(
        30.0, gt=0, description="Seconds for a request's head to arrive, from the connection or the last answer on."
    )
    read_timeout: float = Field(60.0, gt=0, description="Seconds for a whole message to arrive.")
    stop_grace: float = Field(10.0, gt=0, description="Seconds given at stop to the requests under way.")

    @model_validator(mode="after")
    def _somebody_is_known(self) -> Self:
        mutual = self.tls is not None and self.tls.require_client_certificate
        if not self.api_keys and not mutual:
            raise ValueError("give api_keys, or require client certificates: this source is not open to anybody")
        return self


class HttpDestinationSettings(HttpPeerSettings):
    """Posts each message to a webhook."""

    signature_secret: SecretStr | None = Field(
        None,
        description="Secret of the signature header, which holds t=<Unix time> and v1=<hexadecimal HMAC-SHA256 of "
        "that time, a point and the body>.",
    )
    former_signature_secret: SecretStr | None = Field(
        None, description="The secret of before, while the receiver changes over: it signs beside the new one."
    )
    signature_header: str = Field("X-Passerelle-Signature", description="Header that carries the signature.")
