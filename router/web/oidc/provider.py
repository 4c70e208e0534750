"""One provider as this router talks to it: its metadata and keys, kept for a while; the code exchanged; who it is.

Whatever a provider answers is bounded in time and size, and a redirection is never followed.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey, import_key

from connectors.tls import ClientTls
from router.config.oidc import OidcSection
from router.web.oidc.faults import OidcFault
from router.web.oidc.tokens import (
    Claims,
    Expected,
    KeyNotFound,
    check_id_token,
    check_logout_token,
    check_userinfo,
    header_of,
    verified,
)

log = logging.getLogger("passerelle.web.oidc")

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
LARGEST = 512 * 1024
METADATA_SECONDS = 3600.0
KEYS_SECONDS = 900.0
REFETCH_SECONDS = 10.0
"""Keys are asked for again when a token names one that is not known, but not more often than this."""

ASSERTION_SECONDS = 60

Http = Callable[[], httpx.AsyncClient]


@dataclass(frozen=True, slots=True)
class Began:
    """A signing-in that was begun: where to send the browser, and what must come back."""

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Known:
    """Who signed in: `subject` at the issuer, with the claims of the ID token and of userinfo together."""

    issuer: str
    subject: str
    claims: Claims
    id_token: str
    sid: str


@dataclass
class _Kept:
    value: Any = None
    at: float = field(default=-1e9)


class Provider:
    """A configured provider. `now` is seconds since the epoch; `clock` only measures how old what is kept is."""

    def __init__(
        self,
        name: str,
        section: OidcSection,
        folder: Path,
        *,
        now: Callable[[], int],
        http: Http | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.section = section
        self._folder = folder
        self._now = now
        self._clock = clock
        self._http = http or self._open
        self._metadata = _Kept()
        self._keys = _Kept()

    def _open(self) -> httpx.AsyncClient:
        ca = self._folder / self.section.authorities if self.section.authorities else None
        verify = ClientTls(ca=ca, cert=None, key=None, key_password=None, server_name=None).context()
        return httpx.AsyncClient(verify=verify, timeout=TIMEOUT, follow_redirects=False, trust_env=False)

    async def begin(self, redirect_uri: str) -> Began:
        """Begin a signing-in (RFC 6749 with PKCE, RFC 7636). Raises OidcFault `unreachable`."""
        metadata = await self.metadata()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self.section.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.section.scope),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if self.section.acr_values:
            asked["acr_values"] = " ".join(self.section.acr_values)
        if self.section.max_age is not None:
            asked["max_age"] = str(self.section.max_age)
        return Began(_with(_endpoint(metadata, "authorization_endpoint"), asked), state, nonce, verifier)

    async def check_issuer(self, said: str | None) -> None:
        """Check that an answer comes from this provider (RFC 9207). Raises OidcFault `mix-up`."""
        metadata = await self.metadata()
        promised = metadata.get("authorization_response_iss_parameter_supported") is True
        if (said is None and promised) or (said is not None and said != self.section.issuer):
            raise OidcFault("mix-up")

    async def finish(self, code: str, *, nonce: str, verifier: str, redirect_uri: str) -> Known:
        """Exchange a code, check what comes, and say who it is. Raises OidcFault."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        answer = await self._token(form)
        id_token, access_token = answer.get("id_token"), answer.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access_token, str):
            raise OidcFault("token")
        claims = await self._verified(id_token)
        expected = self._expected()
        algorithm = str(header_of(id_token).get("alg"))
        subject = check_id_token(claims, expected, nonce=nonce, access_token=access_token, algorithm=algorithm)
        more = await self._userinfo(access_token, subject, expected) if self.section.userinfo else {}
        sid = claims.get("sid")
        return Known(self.section.issuer, subject, {**more, **claims}, id_token, sid if isinstance(sid, str) else "")

    async def logged_out(self, token: str) -> tuple[str, str]:
        """Check a back-channel logout token; gives `sid` and `sub`. Raises OidcFault."""
        return check_logout_token(await self._verified(token), self._expected())

    async def leaving(self, id_token: str, back: str) -> str | None:
        """Give the address that ends the session at the provider, None where it offers none."""
        metadata = await self.metadata()
        if "end_session_endpoint" not in metadata:
            return None
        asked = {"id_token_hint": id_token, "client_id": self.section.client_id, "post_logout_redirect_uri": back}
        return _with(_endpoint(metadata, "end_session_endpoint"), asked)

    async def metadata(self) -> Mapping[str, Any]:
        """Give the provider's metadata (Discovery 4), asked for once an hour. Raises OidcFault `unreachable`."""
        if self._clock() - self._metadata.at > METADATA_SECONDS:
            address = self.section.metadata or self.section.issuer.rstrip("/") + "/.well-known/openid-configuration"
            found = _json(await self._ask("GET", address))
            if found.get("issuer") != self.section.issuer:
                raise OidcFault("issuer", "unreachable")
            self._metadata = _Kept(found, self._clock())
        kept: Mapping[str, Any] = self._metadata.value
        return kept

    async def _verified(self, token: str) -> Claims:
        try:
            return verified(token, await self._key_set(KEYS_SECONDS), self.section.algorithms)
        except KeyNotFound:
            try:
                return verified(token, await self._key_set(REFETCH_SECONDS), self.section.algorithms)
            except KeyNotFound:
                raise OidcFault("key") from None

    async def _key_set(self, oldest: float) -> KeySet:
        if self._clock() - self._keys.at > oldest:
            address = _endpoint(await self.metadata(), "jwks_uri")
            found = _json(await self._ask("GET", address)).get("keys")
            usable = []
            for one in found if isinstance(found, list) else []:
                try:
                    # Keys for encryption, or of a kind that is not known, are not ours to use.
                    if one.get("use", "sig") == "sig" and one.get("kty") in {"RSA", "EC", "OKP"}:
                        usable.append(import_key(one))
                except (JoseError, ValueError, TypeError, AttributeError) as problem:
                    log.warning("a key of provider %s cannot be used (%s)", self.name, type(problem).__name__)
            if not usable:
                raise OidcFault("keys", "unreachable")
            self._keys = _Kept(KeySet(usable), self._clock())
        kept: KeySet = self._keys.value
        return kept

    async def _userinfo(self, access_token: str, subject: str, expected: Expected) -> Claims:
        address = _endpoint(await self.metadata(), "userinfo_endpoint")
        answer = await self._ask("GET", address, headers={"Authorization": f"Bearer {access_token}"})
        signed = answer.headers.get("Content-Type", "").split(";")[0].strip() == "application/jwt"
        claims = await self._verified(answer.text.strip()) if signed else _json(answer)
        return check_userinfo(claims, subject, signed=signed, expected=expected)

    async def _token(self, form: dict[str, str]) -> Mapping[str, Any]:
        address, section = _endpoint(await self.metadata(), "token_endpoint"), self.section
        headers: dict[str, str] = {}
        secret = section.client_secret.get_secret_value() if section.client_secret is not None else ""
        if section.authentication == "client_secret_basic":
            # RFC 6749 2.3.1: each half is form-encoded before it is put together.
            pair = f"{quote(section.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif section.authentication == "client_secret_post":
            form = {**form, "client_id": section.client_id, "client_secret": secret}
        else:
            form = {
                **form,
                "client_id": section.client_id,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self._assertion(address),
            }
        return _json(await self._ask("POST", address, data=form, headers=headers, refused="exchange"))

    def _assertion(self, audience: str) -> str:
        """Sign who we are (RFC 7523), for a minute and once."""
        try:
            pem = (self._folder / self.section.client_key).read_bytes()
        except OSError:
            raise OidcFault("client_key", "unreachable") from None
        key, algorithm = _private_key(pem)
        header = {"alg": algorithm, **({"kid": self.section.client_key_id} if self.section.client_key_id else {})}
        now, name = self._now(), self.section.client_id
        claims = {
            "iss": name,
            "sub": name,
            "aud": audience,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": secrets.token_urlsafe(16),
        }
        return jwt.encode(header, claims, key, algorithms=[algorithm])

    async def _ask(self, method: str, address: str, *, refused: str = "", **more: Any) -> httpx.Response:
        try:
            async with self._http() as client, client.stream(method, address, **more) as answer:
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > LARGEST:
                        raise OidcFault("too large", "unreachable")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as problem:
            log.warning("provider %s does not answer (%s)", self.name, type(problem).__name__)
            raise OidcFault("unreachable", "unreachable") from None
        if answer.status_code != 200:
            log.warning("provider %s answered %d", self.name, answer.status_code)
            refusal = bool(refused) and 400 <= answer.status_code < 500
            raise OidcFault(refused if refusal else "unreachable", "denied" if refusal else "unreachable")
        return httpx.Response(200, headers={"Content-Type": answer.headers.get("Content-Type", "")}, content=body)

    def _expected(self) -> Expected:
        section = self.section
        return Expected(
            section.issuer,
            section.client_id,
            section.algorithms,
            self._now(),
            section.acr_values,
            section.max_age,
            section.acr_optional,
        )


def _private_key(pem: bytes) -> tuple[RSAKey | ECKey, str]:
    try:
        return RSAKey.import_key(pem), "RS256"
    except (JoseError, ValueError, TypeError):
        pass  # not a key of RSA: then of an elliptic curve
    try:
        key = ECKey.import_key(pem)
        return key, {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[key.curve_name]
    except (JoseError, ValueError, TypeError, KeyError):
        raise OidcFault("client_key", "unreachable") from None


def _endpoint(metadata: Mapping[str, Any], name: str) -> str:
    address = metadata.get(name)
    parts = urlsplit(address) if isinstance(address, str) else None
    if parts is None or not (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"})
    ):
        raise OidcFault(name, "unreachable")
    return str(address)


def _with(address: str, asked: Mapping[str, str]) -> str:
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(asked)}"


def _json(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        found = orjson.loads(answer.content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise OidcFault("not json", "unreachable")
    return found
