"""Settings of the MLLP source and destination."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Literal, Self

from pydantic import ByteSize, Field, model_validator

from connectors.address import ListenAddress, PeerAddress
from connectors.contracts import Settings
from connectors.tls import ClientTls, ServerTls
from mappings.contracts import Environment

KIB = 1024
MIB = 1024 * KIB


class MllpSourceSettings(Settings):
    """Receives HL7 v2 over MLLP, and acknowledges each message once it is on stable storage."""

    listen: ListenAddress = Field(
        "127.0.0.1:2575", description="Address to listen on, host:port; port 0 takes a free one."
    )
    tls: ServerTls | None = Field(None, description="Certificate of the listener; without it, clear text.")
    allowed_peers: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description="Networks that may connect, such as 10.20.0.0/16; empty accepts all."
    )
    max_connections: int = Field(
        256, ge=1, description="Connections held at the same time; one more is closed at once."
    )
    max_connections_per_peer: int | None = Field(
        None,
        ge=1,
        description="Of these, connections from one address. Unset behind a balancer, whose address all share.",
    )
    max_rate: float | None = Field(
        None, gt=0, description="Messages a second taken from this source in the long run; without it, all that come."
    )
    burst: int = Field(100, ge=1, description="Messages taken at once after a quiet time, where `max_rate` is set.")
    over_rate: Literal["slow", "refuse"] = Field(
        "slow",
        description="What becomes of more: `slow` leaves them unread, so that their sender waits; `refuse` answers AR "
        "(MLLP release 2: not committed), for senders who send again and must not be kept waiting.",
    )
    max_frame: ByteSize = Field(
        ByteSize(64 * MIB),
        ge=KIB,
        description="Largest message; past it, AE is answered and the connection closed.",
    )
    spool_threshold: ByteSize = Field(
        ByteSize(MIB), ge=KIB, description="Messages larger than this go to disk as they arrive."
    )
    max_in_flight: int = Field(
        32,
        ge=1,
        description="Messages of one connection received and not yet acknowledged, past which it is not read.",
    )
    idle_timeout: float | None = Field(
        None, gt=0, description="Seconds without a byte after which a connection is closed; never when absent."
    )
    frame_timeout: float = Field(
        60.0, gt=0, description="Seconds without a byte in the middle of a message after which it is given up."
    )
    message_timeout: float = Field(
        600.0, gt=0, description="Seconds for a whole message to arrive, however steadily its bytes come."
    )
    end_grace: float = Field(
        0.2, gt=0, description="Seconds to wait for the 0x0D of an end of frame before doing without it."
    )
    stop_grace: float = Field(
        10.0, gt=0, description="Seconds given at stop to what has been submitted, to be committed and answered."
    )
    release_2: bool = Field(
        False, description="Answer MLLP release 2 commit acknowledgements (0x06, 0x15) before the HL7 answer."
    )
    environment: Environment | None = Field(
        None, description="production or test: refuse the messages of the other one (MSH-11); both when absent."
    )


class MllpDestinationSettings(Settings):
    """Sends HL7 v2 over MLLP, and waits for the acknowledgement of each message."""

    address: PeerAddress = Field(description="Address of the receiver, host:port.")
    tls: ClientTls | None = Field(None, description="TLS towards the receiver; without it, clear text.")
    concurrency: int = Field(1, ge=1, le=256, description="Connections kept open; each carries one message at a time.")
    keep_open: bool = Field(True, description="Keep connections open between messages.")
    connect_timeout: float = Field(10.0, gt=0, description="Seconds to connect, TLS included.")
    answer_timeout: float = Field(30.0, gt=0, description="Seconds to wait for the acknowledgement.")
    max_answer: ByteSize = Field(ByteSize(MIB), ge=KIB, description="Largest answer read.")
    release_2: bool = Field(
        False, description="The receiver answers MLLP release 2 commit acknowledgements (0x06, 0x15)."
    )
    wait_for_answer: bool = Field(
        True, description="Wait for the HL7 answer; without it (release 2 only) the commit acknowledgement is enough."
    )

    @model_validator(mode="after")
    def _some_answer_is_awaited(self) -> Self:
        if not self.wait_for_answer and not self.release_2:
            raise ValueError("wait_for_answer = false needs release_2 = true: something must say it was received")
        return self
