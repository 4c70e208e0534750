"""Settings of the INSi client: where the teleservice is, who calls it, and with what patience."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import AnyHttpUrl, Field, SecretStr, model_validator

from connectors.address import on_this_machine
from connectors.contracts import Settings

CERTIFICATE_NAMES = frozenset({"INSI-AUTO", "INSI-MANU"})
"""Common names of software certificates that give rights to INSi."""


class InsiSettings(Settings):
    """Who calls INSi, with which certificate (mutual TLS) or professional's assertion, and how often."""

    url: AnyHttpUrl = Field(description="Address of the teleservice (ICIR), as the contract with the CNAM gives it.")
    certificate: Path | None = Field(
        None,
        description="Software certificate of the organisation, PEM chain; its common name is INSI-AUTO or INSI-MANU.",
    )
    private_key: Path | None = Field(None, description="Its private key, PEM; else looked for in the file above.")
    key_password: SecretStr | None = Field(None, description="Password of the private key, when it is encrypted.")
    ca: Path | None = Field(
        None, description="Authorities of the teleservice (IGC-Santé root), PEM; the system's when absent."
    )
    assertion: Path | None = Field(
        None,
        description="SAML assertion of a professional (VIHF), XML file read at each call, where the contract asks it.",
    )
    authorisation: str = Field(
        min_length=1, max_length=80, description="Number of the CNDA's authorisation of this software (IDAM)."
    )
    software_name: str = Field("passerelle", pattern=r"^[A-Za-z0-9._-]{1,60}$", description="Name of the software.")
    software_version: str = Field("0.1", pattern=r"^[A-Za-z0-9._-]{1,20}$", description="Version that was authorised.")
    emitter: str | None = Field(
        None, max_length=80, description="Identifier of the caller. Unset: the OU of the certificate's subject."
    )
    proxy: AnyHttpUrl | None = Field(None, description="HTTP proxy on the way out, when the network has one.")
    timeout: float = Field(20.0, gt=0, description="Seconds for one call, from connection to end of answer.")
    connect_timeout: float = Field(5.0, gt=0, description="Seconds to connect, TLS included.")
    per_minute: float = Field(60.0, gt=0, le=6000, description="Calls a minute at most; further ones wait their turn.")
    attempts: int = Field(3, ge=1, le=5, description="Times that a call is tried when INSi has a technical trouble.")
    patience: float = Field(60.0, gt=0, description="Seconds after which no further attempt is begun for one person.")
    breaker_failures: int = Field(5, ge=1, description="Troubles in a row after which INSi is left alone for a while.")
    breaker_seconds: float = Field(60.0, gt=0, description="How long it is left alone.")

    @model_validator(mode="after")
    def _calls_are_protected(self) -> Self:
        if self.url.username or self.url.password:
            raise ValueError("the url holds no credentials: INSi knows its callers by certificate")
        if self.url.scheme == "http" and not on_this_machine(self.url.host or ""):
            raise ValueError("identities leave this machine by https only")
        if self.url.scheme == "https" and self.certificate is None and self.assertion is None:
            raise ValueError("certificate (mutual TLS) or assertion (a professional's) says who calls: give one")
        return self
