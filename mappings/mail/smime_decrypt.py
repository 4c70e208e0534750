"""Decryption of S/MIME (RFC 5652 §6, RFC 8551): RSA for the content key, AES or triple DES for the content.

Why a mail cannot be decrypted is said in one of a few sentences: which key it is for, or that the content is damaged.
What exactly went wrong inside is not, since a sender could learn from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from asn1crypto import cms, core
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, padding as block_padding
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509 import ExtensionNotFound, SubjectKeyIdentifier

from mappings.contracts import FormatError
from mappings.mail.smime_keys import Identity

UNDECIPHERED = "mail.decryption.failed"
"""Code of the Finding for which the router holds a whole message: nobody here can read it."""

_AES = frozenset({"aes128_cbc", "aes192_cbc", "aes256_cbc"})
_GCM = frozenset({"aes128_gcm", "aes192_gcm", "aes256_gcm"})
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, IndexError, UnsupportedAlgorithm, InvalidTag)
"""What asn1crypto and cryptography raise on contents that are not what they say."""
_MOST_TRIED = 20
_ENVELOPES = frozenset({"enveloped_data", "authenticated_enveloped_data"})


class _GcmParameters(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    """Parameters of AES-GCM (RFC 5084 §3.2), which asn1crypto does not know."""

    _fields: ClassVar[list[tuple[Any, ...]]] = [
        ("nonce", core.OctetString),
        ("length", core.Integer, {"default": 12}),
    ]


def is_enveloped(content: bytes) -> bool:
    """Say whether a content is encrypted in the way of CMS."""
    try:
        return cms.ContentInfo.load(content)["content_type"].native in _ENVELOPES
    except (ValueError, TypeError, KeyError):
        return False


def decrypt(content: bytes, identities: Sequence[Identity]) -> bytes:
    """Decrypt a CMS content with whichever key it is for. Raises FormatError `mail.decryption.failed`."""
    if not identities:
        raise FormatError(UNDECIPHERED, "", "the mail is encrypted, and no key is configured (smime_key)")
    try:
        info = cms.ContentInfo.load(content)
        envelope, authenticated = info["content"], info["content_type"].native == "authenticated_enveloped_data"
        chosen = _recipients(envelope, identities)
    except _MALFORMED:
        raise FormatError(UNDECIPHERED, "", "the encrypted layer is damaged") from None
    if not chosen:
        message = "the mail is encrypted for other certificates than the ones that are configured"
        raise FormatError(UNDECIPHERED, "", message)
    for recipient, identity in chosen:
        try:
            key = _content_key(recipient, identity)
            return _authenticated(envelope, key) if authenticated else _content(envelope["encrypted_content_info"], key)
        except _MALFORMED:
            continue
    raise FormatError(UNDECIPHERED, "", "the encrypted content is damaged, or encrypted in a way that is not supported")


def _recipients(envelope: Any, identities: Sequence[Identity]) -> list[tuple[Any, Identity]]:
    """Give each key that the content key is encrypted for, with where it stands."""
    found: list[tuple[Any, Identity]] = []
    for info in envelope["recipient_infos"]:
        if info.name != "ktri":
            continue
        recipient = info.chosen
        found += [(recipient, one) for one in identities if _is_for(recipient["rid"], one)]
    return found[:_MOST_TRIED]


def _is_for(rid: Any, identity: Identity) -> bool:
    certificate = identity.certificate
    if rid.name == "issuer_and_serial_number":
        serial = rid.chosen["serial_number"].native == certificate.serial_number
        return bool(serial and rid.chosen["issuer"].dump() == certificate.issuer.public_bytes())
    try:
        known = certificate.extensions.get_extension_for_class(SubjectKeyIdentifier).value.digest
    except (ExtensionNotFound, ValueError):
        return False
    return bool(rid.chosen.native == known)


def _content_key(recipient: Any, identity: Identity) -> bytes:
    if not isinstance(identity.key, rsa.RSAPrivateKey):
        raise ValueError("a key that is transported needs RSA")
    algorithm = recipient["key_encryption_algorithm"]
    name = algorithm["algorithm"].native
    encrypted = recipient["encrypted_key"].native
    if name == "rsaes_oaep":
        hashed = str(algorithm["parameters"]["hash_algorithm"]["algorithm"].native)
        mask = str(algorithm["parameters"]["mask_gen_algorithm"]["parameters"]["algorithm"].native)
        digests: dict[str, Any] = {
            "sha1": hashes.SHA1,
            "sha256": hashes.SHA256,
            "sha384": hashes.SHA384,
            "sha512": hashes.SHA512,
        }
        scheme: Any = padding.OAEP(padding.MGF1(digests[mask]()), digests[hashed](), None)
    else:
        scheme = padding.PKCS1v15()
    return identity.key.decrypt(encrypted, scheme)


def _content(info: Any, key: bytes) -> bytes:
    algorithm = info["content_encryption_algorithm"]
    name, start = algorithm["algorithm"].native, algorithm.encryption_iv
    encrypted = info["encrypted_content"].native
    if name in _AES:
        cipher: Cipher[modes.CBC] = Cipher(algorithms.AES(key), modes.CBC(start))
        unpad = block_padding.PKCS7(128).unpadder()
    elif name == "tripledes_3key":
        cipher = Cipher(TripleDES(key), modes.CBC(start))
        unpad = block_padding.PKCS7(64).unpadder()
    else:
        raise ValueError("another cipher")
    decryptor = cipher.decryptor()
    padded = decryptor.update(encrypted) + decryptor.finalize()
    return unpad.update(padded) + unpad.finalize()


def _authenticated(envelope: Any, key: bytes) -> bytes:
    """Decrypt AuthEnvelopedData (RFC 5083) with AES-GCM (RFC 5084)."""
    info = envelope["auth_encrypted_content_info"]
    algorithm = info["content_encryption_algorithm"]
    if algorithm["algorithm"].native not in _GCM:
        raise ValueError("another cipher")
    nonce = _GcmParameters.load(algorithm["parameters"].dump())["nonce"].native
    attributes = envelope["auth_attrs"]
    beside = b"\x31" + attributes.dump()[1:] if attributes.native else None
    return AESGCM(key).decrypt(nonce, info["encrypted_content"].native + envelope["mac"].native, beside)
