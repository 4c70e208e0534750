"""The configuration file as pydantic models; their field descriptions are the reference that users read."""

from __future__ import annotations

import os
from datetime import date
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from connectors.annuaire.settings import AnnuaireSettings
from connectors.contracts import Settings
from connectors.ins.settings import InsiSettings
from router.config.cluster import ClusterSection
from router.config.oidc import OidcSection, RoleName
from router.config.section import Section as Section
from router.config.watching import ObserveSection as ObserveSection, WatchSection as WatchSection

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""A name of a source or destination: lower case letters, digits, `-` and `_`."""


DEFAULT_CONCURRENCY = 8
"""Deliveries under way at once where neither the configuration nor the connector says."""


class JournalSection(Section):
    """Where messages are kept."""

    data: str = Field("data", description="Folder of the journal, its key and its blobs, relative to this file.")
    url: str = Field(
        "",
        description="Database URL. Empty: SQLite in the data folder. PostgreSQL: `postgresql+psycopg://user@host/base`.",
    )
    blobs: Literal["files", "database"] = Field(
        "files",
        description="Where large contents are: in `files` of the data folder, or in the `database`, which nodes of a "
        "cluster share (PostgreSQL).",
    )
    retention_days: int = Field(
        365, ge=1, description="Days after which settled messages and what came of them are erased."
    )


class RetentionSection(Section):
    """How long the rest is kept, in days; 0 is for good. Messages: `[journal] retention_days`."""

    notices_days: int = Field(365, ge=0, description="Notices of the router about itself and its partners.")
    alerts_days: int = Field(0, ge=0, description="Alerts to the members of circles, once nothing of them waits.")
    accesses_days: int = Field(0, ge=0, description="Who asked for what in which dossier.")
    audit_days: int = Field(
        0,
        ge=0,
        description="Who did or saw what; the chain of what is left still verifies (`passerelle audit verify`).",
    )


def _processors() -> int:
    """Count the processors that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


class EngineSection(Section):
    """How work is done."""

    workers: Annotated[int, Field(ge=0, le=64)] | Literal["auto"] = Field(
        "auto",
        description="Processes that read and write formats. 0: in the router's own process. `auto`: one for each "
        "processor but the one that receives and sends, at least 1 and at most 4.",
    )
    batch: int = Field(64, ge=1, le=512, description="Messages handed to a worker at once.")
    batch_seconds: float = Field(
        60.0, gt=0, description="Time after which a batch is taken from a worker that hangs, and tried one by one."
    )
    max_waiting: int = Field(
        200_000,
        ge=100,
        description="Messages acknowledged and not yet processed above which sources are asked to slow down.",
    )
    stop_seconds: float = Field(20.0, gt=0, description="Time that a graceful stop may take.")

    @property
    def worker_count(self) -> int:
        """How many worker processes to run on this machine."""
        return self.workers if self.workers != "auto" else min(4, max(1, _processors() - 1))


class IdentitySection(Section):
    """How patients are recognised."""

    environment: Literal["production", "test"] | None = Field(
        None,
        description="Which INS may be used: `production` refuses test and demonstration OIDs, `test` the others. "
        "Unset: both are read and nothing is refused for it; set it in production.",
    )
    policy: Literal["register", "rniv"] = Field(
        "register",
        description="Rows of the decision table that apply (`docs/identity.md`): `register` attaches to a known "
        "identifier unless a strict trait contradicts it; `rniv` applies the national table in full, under which a "
        "message with an unqualified INS, or without every strict trait, waits for a person.",
    )
    alert_hours: int = Field(
        24, ge=1, description="Hours after which an item that waits for a decision about its identity is an alert."
    )


class InsiSection(InsiSettings):
    """The national service that gives and verifies the INS."""

    reverify_days: int = Field(
        1095,
        ge=0,
        description="Days after which an INS is verified again; one that was never verified here is due at once. "
        "0: never.",
    )
    reverify_batch: int = Field(5, ge=1, le=100, description="Patients verified again each minute, at most.")


class AnnuaireSection(AnnuaireSettings):
    """The national directory of professionals, structures and mailboxes, and the white list of MSSanté domains."""


class CodesSection(Section):
    """What laboratories' own codes mean."""

    maps: tuple[str, ...] = Field(
        (),
        description="CSV files of concept maps (`sender`, `code`, `target`…), relative to this file; read again when "
        "they change. What is mapped in the dashboard goes before them, and a later file before an earlier one.",
    )


