"""Signing and encrypting what we write (RFC 5652, RFC 8551): signed first, then encrypted, as HPRIM.Net does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from asn1crypto import algos, cms, core, x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7EnvelopeBuilder, PKCS7Options

from mappings.contracts import FormatError
from mappings.mail.composing import CRLF, Body, encoded, multipart
from mappings.mail.smime_keys import Identity, certificates, identities

_NAMED = 'name="{0}"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="{0}"'


def protected(body: Body, keys: Mapping[str, bytes], password: str, name: str, now: datetime) -> Body:
    """Sign and encrypt a mail's body with whatever keys are given; without any it comes back as it is.

    A signature with an RSA key is the same for the same `now`. An encrypted content never is: its key is drawn anew.
    Raises FormatError `mail.key` for keys that cannot be used.
    """
    signers = identities(keys, "sign_key", "sign_certificate", password)
    if signers:
        body = _signed(body, signers[0], name, now)
    receivers = certificates(keys, "encrypt_for")
    return _encrypted(body, receivers) if receivers else body


def _signed(body: Body, signer: Identity, name: str, now: datetime) -> Body:
    entity = body.whole
    signature = _named_part("application/pkcs7-signature", "smime.p7s", _signed_data(entity, signer, now))
    parameters = ' protocol="application/pkcs7-signature"; micalg=sha-256;'
    return multipart("signed", [entity, signature], f"{name}|signed", parameters)


def _named_part(media_type: str, filename: str, content: bytes) -> bytes:
    fields = f"Content-Type: {media_type}; " + _NAMED.format(filename)
    return fields.encode("ascii") + CRLF + CRLF + encoded(content)


def _signed_data(entity: bytes, signer: Identity, now: datetime) -> bytes:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(entity)
    moment = now.astimezone(UTC).replace(microsecond=0)
    attributes = cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": ["data"]}),
            cms.CMSAttribute({"type": "signing_time", "values": [cms.Time({"utc_time": core.UTCTime(moment)})]}),
            cms.CMSAttribute({"type": "message_digest", "values": [digest.finalize()]}),
        ]
    )
    # DER orders a SET by its members' bytes; what is signed and what is sent must be the same order.
    ordered = cms.CMSAttributes(sorted(attributes, key=lambda one: bytes(one.dump())))
    key = signer.key
    if isinstance(key, rsa.RSAPrivateKey):
        algorithm = "rsassa_pkcs1v15"
        signature = key.sign(ordered.dump(), padding.PKCS1v15(), hashes.SHA256())
    else:
        algorithm = "sha256_ecdsa"
        signature = key.sign(ordered.dump(), ec.ECDSA(hashes.SHA256()))
    own = signer.certificate
    serial = cms.IssuerAndSerialNumber(
        {"issuer": asn1_x509.Name.load(own.issuer.public_bytes()), "serial_number": own.serial_number}
    )
    info = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier(name="issuer_and_serial_number", value=serial),
            "digest_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
            "signed_attrs": ordered,
            "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": algorithm}),
            "signature": signature,
        }
    )
    bag = [asn1_x509.Certificate.load(one.public_bytes(Encoding.DER)) for one in (own, *signer.chain)]
    signed = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [algos.DigestAlgorithm({"algorithm": "sha256"})],
            "encap_content_info": {"content_type": "data"},
            "certificates": bag,
            "signer_infos": [info],
        }
    )
    return bytes(cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump())


def _encrypted(body: Body, receivers: tuple[x509.Certificate, ...]) -> Body:
    builder = PKCS7EnvelopeBuilder().set_data(body.whole).set_content_encryption_algorithm(algorithms.AES256)
    for one in receivers:
        if not isinstance(one.public_key(), rsa.RSAPublicKey):
            raise FormatError("mail.key", "encrypt_for", "a mail can be encrypted for certificates with RSA keys only")
        builder = builder.add_recipient(one)
    content = builder.encrypt(Encoding.DER, [PKCS7Options.Binary])
    fields = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data;\r\n " + _NAMED.format("smime.p7m")
    return Body(fields.encode("ascii"), encoded(content))
