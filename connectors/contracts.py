"""The contract between a protocol and the engine.

A Source submits what it receives and answers its peer only with what the receipt says; a Destination sends a Parcel
once and says, as a typed value, what became of it. Neither knows the journal, routes or formats' content.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from schemas.finding import Finding
from schemas.identity import PatientIdentity


class Settings(BaseModel):
    """Base of a connector's settings: frozen, unknown keys refused, so that a typing mistake in the file is seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    own_base: ClassVar[frozenset[str]] = frozenset()
    """Fields of type Path whose relative values do not start from the configuration file's folder, as others do."""

    def problems(self) -> tuple[str, ...]:
        """Say what is wrong with the files that these settings name, one sentence each; looked at when loading."""
        return ()


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

    async def held(self, receipt: Receipt) -> bool:
        """Say whether a message that was read still waits for a person.

        For sources that tell their peer what became of it: neither success nor failure is true yet.
        """

    def spool(self) -> Path:
        """Name a fresh file, beside the blob store, for a content too large to be held in memory."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One Delivery on its way: the exact bytes and the identity that every retry repeats.

    `traceparent` hands the trace of its message on (W3C Trace Context), where that is configured; else it is empty.
    """

    delivery_id: int
    identity: str
    content: bytes
    media_type: str
    filename: str
    attempt: int
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    insisted: bool = False
    traceparent: str = ""


class ReferenceKind(StrEnum):
    """How a partner calls something that was sent to it, or that came from it."""

    MESSAGE_ID = "message-id"
    ENVELOPE_ID = "envelope-id"
    UNIQUE_ID = "xds.unique-id"
    ENTRY_UUID = "xds.entry-uuid"
    LOGICAL_ID = "xds.logical-id"
    SUBMISSION_ID = "xds.submission-id"
    HASH = "sha1"


@dataclass(frozen=True, slots=True)
class Reference:
    """One name under which a partner knows what was sent. The journal keeps it sealed, found by a blind index."""

    kind: ReferenceKind
    value: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """The peer has it. `acknowledged` when it said so at the application's level (MSA AA, FHIR 2xx).

    `references` are the names under which it may speak of it later: a receipt that names one finds its Delivery.
    `learn_after` seconds when the peer tells further names only to who asks, and not at once: a `Learner` is then asked
    about this Delivery.
    """

    detail: str = ""
    answer: bytes = b""
    acknowledged: bool = False
    references: tuple[Reference, ...] = ()
    learn_after: float | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """It may work later; `after` seconds when the peer said when (Retry-After), else the engine's back-off.

    `detail` is one sentence without health data. `reached` is False when the peer could not be reached at all: the
    whole destination is then suspected, not this parcel. `references` when the peer may have it all the same (the line
    was cut after the last byte): a receipt that comes meanwhile finds its Delivery.
    """

    detail: str
    answer: bytes = b""
    after: float | None = None
    reached: bool = True
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The peer will never take this parcel: it goes to the dead letters with the reason."""

    detail: str
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class Hold:
    """It was not sent: a person must decide (a guard of a national service…). `findings` say why, one by one.

    When the person sends it all the same, `Parcel.insisted` is True.
    """

    detail: str
    answer: bytes = b""
    findings: tuple[Finding, ...] = ()


Outcome = Delivered | Retry | Refused | Hold


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


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the partner said about one Delivery: names under which it knows it. None: it does not know it (yet)."""

    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class NotAsked:
    """The partner was not asked about a Delivery, or gave no answer; `detail` is one sentence without health data.

    `wait` seconds until it is worth asking again, None when it never is. `denied` when we have no right to ask.
    """

    detail: str
    wait: float | None
    denied: bool = False


@runtime_checkable
class Learner(Protocol):
    """A Destination whose partner tells some of its names later (`Delivered.learn_after`)."""

    async def learn(self, parcels: Sequence[Parcel]) -> Mapping[int, Learnt | NotAsked]:
        """Ask about Deliveries that the partner has, by number; one that is missing was not asked about.

        Never raises for what a peer or network did. May be asked again about the same ones after a crash.
        """


@dataclass(frozen=True, slots=True)
class FollowedPatient:
    """A patient in coordination: the journal's number, and what is known of who it is."""

    number: int
    identity: PatientIdentity


class Memory(Protocol):
    """What a connector remembers across restarts: its own small values, sealed in the journal."""

    async def recall(self, key: str) -> bytes | None:
        """Give the value kept under a key, None when there is none."""

    async def keep(self, key: str, value: bytes | None) -> None:
        """Keep a value durably; None forgets it. Returns once it is committed."""


class Records(Protocol):
    """What a connector may ask of the journal: whom to follow, and whether a thing went through already."""

    async def followed(self, after: int = 0, count: int = 200) -> Sequence[FollowedPatient]:
        """Give patients in coordination in the order of their numbers, from the one after `after`."""

    async def known(self, kind: ReferenceKind, value: str) -> bool:
        """Say whether something was sent or received under this name."""

    async def names_of(self, unique_id: str) -> Mapping[ReferenceKind, str]:
        """Give the newest names under which this destination's partner knows what was sent under an XDS uniqueId."""


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
    periodic coroutine function through the engine's scheduler and returns a function that stops it. `memory` is this
    connector's own; `folder` is a place for files that can be made again (an index of a public directory).
    """

    now: Callable[[], datetime]
    report: Callable[[Finding], None]
    health: Health
    ready: Callable[[str], None]
    spawn_every: Callable[[float, Callable[[], Awaitable[None]]], Callable[[], None]]
    stopping: asyncio.Event
    memory: Memory
    records: Records
    folder: Path


@dataclass(frozen=True, slots=True)
class Connector:
    """A protocol as it is registered under the entry point `passerelle.connectors`.

    A side that does not exist is None. `format` is the format that this protocol implies when the configuration names
    none; `source_format` the one in which a source's messages are read then, instead of being recognised. Factories
    receive the name given in the configuration, the validated settings and the Services.
    """

    name: str
    summary: str
    source_settings: type[Settings] | None = None
    destination_settings: type[Settings] | None = None
    make_source: Callable[[str, Any, Services], Source] | None = None
    make_destination: Callable[[str, Any, Services], Destination] | None = None
    format: str | None = None
    source_format: str | None = None
    probe_source: Callable[[Any, datetime], Awaitable[Any]] | None = None
    probe_destination: Callable[[Any, datetime], Awaitable[Any]] | None = None
    """Test the connection that settings describe (`connectors.probing.Prober`); None where there is no way to."""
