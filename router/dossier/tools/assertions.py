"""Signed assertions by which a tool proves who it is: private_key_jwt (RFC 7523, OpenID Connect Core §9).

Only asymmetric signatures: RS256, RS384, PS256, PS384, ES256, ES384. The signature is checked with `cryptography`.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm

LONGEST_LIFE = 300
"""Seconds for which an assertion may be valid."""

SKEW = 60
"""Seconds by which clocks may differ."""

_HASHES: dict[str, type[HashAlgorithm]] = {"256": SHA256, "384": SHA384}
_CURVES: dict[str, tuple[ec.EllipticCurve, int]] = {"ES256": (ec.SECP256R1(), 32), "ES384": (ec.SECP384R1(), 48)}
_NAMES = {"P-256": "ES256", "P-384": "ES384"}


class WrongAssertion(Exception):
    """An assertion that proves nothing."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a good assertion says: its own id, and until when it is good (seconds since the epoch)."""

    id: str
    expires_at: int


def claimed_tool(assertion: str) -> str:
    """Give the tool that an assertion claims to be from; it proves nothing yet. Raises WrongAssertion."""
    subject = _part(assertion, 1).get("sub")
    if not isinstance(subject, str):
        raise WrongAssertion
    return subject


def check_assertion(assertion: str, tool: str, key_set: str, audiences: tuple[str, ...], now: float) -> Assertion:
    """Check signature, issuer, audience and times. Raises WrongAssertion."""
    header, claims = _part(assertion, 0), _part(assertion, 1)
    if claims.get("iss") != tool or claims.get("sub") != tool:
        raise WrongAssertion
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not any(one in audiences for one in named):
        raise WrongAssertion
    ends, begins, own = claims.get("exp"), claims.get("nbf", 0), claims.get("jti")
    if not isinstance(ends, int | float) or not isinstance(begins, int | float) or not isinstance(own, str) or not own:
        raise WrongAssertion
    if ends < now - SKEW or ends > now + LONGEST_LIFE + SKEW or begins > now + SKEW:
        raise WrongAssertion
    algorithm, wanted = header.get("alg"), header.get("kid")
    keys = [key for key in orjson.loads(key_set)["keys"] if isinstance(key, dict)]
    keys = [key for key in keys if wanted is None or key.get("kid") == wanted]
    if not isinstance(algorithm, str) or not any(_is_signed(assertion, algorithm, key) for key in keys):
        raise WrongAssertion
    return Assertion(own, int(ends))


def _part(assertion: str, place: int) -> dict[str, object]:
    parts = assertion.split(".")
    if len(parts) != 3 or len(assertion) > 8000:
        raise WrongAssertion
    try:
        found = orjson.loads(_bytes(parts[place]))
    except ValueError:
        raise WrongAssertion from None
    if not isinstance(found, dict):
        raise WrongAssertion
    return found


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise WrongAssertion
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise WrongAssertion from None


def _is_signed(assertion: str, algorithm: str, key: dict[str, object]) -> bool:
    signed, _, last = assertion.rpartition(".")
    signature = _bytes(last)
    kind, digest = algorithm[:2], _HASHES.get(algorithm[2:])
    if digest is None or key.get("alg", algorithm) != algorithm:
        return False
    try:
        if kind in {"RS", "PS"} and key.get("kty") == "RSA":
            public = rsa.RSAPublicNumbers(_number(key.get("e")), _number(key.get("n"))).public_key()
            if public.key_size < 2048:
                return False
            scheme = (
                padding.PKCS1v15() if kind == "RS" else padding.PSS(padding.MGF1(digest()), padding.PSS.DIGEST_LENGTH)
            )
            public.verify(signature, signed.encode(), scheme, digest())
            return True
        if kind == "ES" and key.get("kty") == "EC" and _NAMES.get(str(key.get("crv"))) == algorithm:
            curve, size = _CURVES[algorithm]
            if len(signature) != 2 * size:
                return False
            point = ec.EllipticCurvePublicNumbers(_number(key.get("x")), _number(key.get("y")), curve).public_key()
            pair = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
            point.verify(encode_dss_signature(*pair), signed.encode(), ec.ECDSA(digest()))
            return True
    except (InvalidSignature, ValueError):
        return False
    return False


def _number(text: object) -> int:
    return int.from_bytes(_bytes(text), "big")
