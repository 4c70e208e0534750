"""The contract between a protocol and the engine.

A Source submits what it receives and answers its peer only with what the receipt says; a Destination sends a Parcel
once and says, as a typed value, what became of it. Neither knows the journal, routes or formats' content.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from schemas.finding import Finding


class Settings(BaseModel):
    """Base of a connector's settings: frozen, unknown keys refused, so that a typing mistake in the file is seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    own_base: ClassVar[frozenset[str]] = frozenset()
    """Fields of type Path whose relative values do not start from the configuration file's folder, as others do."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a Source will not take a message: `permanent` is worth no resend (AE), otherwise it may work later (AR)."""

    finding: Finding
    permanent: bool = True


@dataclass(frozen=True, slots=True)
class Inbound:
    """Bytes as they came, and what the protocol knows of them.

    `content` is the bytes, or the path of a spool file already synced to disk when they are large; the inbox takes the
    file over. `control_id` is the sender's own id for the message (MSH-10, file name…), part of its identity for the
    recognition of duplicates. `refusal` journals the message as rejected: it is kept and shown, never processed.
    """

    content: bytes | Path
    received_at: datetime
    control_id: str = ""
    message_type: str = ""
    peer: str = ""
    filename: str | None = None
    siblings: Mapping[str, bytes] = field(default_factory=dict)
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The message is committed to stable storage under `message_id`; `duplicate` when it was already there."""

    message_id: int
    duplicate: bool = False


class NotAccepted(Exception):
    """The inbox cannot take the message now (storage full, shutting down): the peer should send it again later."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Inbox(Protocol):
    """Where a Source submits. Returns once the message is durable; raises NotAccepted when it cannot be made so."""

    async def submit(self, inbound: Inbound) -> Receipt:
        """Commit the message and give its receipt."""

    def post(self, inbound: Inbound, done: Callable[[Receipt | NotAccepted], None]) -> bool:
        """Submit without a task of one's own: `done` is called in the loop with what `submit` would give or raise.

        For sources that take thousands of small messages a second. False when this one must go through `submit`: it is
        long, or sources are being held back; `done` is then never called.
        """

    async def outcome(self, receipt: Receipt) -> Finding | None:
        """Wait until the message was read: the Finding for which it was rejected, or None when it was not.

        For sources that put what they took somewhere (a file in `error` or in `archive`); a peer that only wants its
        acknowledgement has it at the receipt.
        """

    def spool(self) -> Path:
        """Name a fresh file, beside the blob store, for a content too large to be held in memory."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One Delivery on its way: the exact bytes and the identity that every retry repeats."""

    delivery_id: int
    identity: str
    content: bytes
    media_type: str
    filename: str
    attempt: int
    attachments: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The peer has it. `acknowledged` when it said so at the application's level (MSA AA, FHIR 2xx)."""

    detail: str = ""
    answer: bytes = b""
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """It may work later; `after` seconds when the peer said when (Retry-After), else the engine's back-off.

    `detail` is one sentence without health data. `reached` is False when the peer could not be reached at all: the
    whole destination is then suspected, not this parcel.
    """

    detail: str
    answer: bytes = b""
    after: float | None = None
    reached: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """The peer will never take this parcel: it goes to the dead letters with the reason."""

    detail: str
    answer: bytes = b""


Outcome = Delivered | Retry | Refused


class Source(Protocol):
    """Something that receives. `run` lives until cancelled; on cancellation it finishes what it has submitted."""

    async def run(self, inbox: Inbox) -> None:
        """Receive for ever. Set up (bind, open) first, then call `Services.ready`."""


class Destination(Protocol):
    """Something that sends. One instance serves all parcels of a destination, concurrently up to its `concurrency`."""

    async def send(self, parcel: Parcel) -> Outcome:
        """Send once. Never raises for what a peer or network did: that is an Outcome."""

    async def close(self) -> None:
        """Release connections."""


@dataclass(slots=True)
class Health:
    """What a connector says of itself for the dashboard: a state word, a sentence, free figures without health data."""

    state: str = "starting"
    detail: str = ""
    figures: dict[str, int | float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Services:
    """What the engine lends to a connector: a clock, a logger-like callable, the health record that it may update.

    `ready` is called with the address once the connector listens or watches. `spawn_every(seconds, job)` runs a
    periodic coroutine function through the engine's scheduler and returns a function that stops it.
    """

    now: Callable[[], datetime]
    report: Callable[[Finding], None]
    health: Health
    ready: Callable[[str], None]
    spawn_every: Callable[[float, Callable[[], Awaitable[None]]], Callable[[], None]]
    stopping: asyncio.Event


@dataclass(frozen=True, slots=True)
class Connector:
    """A protocol as it is registered under the entry point `passerelle.connectors`.

    A side that does not exist is None. `format` is the format that this protocol implies when the configuration names
    none. Factories receive the name given in the configuration, the validated settings and the Services.
    """

    name: str
    summary: str
    source_settings: type[Settings] | None = None
    destination_settings: type[Settings] | None = None
    make_source: Callable[[str, Any, Services], Source] | None = None
    make_destination: Callable[[str, Any, Services], Destination] | None = None
    format: str | None = None
