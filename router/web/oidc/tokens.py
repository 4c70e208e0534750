"""Checking what a provider signed: ID tokens (OpenID Connect Core 3.1.3.7), userinfo, back-channel logout tokens.

Pure: keys, time and expectations are given. Every check that fails raises an OidcFault whose code names it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from router.web.oidc.faults import OidcFault

Claims = Mapping[str, Any]

LEEWAY = 60
"""Seconds that the provider's clock may be off."""

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_LIFE = 300
"""Seconds after which a logout token is too old, whatever it says itself."""


class KeyNotFound(Exception):
    """The token names a key that is not in the set: the provider may have rotated its keys."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a provider's tokens must say. `now` is seconds."""

    issuer: str
    client_id: str
    algorithms: Sequence[str]
    now: int
    acr: Sequence[str] = ()
    max_age: int | None = None
    acr_optional: bool = False


def verified(token: str, keys: KeySet, algorithms: Sequence[str]) -> Claims:
    """Give the claims of a signed token. Raises KeyNotFound, or OidcFault `alg`, `key` or `signature`."""
    header = header_of(token)
    if header.get("alg") not in algorithms:
        raise OidcFault("alg")
    kid = header.get("kid")
    if kid is not None and all(key.kid != kid for key in keys.keys):
        raise KeyNotFound
    if kid is None and len(keys.keys) > 1:
        raise OidcFault("key")
    try:
        # Only this algorithm: a key of the set is never used for another.
        return jwt.decode(token, keys, algorithms=[str(header["alg"])]).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        raise OidcFault("signature") from None


def header_of(token: str) -> Claims:
    """Give the header of a signed token, which nobody vouches for yet. Raises OidcFault `malformed`."""
    try:
        first, _, _ = token.split(".")
        header = orjson.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except (ValueError, UnicodeError):
        raise OidcFault("malformed") from None
    if not isinstance(header, dict) or "crit" in header:
        raise OidcFault("malformed")
    return header


def check_id_token(claims: Claims, expected: Expected, *, nonce: str, access_token: str, algorithm: str) -> str:
    """Check an ID token's claims, and give its `sub`. Raises OidcFault, whose code is the claim that is wrong."""
    _check_common(claims, expected)
    expires = claims.get("exp")
    if not _is_time(expires) or expires <= expected.now - LEEWAY:
        raise OidcFault("exp")
    said = claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise OidcFault("nonce")
    unstated = expected.acr_optional and "acr" not in claims
    if expected.acr and not unstated and claims.get("acr") not in expected.acr:
        raise OidcFault("acr")
    if expected.max_age is not None:
        since = claims.get("auth_time")
        if not _is_time(since) or expected.now - since > expected.max_age + LEEWAY:
            raise OidcFault("auth_time")
    half = claims.get("at_hash")
    if half is not None and half != half_hash(access_token, algorithm):
        raise OidcFault("at_hash")
    return _subject(claims)


def check_userinfo(claims: Claims, subject: str, *, signed: bool, expected: Expected) -> Claims:
    """Check that userinfo is about the same person (Core 5.3.2, 5.3.4). Raises OidcFault `userinfo`."""
    if claims.get("sub") != subject:
        raise OidcFault("userinfo")
    if signed and (claims.get("iss", expected.issuer) != expected.issuer or not _is_for(claims, expected, must=False)):
        raise OidcFault("userinfo")
    return claims


def check_logout_token(claims: Claims, expected: Expected) -> tuple[str, str]:
    """Check a logout token (Back-Channel Logout 2.6); gives `sid` and `sub`, one of which may be empty."""
    _check_common(claims, expected)
    if claims["iat"] < expected.now - LOGOUT_LIFE:
        raise OidcFault("iat")
    expires = claims.get("exp")
    if expires is not None and (not _is_time(expires) or expires <= expected.now - LEEWAY):
        raise OidcFault("exp")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise OidcFault("events")
    if "nonce" in claims:
        raise OidcFault("nonce")
    sid, sub = claims.get("sid", ""), claims.get("sub", "")
    if not isinstance(sid, str) or not isinstance(sub, str) or not (sid or sub):
        raise OidcFault("sub")
    return sid, sub


def half_hash(text: str, algorithm: str) -> str:
    """Give the left half of a digest, as `at_hash` has it (Core 3.1.3.6)."""
    chosen: Callable[[bytes], Any] = {"384": hashlib.sha384, "512": hashlib.sha512}.get(algorithm[-3:], hashlib.sha256)
    if algorithm == "EdDSA":
        chosen = hashlib.sha512
    whole = chosen(text.encode("ascii", "replace")).digest()
    return base64.urlsafe_b64encode(whole[: len(whole) // 2]).rstrip(b"=").decode()


def _check_common(claims: Claims, expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise OidcFault("iss")
    if not _is_for(claims, expected, must=True):
        raise OidcFault("aud")
    issued = claims.get("iat")
    if not _is_time(issued) or issued > expected.now + LEEWAY:
        raise OidcFault("iat")


def _is_for(claims: Claims, expected: Expected, *, must: bool) -> bool:
    """Whether the audience is this client and nobody else, or another one that names this client as its party."""
    audience = claims.get("aud")
    if audience is None:
        return not must
    listed = [audience] if isinstance(audience, str) else audience
    if not isinstance(listed, list) or expected.client_id not in listed:
        return False
    party = claims.get("azp")
    return party == expected.client_id if party is not None else len(listed) == 1


def _is_time(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _subject(claims: Claims) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise OidcFault("sub")
    return subject
