"""How a node reaches NATS, and how long it may be silent."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

PREFIX = "passerelle"
"""Begins every subject, unless two clusters share their servers and are told apart by another one."""

STREAM = "PASSERELLE_LANES"

MAX_REPLICAS = 3
"""Servers that keep each token, where there are as many: two of three are enough to go on."""


@dataclass(frozen=True, slots=True)
class NatsSettings:
    """Where the servers are and how this node speaks to them.

    `ack_seconds` is JetStream's `ack_wait`: how long an owner of lanes may be silent before another gets them.
    `replicas` 0 means as many as there are servers, three at most.
    """

    servers: tuple[str, ...]
    name: str
    roles: frozenset[str]
    send_lanes: int = 32
    ack_seconds: float = 6.0
    replicas: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    prefix: str = PREFIX

    @property
    def stream(self) -> str:
        """The name of the stream of tokens."""
        return STREAM if self.prefix == PREFIX else f"{self.prefix.upper()}_LANES"

    @property
    def copies(self) -> int:
        """How many servers keep each token."""
        return self.replicas or min(MAX_REPLICAS, max(1, len(self.servers)))
