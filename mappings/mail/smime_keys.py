"""The keys and certificates of S/MIME, from the PEM files that the configuration names.

smime_key, smime_certificate    what decrypts what is sent to us; several of each may stand in one file (renewals)
smime_trust                     the authorities whose signatures are believed
sign_key, sign_certificate      what signs what we write; the authorities between may follow the certificate
encrypt_for                     the certificate of whom we write to
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from mappings.contracts import FormatError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key with its certificate, and the authorities between it and the root."""

    key: PrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()


def certificates(keys: Mapping[str, bytes], name: str) -> tuple[x509.Certificate, ...]:
    """Read every certificate of a file. Raises FormatError `mail.key` when it has none that can be read."""
    content = keys.get(name)
    if content is None:
        return ()
    try:
        found = x509.load_pem_x509_certificates(content) if b"-----BEGIN" in content else [_der(content)]
    except (ValueError, UnsupportedAlgorithm):
        raise FormatError("mail.key", name, "this file holds no certificate that can be read") from None
    return tuple(found)


def _der(content: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(content)


def identities(keys: Mapping[str, bytes], key_name: str, certificate_name: str, password: str) -> tuple[Identity, ...]:
    """Pair the keys of one file with the certificates of another. Raises FormatError `mail.key` when none pair."""
    content = keys.get(key_name)
    if content is None:
        return ()
    known = certificates(keys, certificate_name)
    secret = password.encode() or None
    found: list[Identity] = []
    for block in _BLOCK.finditer(content):
        if b"PRIVATE KEY" not in block[1]:
            continue
        try:
            key = load_pem_private_key(block[0], secret if b"ENCRYPTED" in block[0] else None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            message = "a private key of this file cannot be opened: it is damaged, or its password is another"
            raise FormatError("mail.key", key_name, message) from None
        if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            own = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            others = [one for one in known if _public(one) != own]
            found += [Identity(key, one, tuple(others)) for one in known if _public(one) == own]
    if not found:
        raise FormatError("mail.key", key_name, "no private key of this file belongs to a certificate of the other")
    return tuple(found)


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
