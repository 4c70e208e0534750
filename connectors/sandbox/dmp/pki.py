"""The certificates of the sandbox, made on the spot: an authority, a server, and the two pairs of a structure.

`ORG_AUTH_CLI` opens the TLS connection, `ORG_SIGN` signs the VIHF and the lots, as with the national authority (IGC
Santé). The keys are worth nothing.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

STRUCTURE = "10B0000001"
"""The invented structure of the certificates, as their organisational unit writes it: `1` and a FINESS."""

_DAYS = 365
_SHORTEST = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """Everything a client and the sandbox need to trust one another."""

    authority: Path
    server: Pair
    client: Pair
    """`ORG_AUTH_CLI`."""
    signer: Pair
    """`ORG_SIGN`."""

    def authority_certificate(self) -> x509.Certificate:
        """Read the authority."""
        return x509.load_pem_x509_certificate(self.authority.read_bytes())

    def server_context(self) -> ssl.SSLContext:
        """Make the TLS of the server: a client certificate of the authority is required."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.server.certificate, self.server.key)
        context.load_verify_locations(self.authority)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_context(self) -> ssl.SSLContext:
        """Make the TLS of a client that the server takes."""
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.authority)
        context.load_cert_chain(self.client.certificate, self.client.key)
        return context


def certificates_in(folder: Path, *, structure: str = STRUCTURE) -> Certificates:
    """Give the certificates of a folder; they are made when they are not there, or are about to end."""
    made = Certificates(
        folder / "authority.pem",
        Pair(folder / "server.pem", folder / "server.key"),
        Pair(folder / "org-auth-cli.pem", folder / "org-auth-cli.key"),
        Pair(folder / "org-sign.pem", folder / "org-sign.key"),
    )
    if not _hold(made):
        _make(made, structure)
    return made


def _hold(made: Certificates) -> bool:
    pairs = (made.server, made.client, made.signer)
    paths = [made.authority, *(one.certificate for one in pairs)]
    if not all(path.is_file() for path in (*paths, *(one.key for one in pairs))):
        return False
    end = datetime.now(UTC) + _SHORTEST
    return all(x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc > end for path in paths)


def _make(made: Certificates, structure: str) -> None:
    made.authority.parent.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = _name("TEST AC SANDBOX ORGANISATIONS", "SANDBOX")
    authority = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    # The authority is written last: while it is missing, the next start makes everything again.
    made.authority.unlink(missing_ok=True)
    _issue(made.server, _name("localhost", "SANDBOX"), authority, key, ExtendedKeyUsageOID.SERVER_AUTH)
    _issue(made.client, _name("passerelle.sandbox", structure), authority, key, ExtendedKeyUsageOID.CLIENT_AUTH)
    _issue(made.signer, _name("passerelle.sandbox", structure), authority, key, ExtendedKeyUsageOID.EMAIL_PROTECTION)
    _write(made.authority, authority.public_bytes(serialization.Encoding.PEM))


def _issue(
    pair: Pair, name: x509.Name, authority: x509.Certificate, key: rsa.RSAPrivateKey, purpose: x509.ObjectIdentifier
) -> None:
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signs = purpose == ExtendedKeyUsageOID.EMAIL_PROTECTION
    builder = (
        _builder(name, authority.subject, own)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=signs), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    if purpose == ExtendedKeyUsageOID.SERVER_AUTH:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    _write(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    secret = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(pair.key, secret)


def _name(common_name: str, unit: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "Ille-et-Vilaine (35)"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "STRUCTURE FICTIVE"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, authority: bool = False, signs: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=signs,
        key_encipherment=not authority and not signs,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".part")
    partial.touch(mode=0o600)
    with partial.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)
