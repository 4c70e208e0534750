"""The signing certificate and its key: read once, told apart from the certificate of TLS, and what it signs with."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509.oid import NameOID

LARGEST = 1024 * 1024


class Unusable(Exception):
    """A certificate or its key cannot be used; the text says why, without a path."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A digest with its names in XML signatures."""

    name: str
    digest: str
    signature: str

    def hash(self) -> hashes.HashAlgorithm:
        """Give the digest for `cryptography`."""
        return hashes.SHA256() if self.name == "sha256" else hashes.SHA1()  # noqa: S303 - what older DMP samples have

    def of(self, content: bytes) -> str:
        """Digest, in base64."""
        digest = hashes.Hash(self.hash())
        digest.update(content)
        return base64.b64encode(digest.finalize()).decode("ascii")


ALGORITHMS = {
    "sha256": Algorithm(
        "sha256",
        "http://www.w3.org/2001/04/xmlenc#sha256",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    ),
    "sha1": Algorithm("sha1", "http://www.w3.org/2000/09/xmldsig#sha1", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
}


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate with its private key and its authorities."""

    certificate: x509.Certificate
    authorities: tuple[x509.Certificate, ...]
    key: RSAPrivateKey = field(repr=False)

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The certificate, then its authorities."""
        return (self.certificate, *self.authorities)

    @property
    def subject(self) -> str:
        """The subject as the Issuer of an assertion names it (RFC 2253)."""
        return self.certificate.subject.rfc4514_string()

    @property
    def units(self) -> tuple[str, ...]:
        """The organisational units: the structure's number."""
        return tuple(
            str(one.value) for one in self.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        )

    def sign(self, content: bytes, algorithm: Algorithm) -> str:
        """Sign (RSA, PKCS #1 v1.5: the same content has always the same signature), in base64."""
        return base64.b64encode(self.key.sign(content, padding.PKCS1v15(), algorithm.hash())).decode("ascii")


def signer_of(cert: Path, key: Path | None, password: str | None) -> Signer:
    """Read a signing pair. Raises Unusable."""
    try:
        chain = _certificates(cert)
        secret = serialization.load_pem_private_key(_read(key or cert), password.encode() if password else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
        raise Unusable(f"the private key cannot be read ({type(problem).__name__})") from None
    if not isinstance(secret, RSAPrivateKey):
        raise Unusable("the private key is not RSA")
    if secret.public_key() != chain[0].public_key():
        raise Unusable("the private key is not the certificate's")
    return Signer(chain[0], tuple(chain[1:]), secret)


def same_certificate(path: Path, signer: Signer) -> bool:
    """Say whether a file holds the signer's certificate or its key: two roles want two pairs.

    Raises Unusable when it cannot be read.
    """
    other = _certificates(path)[0]
    return other == signer.certificate or other.public_key() == signer.certificate.public_key()


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError:
        raise Unusable("there is no certificate in the file") from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            return handle.read(LARGEST)
    except OSError as problem:
        raise Unusable(f"a file cannot be read ({problem.strerror or type(problem).__name__})") from None
