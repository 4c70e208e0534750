"""Signatures of S/MIME: the very bytes that were signed, who signed them, and whether that one is to be believed.

RFC 5652 (CMS), RFC 8551 (S/MIME). Three things are looked at apart, because they fail apart: the digest and signature
(the mail is what was signed), the chain to an authority that is trusted, and the address (the signer is the sender).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from asn1crypto import cms
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_WEAK = frozenset({"sha1"})
_LONGEST_CHAIN = 8
_PURPOSES = frozenset({ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


class Verdict(StrEnum):
    """What a signature is worth, the worst first."""

    BROKEN = "broken"
    UNTRUSTED = "untrusted"
    EXPIRED = "expired"
    UNCHECKED = "unchecked"
    GOOD = "good"


class Signature(NamedTuple):
    """A checked signature: `addresses` are those of the signer's certificate; `weak` names an outdated digest."""

    verdict: Verdict
    addresses: frozenset[str] = frozenset()
    weak: str | None = None


_BROKEN = Signature(Verdict.BROKEN)


def signed_data(content: bytes) -> Any | None:
    """Read a CMS SignedData; None when the content is something else."""
    try:
        info = cms.ContentInfo.load(content)
        return info["content"] if info["content_type"].native == "signed_data" else None
    except (ValueError, TypeError, KeyError):
        return None


def verify(signed: Any, message: bytes, trust: Sequence[x509.Certificate], at: datetime | None) -> Signature:
    """Check every signer of a SignedData over the bytes that it signs; the worst verdict counts.

    `at` is when the mail was received: certificates must be valid then. Without anchors in `trust`, nobody can say who
    signed (`unchecked`).
    """
    try:
        signers = list(signed["signer_infos"])
        bag = _bag(signed)
        checked = [_check(one, message, bag, trust, at) for one in signers]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, UnsupportedAlgorithm):
        return _BROKEN  # asn1crypto reads lazily: what is malformed shows when it is looked at
    order = list(Verdict)
    return min(checked, key=lambda one: order.index(one.verdict), default=_BROKEN)


def _bag(signed: Any) -> list[x509.Certificate]:
    found = signed["certificates"]
    if found.native is None:
        return []
    return [x509.load_der_x509_certificate(one.chosen.dump()) for one in list(found)[:50] if one.name == "certificate"]


def _check(
    signer: Any, message: bytes, bag: list[x509.Certificate], trust: Sequence[x509.Certificate], at: datetime | None
) -> Signature:
    certificate = _certificate_of(signer["sid"], [*bag, *trust])
    digest_name = str(signer["digest_algorithm"]["algorithm"].native)
    if certificate is None or digest_name not in _HASHES:
        return _BROKEN
    attributes = signer["signed_attrs"]
    if attributes.native:
        digest = hashes.Hash(_HASHES[digest_name]())
        digest.update(message)
        values = [one["values"][0].native for one in attributes if one["type"].native == "message_digest"]
        if values != [digest.finalize()]:
            return _BROKEN
        # What is signed is the SET, not the implicit tag that stands in its place (RFC 5652 §5.4).
        signed_bytes = b"\x31" + attributes.dump()[1:]
    else:
        signed_bytes = message
    if not _is_signed(signer, certificate, signed_bytes, digest_name):
        return _BROKEN
    addresses = _addresses(certificate)
    weak = digest_name if digest_name in _WEAK else None
    if not trust:
        return Signature(Verdict.UNCHECKED, addresses, weak)
    return Signature(_trusted(certificate, bag, trust, at), addresses, weak)


def _certificate_of(sid: Any, bag: Sequence[x509.Certificate]) -> x509.Certificate | None:
    for one in bag:
        if sid.name == "issuer_and_serial_number":
            issuer = sid.chosen["issuer"].dump()
            if one.serial_number == sid.chosen["serial_number"].native and one.issuer.public_bytes() == issuer:
                return one
        else:
            try:
                known = one.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
            except x509.ExtensionNotFound:
                continue
            if known == sid.chosen.native:
                return one
    return None


def _is_signed(signer: Any, certificate: x509.Certificate, content: bytes, digest_name: str) -> bool:
    key, signature = certificate.public_key(), signer["signature"].native
    algorithm = signer["signature_algorithm"]
    name = str(algorithm["algorithm"].native)
    digest = _HASHES[digest_name]()
    for hashed, kind in _HASHES.items():
        if name.startswith(hashed + "_"):
            digest = kind()
    try:
        if isinstance(key, rsa.RSAPublicKey) and name == "rsassa_pss":
            length = algorithm["parameters"]["salt_length"].native
            hashed = str(algorithm["parameters"]["hash_algorithm"]["algorithm"].native)
            digest = _HASHES[hashed]()
            key.verify(signature, content, padding.PSS(padding.MGF1(digest), int(length)), digest)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, content, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, content, ec.ECDSA(digest))
        else:
            return False
    except InvalidSignature:
        return False
    return True


# --- the chain


def _trusted(
    certificate: x509.Certificate, bag: list[x509.Certificate], trust: Sequence[x509.Certificate], at: datetime | None
) -> Verdict:
    """Build the chain to an anchor; each certificate above the signer's must be one of an authority."""
    if not _may_sign(certificate):
        return Verdict.UNTRUSTED
    anchors = {one.fingerprint(hashes.SHA256()) for one in trust}
    current, chain = certificate, [certificate]
    while current.fingerprint(hashes.SHA256()) not in anchors:
        issuers = (one for one in (*trust, *bag) if one.subject == current.issuer and _issued(current, one))
        above = next((one for one in issuers if one not in chain and _is_authority(one)), None)
        if above is None or len(chain) >= _LONGEST_CHAIN:
            return Verdict.UNTRUSTED
        chain.append(above)
        current = above
    if at is not None and not all(one.not_valid_before_utc <= at <= one.not_valid_after_utc for one in chain):
        return Verdict.EXPIRED
    return Verdict.GOOD


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = _extension(certificate, x509.KeyUsage)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return basic.ca and (usage is None or usage.key_cert_sign)


def _may_sign(certificate: x509.Certificate) -> bool:
    """Say whether the uses that the certificate is restricted to include signing mail."""
    try:
        purposes = _extension(certificate, x509.ExtendedKeyUsage)
        usage = _extension(certificate, x509.KeyUsage)
    except ValueError:
        return False
    for_mail = purposes is None or not _PURPOSES.isdisjoint(purposes)
    return for_mail and (usage is None or usage.digital_signature or usage.content_commitment)


def _extension(certificate: x509.Certificate, kind: type[Any]) -> Any | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _addresses(certificate: x509.Certificate) -> frozenset[str]:
    try:
        names = _extension(certificate, x509.SubjectAlternativeName)
    except ValueError:
        names = None
    found = names.get_values_for_type(x509.RFC822Name) if names is not None else []
    subject = certificate.subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS)
    return frozenset(str(one).lower() for one in (*found, *(one.value for one in subject)))
