"""Settings of the directory: where the FHIR API, the extractions and the white list are, how often they are read."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Self

from pydantic import AnyHttpUrl, Field, SecretStr, model_validator

from connectors.contracts import Settings

EXTRACTIONS = "https://service.annuaire.sante.fr/annuaire-sante-webservices/V300/services/extraction/"
"""Where the national extractions are: `Extraction_Correspondance_MSSante` and `PS_LibreAcces` (ZIP, no key)."""


class AnnuaireSettings(Settings):
    """The Annuaire Santé and the white list of MSSanté domains."""

    url: AnyHttpUrl | None = Field(
        None,
        description="Address of the FHIR API, with its version "
        "(`https://gateway.api.esante.gouv.fr/fhir/v2`). Unset: the extractions alone are looked at.",
    )
    api_key: SecretStr | None = Field(None, description="Key of the API, sent as `ESANTE-API-KEY`.")
    files: tuple[str, ...] = Field(
        (),
        description="Extractions to index, files or https addresses, ZIP or text: "
        "`Extraction_Correspondance_MSSante` (mailboxes) and `PS_LibreAcces` (professionals).",
    )
    refresh_hours: float = Field(
        24.0, gt=0, description="Hours after which the extractions and the white list are read again."
    )
    white_list: str | None = Field(
        None,
        description="White list of MSSanté domains (`listeblanchemssante.xml`), a file or an https address. "
        "Unset: no domain is known to be one of MSSanté's.",
    )
    ca: Path | None = Field(
        None, description="Authorities of these servers (IGC-Santé root), PEM; the system's when absent."
    )
    keep_share: float = Field(
        0.8,
        ge=0,
        le=1,
        description="An extraction with fewer mailboxes (or professionals) than this share of the last one is taken "
        "for a truncated one: the last good stays. 0: any is taken.",
    )
    most_megabytes: int = Field(4096, ge=1, description="Size of one extraction, inflated, above which it is refused.")
    proxy: AnyHttpUrl | None = Field(None, description="HTTP proxy on the way out, when the network has one.")
    timeout: float = Field(30.0, gt=0, description="Seconds for one call of the API; between two pieces of a file.")
    connect_timeout: float = Field(5.0, gt=0, description="Seconds to connect, TLS included.")
    per_second: float = Field(
        10.0, gt=0, le=17, description="Calls of the API a second at most (its quota is 17 for an application)."
    )
    most_pages: int = Field(10, ge=1, le=100, description="Pages of an answer that are read at most.")
    breaker_failures: int = Field(5, ge=1, description="Troubles in a row after which the API is left alone a while.")
    breaker_seconds: float = Field(60.0, gt=0, description="How long it is left alone.")

    @model_validator(mode="after")
    def _calls_are_protected(self) -> Self:
        if self.url is not None:
            if self.url.username or self.url.password:
                raise ValueError("the url holds no credentials: the key has its own setting")
            if self.url.scheme == "http" and not on_this_machine(self.url.host or ""):
                raise ValueError("the key of the API leaves this machine by https only")
            if self.api_key is None:
                raise ValueError("url needs api_key: the API serves nobody without one")
        for source in (*self.files, *([self.white_list] if self.white_list else [])):
            if "://" in source and not source.startswith("https://") and not on_this_machine(_host(source)):
                raise ValueError("files and the white list come by https, or from this machine")
        return self


def is_address(source: str) -> bool:
    """Say whether a source is an address rather than a file."""
    return "://" in source


def on_this_machine(host: str) -> bool:
    """Say whether a host name or address is this very machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _host(source: str) -> str:
    try:
        return AnyHttpUrl(source).host or ""
    except ValueError:
        return ""