class AlertsSection(Section):
    """How members of a circle are told whom no tool tells (`docs/dossier.md`)."""

    mssante: str = Field(
        "",
        description="Destination of the connector `mssante` through which members are mailed what concerns them. "
        "Empty: nobody is told by MSSanté.",
    )
    language: Literal["fr", "en"] = Field("fr", description="Language of ordinary mails and of SMS.")
    mail_from: str = Field("", description="Sender of ordinary mails, which hold no health data.")
    mail_server: str = Field("", description="SMTP server, `host:port`; STARTTLS is used where it is offered.")
    mail_user: str = Field("", description="Account at the server, where it wants one.")
    mail_password: SecretStr | None = Field(None, description="Its password.")
    sms_webhook: HttpUrl | None = Field(
        None, description="Address of an SMS gateway: gets a POST of JSON, `to` and `text`, without health data."
    )
    sms_secret: SecretStr | None = Field(
        None, description="Signs the POST as a webhook destination does: `X-Passerelle-Signature`, time and HMAC."
    )
    former_sms_secret: SecretStr | None = Field(
        None, description="The secret of before, while the receiver changes over: it signs beside the new one."
    )

    @model_validator(mode="after")
    def _mail_is_whole(self) -> Self:
        if bool(self.mail_from) != bool(self.mail_server):
            raise ValueError("mail_from and mail_server go together")
        return self

    @property
    def any(self) -> bool:
        """Whether there is a way beside tools."""
        return bool(self.mssante or self.mail_server or self.sms_webhook)


class DossierSection(Section):
    """The coordination dossier."""

    rules: str = Field(
        "",
        description="TOML file of the rules by which the circle is told of events, relative to this file. Empty: those "
        "that `passerelle dossier rules` prints.",
    )
    api: bool = Field(
        False,
        description="Whether the FHIR API is served under `/fhir` (`docs/dossier-api.md`), and its store kept up with "
        "what arrives.",
    )
    url: str = Field(
        "",
        description="Address of the API as tools know it (`https://router.example/fhir`). Empty: as each request names "
        "it, and in notices the address of the dashboard.",
    )
    client_authorities: str = Field(
        "",
        description="PEM file of the authorities of tools' client certificates, relative to this file. With it, every "
        "tool must show one (mutual TLS).",
    )
    subscriber_networks: tuple[str, ...] = Field(
        (),
        description="Inside networks to which notices may go (`10.3.0.0/16`); otherwise they go to public addresses "
        "only.",
    )
    subscriber_http: bool = Field(False, description="Whether notices may go over plain http: for a test only.")
    refuse_unqualified: bool = Field(
        True,
        description="Whether a tool's document that a route takes to the DMP is refused (422) when the identity of its "
        "patient is not qualified. False: it is kept in the dossier, and its delivery waits.",
    )
    alerts: AlertsSection = Field(AlertsSection(), description="How members are told whom no tool tells.")

    @field_validator("subscriber_networks")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for one in networks:
            ip_network(one)  # its ValueError says what is wrong
        return networks


class ValidationSection(Section):
    """How documents are checked before they leave, where a destination or a route asks for it."""

    package: str = Field(
        "",
        description="Folder of the validation package (the ANS's XML schemas and schematrons for CDA), relative to "
        "this file. Needed where `validate` is `strict`.",
    )
    seconds: float = Field(
        120.0, gt=0, description="Time after which a check is given up, and the delivery held: it may be what hangs it."
    )


Validate = Literal["none", "strict"]


