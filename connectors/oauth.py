"""Bearer tokens from a token endpoint (OAuth 2.0 client credentials, RFC 6749 §4.4), kept until they are about to end.

The client is known by a secret (HTTP basic, RFC 6749 §2.3.1, or in the body) or by its certificate alone (mutual TLS,
RFC 8705 §2). A token endpoint that does not answer is the destination's trouble: no delivery burns its attempts on it.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from datetime import datetime, timedelta
from typing import Literal, Self
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from pydantic import AnyHttpUrl, Field, SecretStr, model_validator

from connectors.contracts import Retry, Settings
from connectors.tls import ClientTls

EARLY = timedelta(seconds=30)
"""How long before its end a token is renewed: a request may be on its way when it ends."""

UNSAID = 300
"""Seconds that a token is taken to last when the endpoint does not say (`expires_in`, RFC 6749 §5.1)."""

LONGEST = 86_400
LARGEST_ANSWER = 64 * 1024
PATIENCE = aiohttp.ClientTimeout(total=15)
OK = 200


class ClientCredentials(Settings):
    """Where tokens come from, and as whom we ask."""

    url: AnyHttpUrl = Field(description="Token endpoint.")
    client_id: str = Field(min_length=1, description="Our name there.")
    client_secret: SecretStr | None = Field(None, description="Our secret; left out where the certificate is enough.")
    scope: str | None = Field(None, description="Scopes to ask for, separated by blanks.")
    audience: str | None = Field(None, description="Audience to ask for, where the endpoint wants one.")
    send_secret: Literal["basic", "body"] = Field(
        "basic", description="Where the secret travels: HTTP basic authentication, or the body."
    )
    tls: ClientTls | None = Field(None, description="Authorities and client certificate for the token endpoint.")

    @model_validator(mode="after")
    def _can_be_known(self) -> Self:
        if self.client_secret is None and (self.tls is None or self.tls.cert is None):
            raise ValueError("give client_secret, or a client certificate in tls")
        if self.url.username or self.url.password:
            raise ValueError("credentials in the url would show in logs: use client_id and client_secret")
        return self


class Tokens:
    """The token in use. Who needs one while it is being asked for waits for the same answer."""

    def __init__(self, settings: ClientCredentials) -> None:
        self._settings = settings
        self._ssl: ssl.SSLContext | bool = settings.tls.context() if settings.tls is not None else True
        self._asking = asyncio.Lock()
        self._token: str | None = None
        self._until: datetime | None = None

    async def current(self, session: aiohttp.ClientSession, now: datetime) -> str | Retry:
        """Give a token that still holds, or the Retry that the endpoint made of it."""
        async with self._asking:
            if self._token is not None and self._until is not None and now < self._until:
                return self._token
            return await self._ask(session, now)

    def forget(self, token: str) -> None:
        """Drop a token that a peer refused, unless it was renewed meanwhile."""
        if self._token == token:
            self._token = None

    async def _ask(self, session: aiohttp.ClientSession, now: datetime) -> str | Retry:
        body, headers = self._request()
        try:
            async with session.post(
                str(self._settings.url),
                data=body,
                headers=headers,
                allow_redirects=False,
                ssl=self._ssl,
                timeout=PATIENCE,
            ) as response:
                answer = await response.content.read(LARGEST_ANSWER)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            return Retry(f"the token endpoint does not answer ({type(failure).__name__})", reached=False)
        if status != OK:
            return Retry(f"the token endpoint gives no token: HTTP {status}{_error(answer)}", reached=False)
        given = _object(answer)
        token, lasts = given.get("access_token"), given.get("expires_in", UNSAID)
        kind = given.get("token_type", "Bearer")
        if not isinstance(token, str) or not token.isprintable() or not token:
            return Retry("the token endpoint answered without a token", reached=False)
        if not isinstance(kind, str) or kind.casefold() != "bearer":
            return Retry("the token endpoint gives tokens that are not bearer tokens", reached=False)
        seconds = (
            int(lasts) if isinstance(lasts, int | float) or (isinstance(lasts, str) and lasts.isdigit()) else UNSAID
        )
        lasting = timedelta(seconds=max(0, min(seconds, LONGEST)))
        self._token, self._until = token, now + max(lasting - EARLY, lasting / 2)
        return token

    def _request(self) -> tuple[str, dict[str, str]]:
        settings = self._settings
        form = {"grant_type": "client_credentials"}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        secret = settings.client_secret.get_secret_value() if settings.client_secret is not None else None
        if secret is not None and settings.send_secret == "basic":  # noqa: S105 - the place of the secret, not one
            pair = f"{quote(settings.client_id, safe='')}:{quote(secret, safe='')}".encode()
            headers["Authorization"] = f"Basic {b64encode(pair).decode('ascii')}"
        else:
            form["client_id"] = settings.client_id
            if secret is not None:
                form["client_secret"] = secret
        for name in ("scope", "audience"):
            value = getattr(settings, name)
            if value is not None:
                form[name] = value
        return urlencode(form), headers


def _object(answer: bytes) -> dict[str, object]:
    try:
        given = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return {}
    return given if isinstance(given, dict) else {}


def _error(answer: bytes) -> str:
    """Name the error (RFC 6749 §5.2): its code only, for descriptions quote what they please."""
    code = _object(answer).get("error")
    return f" ({code})" if isinstance(code, str) and code.replace("_", "").isalpha() and len(code) < 60 else ""
