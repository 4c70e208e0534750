"""An OpenID provider of a few lines, in this process: signs what a test wants, well or badly."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

from router.web.oidc.tokens import half_hash

ISSUER = "https://sso.example.test/realms/ch"
CLIENT = "passerelle"


@dataclass
class FakeProvider:
    """Answers as a provider does. `claims` change the ID token, `None` takes one out; `changes` the metadata."""

    now: list[int]
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"}))
    alg: str = "RS256"
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: Any = field(default_factory=lambda: {"sub": "s-1", "groups": ["passerelle-ops"]})
    changes: dict[str, Any] = field(default_factory=dict)
    published: list[RSAKey] | None = None
    token_status: int = 200
    asked: list[httpx.Request] = field(default_factory=list)
    nonce: str = ""
    challenge: str = ""
    userinfo_jwt: bool = False
    encoded: str | None = None

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        path = request.url.path.rsplit("/", 1)[-1]
        if path == "openid-configuration":
            return httpx.Response(200, json=self.metadata())
        if path == "certs":
            keys = self.published if self.published is not None else [self.key]
            return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in keys]})
        if path == "token":
            form = parse_qs(request.content.decode())
            digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
            assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == self.challenge
            return httpx.Response(self.token_status, json={"id_token": self.id_token(), "access_token": "at"})
        assert path == "userinfo"
        assert request.headers["authorization"] == "Bearer at"
        if self.userinfo_jwt:
            signed = jwt.encode({"alg": "RS256", "kid": "k1"}, self.userinfo, self.key)
            return httpx.Response(200, text=signed, headers={"Content-Type": "application/jwt"})
        return httpx.Response(200, json=self.userinfo)

    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = {"issuer": ISSUER}
        for name, path in (
            ("authorization", "auth"),
            ("token", "token"),
            ("userinfo", "userinfo"),
            ("end_session", "logout"),
        ):
            found[f"{name}_endpoint"] = f"{ISSUER}/protocol/{path}"
        return {**found, "jwks_uri": f"{ISSUER}/protocol/certs", **self.changes}

    def begun(self, location: str) -> str:
        """Take note of what a browser was sent with, and give its `state`."""
        asked = parse_qs(urlsplit(location).query)
        assert asked["code_challenge_method"] == ["S256"]
        self.nonce, self.challenge = asked["nonce"][0], asked["code_challenge"][0]
        return asked["state"][0]

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode({"alg": self.alg, "kid": "k1", **header}, claims, self.key, algorithms=[self.alg])

    def id_token(self) -> str:
        if self.encoded is not None:
            return self.encoded
        now = self.now[0] // 1_000_000
        made = {
            "iss": ISSUER,
            "aud": CLIENT,
            "sub": "s-1",
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce,
            "sid": "session-1",
            "at_hash": half_hash("at", "RS256"),
            "preferred_username": "camille.fictive@ch.example",
            **self.claims,
        }
        return self.signed({name: value for name, value in made.items() if value is not None})