class WebSection(Section):
    """Dashboard and API."""

    listen: str = Field(
        "127.0.0.1:8080", description="Address of the dashboard and API, `host:port`; port 0 takes any."
    )
    certificate: str | None = Field(
        None, description="PEM file of the certificate chain; with `private_key`, serves TLS."
    )
    private_key: str | None = Field(None, description="PEM file of the private key.")
    timezone: str = Field("Europe/Paris", description="Time zone of the pages and of messages that name none.")
    receipt_hours: int = Field(
        24,
        ge=0,
        description="Hours after which a mail that the operator took, and of which no receipt has spoken since, is "
        "told of on the overview. 0: never.",
    )
    idle_minutes: int = Field(30, ge=1, le=1440, description="Minutes without an action after which a session ends.")
    session_hours: int = Field(
        12, ge=1, le=168, description="Hours after which a session ends, whatever its user does."
    )
    max_connections: int = Field(
        1000, ge=10, description="Connections held at the same time; one more is closed at once."
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        (IPv4Network("127.0.0.1"), IPv6Network("::1")),
        description="Addresses and networks of the proxies in front: what they say in `X-Forwarded-For` and "
        "`X-Forwarded-Proto` is believed, and of nobody else. Limits, sessions and the audit then have the client's "
        "address instead of the proxy's.",
    )
    max_connections_per_peer: int | None = Field(
        None, ge=1, description="Of these, connections from one address. Unset behind a proxy, whose address all share."
    )
    head_seconds: float = Field(10.0, gt=0, description="Seconds for a request's head to arrive.")
    body_seconds: float = Field(
        30.0, gt=0, description="Seconds for the next byte of a request's body; ten times that for all of it."
    )
    proofs_per_minute: int = Field(
        30,
        ge=0,
        description="Passwords, codes, keys and tokens that one address may show in vain in a minute; then 429 is "
        "answered. 0: any number, where a proxy that tells no addresses hides them.",
    )
    calls_per_minute: int = Field(
        12_000, ge=0, description="Calls of one API key or tool in a minute; then 429 is answered. 0: any number."
    )
    operators_configure: bool = Field(
        False, description="Whether operators may change the configuration, which is for administrators otherwise."
    )
    require_totp: tuple[RoleName, ...] = Field(
        (),
        description="Roles whose local accounts must sign in with a one-time code: until they enrol, they see the page "
        "of their own account only.",
    )
    oidc: dict[Name, OidcSection] = Field(
        default_factory=dict, description="OpenID providers through which people sign in: `[web.oidc.NAME]`."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _somebody(cls, proxies: tuple[IPv4Network | IPv6Network, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
        if any(network.prefixlen == 0 for network in proxies):
            raise ValueError("a network of all addresses would believe whatever anybody writes; name the proxies")
        return proxies


class RetrySection(Section):
    """When a destination is tried again."""

    max_attempts: int = Field(12, ge=1, description="Attempts answered by the peer before a delivery is `dead`.")
    first_delay: float = Field(
        1.0, gt=0, description="Seconds before the second attempt; each further one waits twice."
    )
    max_delay: float = Field(600.0, gt=0, description="Longest wait between two attempts, in seconds.")
    give_up_hours: float = Field(
        96.0, gt=0, description="Hours after which a delivery to a destination that cannot be reached is `dead`."
    )


class RecipientsSection(Section):
    """Who gets what: the destination is written to once for each person or structure who is to have an Item."""

    to: tuple[Literal["named", "practitioner", "circle", "patient"], ...] = Field(
        ("named", "practitioner", "circle", "patient"),
        min_length=1,
        description="Reasons to write to somebody: `named` by the sender, the `practitioner` (médecin traitant), the "
        "`circle` of care, the `patient`'s own mailbox.",
    )
    rules: str = Field(
        "",
        description="CSV table of who gets what, in the place of the shipped one (`docs/directory.md`).",
    )
    wishes: str = Field("", description="CSV table of the legal combinations of a sender's wishes, likewise.")
    patient_domain: str = Field("patient.mssante.fr", description="Domain of patients' mailboxes.")
    white_list: bool = Field(
        True, description="Whether what goes to a domain outside the white list waits for a person, where one is known."
    )


class SourceSection(BaseModel):
    """A source: the keys below, and those of its connector."""

    model_config = ConfigDict(frozen=True, extra="allow")

    connector: str = Field(description="Connector: mllp, directory, http, or one that a package adds.")
    format: str | None = Field(None, description="Format of what arrives. Unset: recognised by its content.")
    charset: str | None = Field(None, description="Forces a Python codec name. Unset: detected, and said.")
    paused: bool = Field(False, description="Whether the source is left closed.")
    options: dict[str, str] = Field(default_factory=dict, description="Settings of the format for this partner.")
    keys: dict[str, str] = Field(
        default_factory=dict,
        description='Files that the format needs, relative to this file: `{ name = "path" }` (S/MIME keys…).',
    )
    ends: dict[str, date] = Field(
        default_factory=dict,
        description="Until when what it uses is good, where no certificate says so: `{ password = 2027-01-31 }`. The "
        "overview counts the days.",
    )

    @property
    def connector_settings(self) -> dict[str, Any]:
        """The keys that belong to the connector."""
        return dict(self.__pydantic_extra__ or {})


class DestinationSection(BaseModel):
    """A destination: the keys below, and those of its connector."""

    model_config = ConfigDict(frozen=True, extra="allow")

    connector: str = Field(description="Connector: fhir, mllp, directory, http, or one that a package adds.")
    format: str | None = Field(None, description="Format to write. Unset: the one that the connector implies.")
    charset: str | None = Field(None, description="Codec of what is written, where the format leaves the choice.")
    paused: bool = Field(False, description="Whether deliveries wait.")
    concurrency: int | None = Field(
        None,
        ge=1,
        le=512,
        description="Deliveries under way at once; one patient's go one by one. Unset: the connector's own, else 8.",
    )
    retry: RetrySection = Field(RetrySection(), description="When it is tried again.")
    recipients: RecipientsSection | None = Field(
        None, description="Who gets what: one delivery for each recipient. Unset: the destination is the recipient."
    )
    validation: Validate = Field(
        "none",
        alias="validate",
        description="`strict`: each CDA document is checked before it leaves; one that does not conform is held with "
        "its findings until a person sends it, or sets it aside.",
    )
    traceparent: bool = Field(
        False,
        description="Whether the trace of a message is handed on with each attempt, as the header `traceparent` (W3C "
        "Trace Context). For the connectors `fhir` and `http`.",
    )
    options: dict[str, str] = Field(default_factory=dict, description="Settings of the format for this partner.")
    keys: dict[str, str] = Field(
        default_factory=dict,
        description='Files that the format needs, relative to this file: `{ name = "path" }` (S/MIME keys…).',
    )
    ends: dict[str, date] = Field(
        default_factory=dict,
        description="Until when what it uses is good, where no certificate says so: `{ password = 2027-01-31 }`. The "
        "overview counts the days.",
    )

    @property
    def connector_settings(self) -> dict[str, Any]:
        """The keys that belong to the connector."""
        return dict(self.__pydantic_extra__ or {})


class RouteSection(Section):
    """A rule that sends Items to destinations."""

    name: str = Field(min_length=1, max_length=120, description="What the route is for, in words.")
    when: str = Field(
        "true",
        description="CEL condition over `item` (the canonical JSON), `patient` (`known`, `in_coordination`), "
        "`source` (its name), `message` (`type`, `control_id`, `test`).",
    )
    sources: tuple[Name, ...] = Field((), description="Sources that it applies to. Empty: all.")
    to: tuple[Name, ...] = Field(min_length=1, description="Destinations.")
    unattached: bool = Field(
        False, description="Whether it also takes Items whose patient is not known for certain. Think twice."
    )
    validation: Validate = Field(
        "none", alias="validate", description="`strict`: as for a destination, for what leaves by this route only."
    )


class Configuration(Section):
    """The whole file."""

    journal: JournalSection = JournalSection()
    retention: RetentionSection = RetentionSection()
    engine: EngineSection = EngineSection()
    identity: IdentitySection = IdentitySection()
    insi: InsiSection | None = None
    annuaire: AnnuaireSection | None = None
    codes: CodesSection = CodesSection()
    dossier: DossierSection = DossierSection()
    validation: ValidationSection = ValidationSection()
    watch: WatchSection = WatchSection()
    observe: ObserveSection = ObserveSection()
    web: WebSection = WebSection()
    sources: dict[Name, SourceSection] = Field(default_factory=dict)
    destinations: dict[Name, DestinationSection] = Field(default_factory=dict)
    routes: tuple[RouteSection, ...] = ()
    cluster: ClusterSection | None = None


class ResolvedSource(Section):
    """A source whose connector's settings are validated; `implied_format` is what its connector brings, if it says."""

    name: str
    section: SourceSection
    settings: Settings
    implied_format: str | None = None

    @property
    def format(self) -> str | None:
        """The format of what arrives; None is recognised by the content."""
        return self.section.format or self.implied_format


class ResolvedDestination(Section):
    """A destination whose connector's settings are validated and whose format is decided."""

    name: str
    section: DestinationSection
    settings: Settings
    format: str

    @property
    def concurrency(self) -> int:
        """Deliveries under way at once."""
        own: int = getattr(self.settings, "concurrency", DEFAULT_CONCURRENCY)
        return self.section.concurrency or own
