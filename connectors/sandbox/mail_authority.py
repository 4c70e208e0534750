"""A certification authority of one's own, for servers and clients that play MSSanté on one machine.

authority = MailAuthority()
files = authority.write(folder)      # ca.pem, server.pem, client.pem, each certificate with its key
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LASTS = timedelta(days=30)
BEGINS = datetime(2020, 1, 1, tzinfo=UTC)
"""Certificates are valid since then: a test's clock may stand at any day."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the authority's certificate, and two certificates with their keys."""

    ca: Path
    server: Path
    client: Path


@dataclass(frozen=True, slots=True)
class MailAuthority:
    """Signs certificates for fictitious servers and clients, valid for `lasts`; its key is never written."""

    name: str = "SANDBOX PASSERELLE AC TEST"
    lasts: timedelta = LASTS
    _key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )

    def certificate(self) -> x509.Certificate:
        """Give the authority's own certificate."""
        name = _named(self.name)
        return (
            self._begun(name, name, self._key.public_key(), datetime.now(UTC) + self.lasts)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def ca_pem(self) -> bytes:
        """Give the authority's certificate, PEM."""
        return _pem(self.certificate())

    def issue(
        self, name: str, *, client: bool = False, hosts: tuple[str, ...] = (), until: datetime | None = None
    ) -> bytes:
        """Make a certificate with its key, PEM. It lasts as others do, or `until` (a past moment: expired)."""
        key = ec.generate_private_key(ec.SECP256R1())
        use = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        end = until or datetime.now(UTC) + self.lasts
        builder = (
            self._begun(_named(name), _named(self.name), key.public_key(), end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if hosts:
            names: list[x509.GeneralName] = [_host(host) for host in hosts]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return _pem(builder.sign(self._key, hashes.SHA256())) + secret

    def write(self, folder: Path, account: str = "passerelle", *, until: datetime | None = None) -> TlsFiles:
        """Write the authority, a server's certificate for this machine and a client's; only we may read the keys.

        `until` is the server's end.
        """
        files = TlsFiles(folder / "ca.pem", folder / "server.pem", folder / "client.pem")
        files.ca.write_bytes(self.ca_pem())
        write_secret(files.server, self.issue("localhost", hosts=("localhost", "127.0.0.1"), until=until))
        write_secret(files.client, self.issue(account, client=True))
        return files

    @staticmethod
    def _begun(
        subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, end: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGINS)
            .not_valid_after(end)
        )


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only we may read, over the one that may be there."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)


def _named(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SANDBOX PASSERELLE"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
