"""What proves who somebody is: tokens of providers and tools, and whatever the router sealed itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache

import orjson
from fuzz.mutators import json, raw, words
from fuzz.registry import Target, register
from joserfc import jws
from joserfc.jwk import ECKey, KeySet

from router.dossier.api.cursors import PLACE as CURSOR_PLACE, read as read_cursor
from router.dossier.api.outcomes import Refused
from router.dossier.tools.assertions import WrongAssertion, check_assertion, claimed_tool
from router.dossier.tools.tokens import WrongUser, users_of
from router.journal.sealing import KeyFault, Sealer
from router.web.oidc.faults import OidcFault
from router.web.oidc.tokens import (
    Expected,
    KeyNotFound,
    check_id_token,
    check_logout_token,
    check_userinfo,
    header_of,
    verified,
)

NOW = 1_772_700_000


@cache
def _key() -> ECKey:
    return ECKey.generate_key("P-256", {"kid": "1"}, auto_kid=False)


def _sign(claims: bytes) -> str:
    return jws.serialize_compact({"alg": "ES256", "kid": "1"}, claims, _key())


def _oidc_claims(content: bytes) -> None:
    """Sign whatever claims: a provider that is honest about its key, and odd about all else."""
    keys = KeySet([_key()])
    claims = verified(_sign(content), keys, ["ES256"])
    expected = Expected(
        "https://sso.example", "passerelle", ["ES256"], NOW, acr=("eidas2",), max_age=60, acr_optional=True
    )
    refused = None
    for check in (
        lambda: check_id_token(claims, expected, nonce="n", access_token="a", algorithm="ES256"),
        lambda: check_userinfo(claims, "s", signed=True, expected=expected),
        lambda: check_logout_token(claims, expected),
    ):
        try:
            check()
        except OidcFault as fault:
            refused = fault
    if refused is not None:
        raise refused


def _claims() -> Sequence[bytes]:
    common = {"iss": "https://sso.example", "aud": "passerelle", "iat": NOW, "exp": NOW + 60, "sub": "s", "nonce": "n"}
    event = {"http://schemas.openid.net/event/backchannel-logout": {}}
    return (
        orjson.dumps({**common, "acr": "eidas2", "auth_time": NOW, "at_hash": "x"}),
        orjson.dumps({**{k: v for k, v in common.items() if k != "nonce"}, "events": event, "jti": "1", "sid": "1"}),
    )


register(Target("oidc-claims", _oidc_claims, _claims, (json, raw), (OidcFault, KeyNotFound)))


def _oidc_token(content: bytes) -> None:
    token = content.decode("utf-8", "replace")
    header_of(token)
    verified(token, KeySet([_key()]), ["ES256", "RS256", "none"])


def _tokens() -> Sequence[bytes]:
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=") + b"." + base64.urlsafe_b64encode(b"{}") + b"."
    deep = base64.urlsafe_b64encode(b"[" * 20_000).rstrip(b"=") + b".e30.x"
    return (*(_sign(one).encode() for one in _claims()), unsigned, deep)


register(
    Target(
        "oidc-token",
        _oidc_token,
        _tokens,
        (words(b".", b"=", b"e30", b"ey", b"\xc3\xa9"), raw),
        (OidcFault, KeyNotFound),
    )
)


def _assertion_claims(content: bytes) -> None:
    """A tool of ours that signs rightly, and says anything."""
    token = _sign(content)
    public = orjson.dumps({"keys": [_key().as_dict(private=False), {"kid": "1", "kty": "RSA", "n": "AQ", "e": "é"}, 3]})
    check_assertion(token, claimed_tool(token), public.decode(), ("https://a/oauth/token",), NOW)


def _assertions() -> Sequence[bytes]:
    return (
        orjson.dumps({"iss": "spico", "sub": "spico", "aud": "https://a/oauth/token", "exp": NOW + 60, "jti": "1"}),
    )


register(Target("tool-assertion", _assertion_claims, _assertions, (json, raw), (WrongAssertion,)))


def _assertion_token(content: bytes) -> None:
    token = content.decode("utf-8", "replace")
    key_set = orjson.dumps({"keys": [_key().as_dict(private=False)]}).decode()
    check_assertion(token, claimed_tool(token), key_set, ("https://a/oauth/token",), NOW)


register(Target("tool-token", _assertion_token, _tokens, (words(b".", b"=", b"e30"), raw), (WrongAssertion,)))
register(
    Target(
        "users",
        lambda content: users_of(content.decode("utf-8", "replace")),
        lambda: (b"https://rpps.esante.gouv.fr|89900000001", b"899700000017"),
        (words(b"|", b",", b"urn:oid:", b"\0"), raw),
        (WrongUser,),
    )
)


@cache
def _sealer() -> Sealer:
    return Sealer(b"k" * 32)


def _cursor(content: bytes) -> None:
    read_cursor(_sealer(), content.decode("utf-8", "replace"), "Patient", "r", NOW)


register(
    Target(
        "cursors", _cursor, lambda: (base64.urlsafe_b64encode(_sealer().seal(b"[]", CURSOR_PLACE)),), (raw,), (Refused,)
    )
)


def _opened(content: bytes) -> None:
    _sealer().open(content, CURSOR_PLACE)


register(Target("sealed", _opened, lambda: (_sealer().seal(b"TESTROSE" * 9, CURSOR_PLACE),), (raw,), (KeyFault,)))
