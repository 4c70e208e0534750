"""What the dashboard and the API borrow from the router that they run in.

The engine fills in a `WebContext` and gives it to `router.web.app.create_app`. Nothing here depends on the engine, so
that a test can stand for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol, TypeVar
from zoneinfo import ZoneInfo

from mappings.contracts import PARIS, ReadContext, WriteContext
from router.certificates import CertificateEnd, CertificateNote, KnownEnd
from router.cluster.contracts import NodeStatus
from router.config.load import Loaded
from router.config.oidc import OidcSection
from router.directory.service import DirectoryService
from router.dossier.api.service import DossierSettings
from router.dossier.door import Door
from router.engine.attempting import Attempted
from router.engine.worker import RawMessage
from router.identity.insi import Insi
from router.journal.operations import Operation
from router.journal.pauses import Pause
from router.journal.prepared import PreparedMessage
from router.journal.readers import ReaderChoice
from router.journal.store import Store
from router.quotas import WebLimits
from router.web.oidc.provider import Http
from router.web.rights import Role
from schemas.identity import PatientIdentity

R = TypeVar("R")

MAIL = "mssante"
SUBMITTING = frozenset({"dmp", "pdsm"})
"""Connectors that have pages of their own."""

Side = Literal["source", "destination"]


@dataclass(frozen=True, slots=True)
class FlowStatus:
    """What is known right now of one source or destination.

    `state` is the connector's own word (`starting`, `listening`, `watching`, `ready`, `failed`, `unreachable`,
    `stopped`…); a word that the dashboard does not know is shown as it is. `detail` is one sentence without health
    data. `pause` says who paused it and why; it is None where the configuration itself does. `since` is when the state
    last changed, `in_flight` how many Parcels are being sent at this moment. `last_failure` is what
    its last attempt that failed said, since the router was started.
    """

    name: str
    side: Side
    connector: str
    state: str
    detail: str = ""
    address: str = ""
    format: str = ""
    paused: bool = False
    pause: Pause | None = None
    since: datetime | None = None
    in_flight: int = 0
    last_failure: str = ""
    last_failure_at: int | None = None
    figures: Mapping[str, int | float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RouteStatus:
    """A route as it is configured today: its condition (CEL), the sources that it looks at (none: all), its ends."""

    name: str
    when: str
    to: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    unattached: bool = False
    validation: str = "none"
    pause: Pause | None = None


@dataclass(frozen=True, slots=True)
class AppliedFile:
    """How the configuration that runs and its file stand: sections that wait for a start, a file changed since."""

    waits_for_start: tuple[str, ...] = ()
    differs: bool = False


class Submit(Protocol):
    """The journal's writer: apply an operation, and give its result once it is committed."""

    def __call__(self, operation: Operation[R], /) -> Awaitable[R]:
        """Submit it. Raises JournalFault when it could not be committed."""


class PatientsRefused(Exception):
    """The patients that were sent cannot be read: one sentence that quotes nobody's data."""


class Attempt(Protocol):
    """Reads and routes a message for nothing, in a worker."""

    def __call__(self, raw: RawMessage, format_name: str | None, charset: str | None, /) -> Awaitable[Attempted]:
        """Do it, by a named format and charset or the source's own. Raises AttemptFailed when no worker survives it."""


class ReadAgain(Protocol):
    """Reads messages of the journal as they would be read now, keeping nothing: those that there are, in order."""

    def __call__(
        self, numbers: Sequence[int], reader: ReaderChoice | None, mappings: int | None, /
    ) -> Awaitable[list[PreparedMessage]]:
        """Do it, by another reader and with another version of the mappings than their own, where one is named."""


ReadPatients = Callable[[bytes, str], Sequence[PatientIdentity]]
"""Reads an upload (its bytes and media type: FHIR Bundle, CSV) into identities. Raises PatientsRefused. CPU work only:
it is called in a worker thread."""


@dataclass(frozen=True, slots=True)
class DossierOffer:
    """How the dossier's FHIR API is served: by which door, and who is told after a tool wrote something."""

    door: Door
    settings: DossierSettings = field(default_factory=DossierSettings)
    changed: Callable[[], None] = lambda: None


