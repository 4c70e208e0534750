"""`[cluster]`: several nodes on one journal."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, SecretStr, field_validator

from router.config.section import Section

RoleOfNode = Literal["receive", "work", "web"]
ROLES: frozenset[str] = frozenset(get_args(RoleOfNode))

_SERVER = re.compile(r"(nats|tls)://[^/\s@]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


class ClusterSection(Section):
    """Several nodes on one PostgreSQL journal, which share the work through NATS (`docs/cluster.md`)."""

    servers: tuple[str, ...] = Field(
        min_length=1,
        description="NATS servers with JetStream, `nats://host:4222` or `tls://host:4222`; the same on every node.",
    )
    name: str = Field(
        "",
        description="This node's name, as the page of nodes shows it; each node has another one. Empty: the host's. "
        "All nodes have one configuration: another name comes from the environment, `${NODE}`.",
    )
    lanes: int = Field(
        32,
        ge=1,
        le=512,
        description="Lanes into which patients are sorted to be sent to, the same on every node: the most nodes that "
        "can send at once. Change it only while every node is stopped.",
    )
    ack_seconds: float = Field(
        6.0, ge=3, le=60, description="Seconds without a word after which a node's lanes go to another one."
    )
    user: str = Field("", description="User at the NATS servers, where they want one.")
    password: SecretStr | None = Field(None, description="Its password.")
    token: SecretStr | None = Field(None, description="Token, where the servers want one instead.")
    authorities: str = Field("", description="PEM file of the servers' authorities. Empty: the system's.")
    certificate: str = Field("", description="PEM file of this node's own certificate, for mutual TLS.")
    private_key: str = Field("", description="PEM file of its private key.")

    @field_validator("servers")
    @classmethod
    def _are_servers(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        if any(_SERVER.fullmatch(one) is None for one in servers):
            raise ValueError("write each server as nats://host:4222 or tls://host:4222, without a user or a path")
        return servers

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if name and _NAME.fullmatch(name) is None:
            raise ValueError("a node's name has letters, digits, - and _, at most 63")
        return name

    @property
    def node(self) -> str:
        """This node's name."""
        return self.name or re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:63] or "node"

    def problems(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Say what cannot be used, by key: files that are not there, halves of pairs."""
        for key in ("authorities", "certificate", "private_key"):
            name = getattr(self, key)
            if name and not (folder / name).is_file():
                yield key, f"the file {name} cannot be read"
        if bool(self.certificate) != bool(self.private_key):
            yield "certificate", "certificate and private_key go together"
        if bool(self.user) != (self.password is not None):
            yield "user", "user and password go together"
        if self.user and self.token is not None:
            yield "token", "name one way to sign in at the servers: user and password, or a token"
