"""The sections `[watch]` and `[observe]`: alarms, and what is told to those who run the router."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, HttpUrl, SecretStr, model_validator

from router.config.section import Section


class WatchSection(Section):
    """When something that flows is worth an alarm, and who is told."""

    silence_chance: float = Field(
        0.001,
        ge=0,
        lt=1,
        description="A source is silent when so long without a message happens by chance less often than this, by what "
        "it usually sends at that hour of that weekday. 0: never.",
    )
    error_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of a source's messages of the last hour that are unreadable, or of a destination's "
        "deliveries that failed. 0: never.",
    )
    error_least: int = Field(
        10, ge=1, description="Messages, or deliveries, of the last hour below which no share is taken."
    )
    backlog_minutes: float = Field(
        30.0,
        ge=0,
        description="Minutes that the oldest delivery of a destination, or message to be read, may wait. 0: any.",
    )
    disk_days: float = Field(
        3.0,
        ge=0,
        description="Days until the journal's disk is full, at the pace of the last day; nearly full is one as well. "
        "0: neither.",
    )
    node_minutes: float = Field(
        5.0,
        ge=0,
        description="Minutes for which a node of a cluster that has not said that it stops may be silent. 0: any.",
    )
    new_codes: bool = Field(True, description="Whether a local code that no map answers is an alarm for a day.")
    drift: bool = Field(
        True, description="Whether it is an alarm that a source's messages suddenly hold more that is left unread."
    )
    language: Literal["fr", "en"] = Field("fr", description="Language of what is sent.")
    webhook: HttpUrl | None = Field(None, description="Address that is told of each alarm by a POST of JSON.")
    webhook_secret: SecretStr | None = Field(
        None, description="Signs the POST as a webhook destination does: `X-Passerelle-Signature`, time and HMAC."
    )
    former_webhook_secret: SecretStr | None = Field(
        None, description="The secret of before, while the receiver changes over: it signs beside the new one."
    )
    mail_to: tuple[str, ...] = Field((), description="Addresses that are told by mail.")
    mail_from: str = Field("", description="Sender of the mails.")
    mail_server: str = Field("", description="SMTP server, `host:port`; STARTTLS is used where it is offered.")
    mail_user: str = Field("", description="Account at the server, where it wants one.")
    mail_password: SecretStr | None = Field(None, description="Its password.")

    mssante: str = Field(
        "", description="Destination of the connector `mssante` through which alarms are mailed to `mssante_to`."
    )
    mssante_to: tuple[str, ...] = Field((), description="MSSanté addresses that are told.")

    @model_validator(mode="after")
    def _mail_is_whole(self) -> Self:
        if self.mail_to and not (self.mail_from and self.mail_server):
            raise ValueError("mail_to needs mail_from and mail_server")
        if bool(self.mssante_to) != bool(self.mssante):
            raise ValueError("mssante and mssante_to go together")
        return self


class ObserveSection(Section):
    """What is told to those who run the router; none of it is health data (`docs/operations/observability.md`)."""

    otlp: str = Field(
        "",
        pattern=r"^(https?://[^\s]+)?$",
        description="Address of an OpenTelemetry collector (`http://collector:4318`), which is sent a trace of each "
        "message by OTLP over HTTP. Empty: none.",
    )
    log_format: Literal["text", "json"] = Field(
        "text",
        description="`text`: warnings alone, in words. `json`: a line of JSON for what happens to each message, for "
        "each notice and each warning, on standard error.",
    )
    ready_seconds: int = Field(
        600,
        ge=0,
        description="Age of the oldest message that was not read yet, in seconds, above which `/health/ready` says no. "
        "0: any.",
    )