def _now_utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class WebContext:
    """Everything that the dashboard needs and does not own.

    `flows` gives the live state of every source and destination, and `routes` the routes, in the configuration's
    order; both are called from worker threads and must not block. `wake` tells the engine that rows changed (after a
    replay, a cancellation, new patients); it is called in the event loop. `read_patients` understands uploads other
    than our own JSON. `stopping` ends the live streams, so that the server can stop at once.
    """

    store: Store
    submit: Submit
    flows: Callable[[], Sequence[FlowStatus]] = tuple
    own_flows: Callable[[], Sequence[FlowStatus]] | None = None
    """How they are on this node, where `flows` gives how they are on all nodes of a cluster; None where that is one."""

    nodes: Callable[[], Sequence[NodeStatus]] | None = None
    """The nodes of the cluster that were heard lately, None on a single machine; called from worker threads."""

    certificates: Callable[[], Sequence[CertificateNote]] = tuple
    """What is wrong with the configured certificates; called from worker threads, it reads files."""

    certificate_ends: Callable[[], Sequence[CertificateEnd]] = tuple
    """Every certificate that the configuration names, with its end; likewise."""

    known_ends: Callable[[], Sequence[KnownEnd]] = tuple
    """Passwords and keys whose end the configuration says."""

    alarm_ways: Callable[[], Sequence[str]] = tuple
    """The ways by which people are told of alarms: `webhook`, `mail`, `mssante`."""

    insi: Insi | None = None
    """The national service that gives the INS, None where a test has none."""

    directory: DirectoryService | None = None
    """The directory of professionals and mailboxes, None where a test has none."""

    wake: Callable[[], None] = lambda: None
    now: Callable[[], datetime] = _now_utc
    read_patients: ReadPatients | None = None
    routes: Callable[[], Sequence[RouteStatus]] = tuple
    loaded: Callable[[], Loaded] | None = None
    """The configuration that runs, None where a test has none."""

    applied: Callable[[], AppliedFile] = AppliedFile
    attempt: Attempt | None = None
    """Makes of a message what would be made of it, and keeps nothing; None where a test has none."""

    stopping: asyncio.Event | None = None
    reads: Callable[[str], ReadContext] = lambda source: ReadContext(source=source)
    """What a reader knows of a source's messages."""

    writes: Callable[[str, datetime, str], WriteContext | None] = lambda _destination, _now, _identity: None
    """What a writer knows for a destination, at a moment, under an identity; None for one that is not configured."""

    read_again: ReadAgain | None = None
    """Reads messages of the journal as they would be read now; None where a test cannot."""

    code_maps: tuple[Path, ...] = ()
    """Files of concept maps that the configuration names."""

    configuration: Path | None = None
    """The file that the router was configured by, None where a test has none."""

    identity_alert_hours: int = 24
    """Hours after which a held Item that nobody decided about is said to be late."""

    dossier: DossierOffer | None = None
    """The dossier's FHIR API, None where it is not served."""
    receipt_hours: int = 24
    """Hours after which a mail that left, and of which nobody has spoken since, waits for too long; 0 is never."""

    ready_seconds: int = 0
    """Age of the oldest unread message above which the router says that it is not ready; 0 is any."""

    version: str = ""
    title: str = ""
    """Shown beside the product's name: which router this is (`demo`, `CH de Beaumont`)."""

    timezone: ZoneInfo = PARIS
    """The zone of the times that are shown, unless the browser says its own."""

    limits: WebLimits = field(default_factory=WebLimits)
    """What is borne of one caller."""

    idle_minutes: int = 30
    """A session ends after this long without an action of its user; live refreshes are not actions."""

    session_hours: int = 12
    """A session ends after this long, whatever its user does."""

    operators_configure: bool = False
    """Whether operators may change the configuration."""

    providers: Mapping[str, OidcSection] = field(default_factory=dict)
    """OpenID providers through which people sign in, by name."""

    provider_http: Http | None = None
    """Opens the client that providers are asked with; None is the usual one."""

    require_totp: frozenset[Role] = frozenset()
    """Roles whose local accounts must sign in with a one-time code."""

    def flows_here(self) -> Sequence[FlowStatus]:
        """Say how every source and destination is doing on this node."""
        return self.flows() if self.own_flows is None else self.own_flows()

    def offers(self) -> frozenset[str]:
        """Say which pages have something to show: `mail`, `dmp`, `directory`, `configuration`, `nodes`, `try`."""
        flows = self.flows()
        found = {"mail"} if any(is_mail(flow) for flow in flows) else set()
        found |= {"dmp"} if any(flow.connector in SUBMITTING for flow in flows) else set()
        found |= {"configuration"} if self.configuration is not None and self.loaded is not None else set()
        found |= {"nodes"} if self.nodes is not None else set()
        found |= {"try"} if self.attempt is not None else set()
        return frozenset(found | ({"directory"} if self.directory is not None else set()))


def is_mail(flow: FlowStatus) -> bool:
    """Whether mails come by a source or leave by a destination."""
    return flow.connector == MAIL or flow.format == "mail"
