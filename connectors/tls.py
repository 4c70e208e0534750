"""TLS as a setting, for whoever listens and whoever connects. TLS 1.2 is the oldest version taken."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from connectors.contracts import Settings


class ServerTls(Settings):
    """TLS of a listener: its own certificate and, for mutual TLS, who may connect."""

    cert: Path = Field(description="Certificate chain of this listener, PEM.")
    key: Path | None = Field(None, description="Private key, PEM; when absent it is looked for in the file of `cert`.")
    key_password: SecretStr | None = Field(None, description="Password of the private key, when it is encrypted.")
    client_ca: Path | None = Field(
        None, description="Authorities that sign the certificates of clients, PEM (mutual TLS)."
    )
    require_client_certificate: bool = Field(
        False, description="Refuse a client that shows no certificate signed by `client_ca`."
    )
    allowed_client_subjects: tuple[str, ...] = Field(
        (),
        description="Names (common name, or DNS subject alternative name) that a client's certificate must bear, "
        "one of them; empty accepts all that `client_ca` signed.",
    )
    handshake_timeout: float = Field(10.0, gt=0, le=60, description="Seconds for a client to end the TLS handshake.")

    @model_validator(mode="after")
    def _mutual_is_whole(self) -> Self:
        if self.require_client_certificate and self.client_ca is None:
            raise ValueError("require_client_certificate needs client_ca")
        if self.allowed_client_subjects and not self.require_client_certificate:
            raise ValueError("allowed_client_subjects needs require_client_certificate = true")
        return self

    def context(self) -> ssl.SSLContext:
        """Load the files. Raises OSError or ssl.SSLError when one cannot be read."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.cert, self.key, _password(self.key_password))
        if self.client_ca is not None:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED if self.require_client_certificate else ssl.CERT_OPTIONAL
        return context


class ClientTls(Settings):
    """TLS towards a peer. Its certificate is always verified; a self-signed one is named in `ca`."""

    ca: Path | None = Field(
        None, description="Authorities that sign the peer's certificate, PEM; the system's when absent."
    )
    cert: Path | None = Field(None, description="Our own certificate chain, PEM (mutual TLS).")
    key: Path | None = Field(None, description="Its private key, PEM; else looked for in the file of `cert`.")
    key_password: SecretStr | None = Field(None, description="Password of the private key, when it is encrypted.")
    server_name: str | None = Field(
        None, description="Name that the peer's certificate bears, when it is not the host we connect to."
    )

    def context(self) -> ssl.SSLContext:
        """Load the files. Raises OSError or ssl.SSLError when one cannot be read."""
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert is not None:
            context.load_cert_chain(self.cert, self.key, _password(self.key_password))
        return context


def certificate_names(certificate: object) -> frozenset[str]:
    """List the common names and DNS names of a peer certificate as `SSLSocket.getpeercert` gives it."""
    if not isinstance(certificate, dict):
        return frozenset()
    subject: Sequence[Sequence[tuple[str, str]]] = certificate.get("subject", ())
    names = {value for part in subject for key, value in part if key == "commonName"}
    names.update(value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS")
    return frozenset(names)


def _password(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
