"""What every destination that speaks HTTP shares: its settings, one pooled session, and the reading of an answer.

Built on aiohttp's client (DESIGN.md has the measurements). A destination posts the exact bytes of a Parcel; redirects
are not followed, for the bytes are health data and the new address is nobody's choice.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self

import aiohttp
from pydantic import AnyHttpUrl, ByteSize, Field, SecretStr, model_validator
from yarl import URL

from connectors.contracts import Delivered, Outcome, Refused, Retry, Settings
from connectors.oauth import ClientCredentials, Tokens
from connectors.tls import ClientTls

KEPT_ANSWER = 16 * 1024
"""Bytes of an answer that an Outcome keeps."""

MIB = 1024 * 1024
UNAUTHORIZED = 401

RETRY_STATUSES = frozenset({408, 421, 423, 425, 429})
"""Client errors that say "not now" and not "never"."""

NEVER_STATUSES = frozenset({501, 505, 506, 508, 510})
"""Server errors that a second try will not change."""


class HttpPeerSettings(Settings):
    """Where to post, as whom, and with what patience."""

    url: AnyHttpUrl = Field(description="Address to post to. It never holds a secret: credentials have their keys.")
    token: SecretStr | None = Field(None, description="Sent as Authorization: Bearer.")
    oauth: ClientCredentials | None = Field(
        None, description="A token endpoint that gives the bearer token (OAuth 2 client credentials), renewed in time."
    )
    api_key: SecretStr | None = Field(None, description="Sent in the header that api_key_header names.")
    api_key_header: str = Field("X-API-Key", description="Header that carries api_key.")
    username: str | None = Field(None, description="HTTP basic authentication, with password.")
    password: SecretStr | None = Field(None, description="HTTP basic authentication, with username.")
    headers: dict[str, str] = Field(
        default_factory=dict, description="Further headers that the peer asks for, sent as they are written."
    )
    tls: ClientTls | None = Field(None, description="Authorities and client certificate for https.")
    proxy: AnyHttpUrl | None = Field(None, description="HTTP proxy on the way out, when the network has one.")
    concurrency: int = Field(8, ge=1, le=256, description="Posts under way at the same time.")
    timeout: float = Field(30.0, gt=0, description="Seconds for one post, from connection to end of answer.")
    connect_timeout: float = Field(10.0, gt=0, description="Seconds to connect, TLS included.")
    max_answer: ByteSize = Field(ByteSize(4 * MIB), ge=1024, description="Largest answer read.")

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.username is not None and ":" in self.username:
            raise ValueError("a username holds no colon (RFC 7617)")
        if self.token is not None and self.username is not None:
            raise ValueError("token and username both fill the Authorization header: keep one")
        if self.oauth is not None and (self.token is not None or self.username is not None):
            raise ValueError("oauth fills the Authorization header: keep it, or token, or username")
        if self.url.username or self.url.password:
            raise ValueError("credentials in the url would show in logs: use username and password")
        return self


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the peer answered. `whole` is False when the body was longer than the limit and was cut.

    `etag` and `location` are the headers of these names, "" when the peer gave none.
    """

    status: int
    media_type: str
    body: bytes
    retry_after: float | None
    whole: bool = True
    etag: str = ""
    location: str = ""

    @property
    def kept(self) -> bytes:
        """The beginning of the body, as an Outcome keeps it."""
        return self.body[:KEPT_ANSWER]


class HttpPeer:
    """A pooled session towards one peer. Gives the answer, or the Retry that the network made of it."""

    def __init__(self, settings: HttpPeerSettings, fixed_headers: Mapping[str, str]) -> None:
        self._settings = settings
        self.url = URL(str(settings.url))
        self._headers = {**fixed_headers, **settings.headers, **_credentials(settings)}
        self._session: aiohttp.ClientSession | None = None
        self._server_name = settings.tls.server_name if settings.tls is not None else None
        self._ssl: ssl.SSLContext | bool = settings.tls.context() if settings.tls is not None else True
        self._tokens = Tokens(settings.oauth) if settings.oauth is not None else None

    async def post(self, body: bytes, headers: Mapping[str, str], now: datetime) -> HttpAnswer | Retry:
        """Post once to the configured address. Never raises for what the network or the peer did."""
        return await self.request("POST", self.url, body, headers, now)

    async def request(
        self,
        method: str,
        url: URL,
        body: bytes | None,
        headers: Mapping[str, str],
        now: datetime,
        *,
        limit: int | None = None,
    ) -> HttpAnswer | Retry:
        """Make one request of any method, reading `limit` bytes at most (`max_answer` where it is None).

        The caller answers for the address: our credentials go with the request. A token that the peer refuses (401) is
        renewed once. Never raises for what the network or the peer did.
        """
        session = self._session or self._open()
        limit = int(self._settings.max_answer) if limit is None else limit
        if self._tokens is None:
            return await self._exchange(session, method, url, body, headers, now, limit)
        for last in (False, True):
            token = await self._tokens.current(session, now)
            if isinstance(token, Retry):
                return token
            bearer = {**headers, "Authorization": f"Bearer {token}"}
            answer = await self._exchange(session, method, url, body, bearer, now, limit)
            if last or isinstance(answer, Retry) or answer.status != UNAUTHORIZED:
                return answer
            self._tokens.forget(token)
        raise AssertionError("the second round always answers")

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: URL,
        body: bytes | None,
        headers: Mapping[str, str],
        now: datetime,
        limit: int,
    ) -> HttpAnswer | Retry:
        try:
            async with session.request(
                method, url, data=body, headers=headers, allow_redirects=False, server_hostname=self._server_name
            ) as response:
                answer, whole = await _read(response, limit)
                return HttpAnswer(
                    status=response.status,
                    media_type=response.content_type,
                    body=answer,
                    retry_after=retry_after(response.headers.get("Retry-After"), now),
                    whole=whole,
                    etag=response.headers.get("ETag", ""),
                    location=response.headers.get("Location", ""),
                )
        except aiohttp.ClientConnectorError as failure:
            return Retry(f"cannot connect: {_reason(failure)}", reached=False)
        except (aiohttp.ServerTimeoutError, TimeoutError) as failure:
            if isinstance(failure, aiohttp.ConnectionTimeoutError):
                return Retry(f"no connection within {self._settings.connect_timeout:g} s", reached=False)
            return Retry(f"no whole answer within {self._settings.timeout:g} s")
        except aiohttp.ClientError as failure:
            return Retry(f"the exchange broke off: {type(failure).__name__}")
        except OSError as failure:
            return Retry(f"the exchange broke off: {failure.strerror or type(failure).__name__}", reached=False)

    async def close(self) -> None:
        """Close the pooled connections; a later post would open new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        settings = self._settings
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=settings.concurrency, ssl=self._ssl, keepalive_timeout=60, ttl_dns_cache=30
            ),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=settings.timeout, sock_connect=settings.connect_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=str(settings.proxy) if settings.proxy is not None else None,
        )
        return self._session


async def _read(response: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    length = response.content_length
    if length is not None and length <= limit and "Content-Encoding" not in response.headers:
        return await response.read(), True
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            response.close()
            return bytes(body[:limit]), False
    return bytes(body), True


def judged_by_status(answer: HttpAnswer) -> Outcome:
    """Decide on the status alone: 2xx is an acknowledgement, "not now" is tried again, "never" is not.

    Refused credentials (401, 407) are the destination's trouble, not this parcel's: the engine is told to suspect the
    destination, and nothing goes to the dead letters before an administrator had a chance to renew them.
    """
    status, kept = answer.status, answer.kept
    if 200 <= status < 300:
        return Delivered(f"HTTP {status}", kept, acknowledged=True)
    if status in (401, 407):
        return Retry(f"HTTP {status}: our credentials are not accepted", kept, answer.retry_after, reached=False)
    if status in RETRY_STATUSES or (status >= 500 and status not in NEVER_STATUSES):
        return Retry(f"HTTP {status}", kept, answer.retry_after)
    if 300 <= status < 400:
        return Refused(f"HTTP {status}: a redirect, which is not followed; configure the address it gives", kept)
    return Refused(f"HTTP {status}", kept)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Read Retry-After (RFC 9110 §10.2.3: seconds or a date) as seconds from `now`; None when it says nothing."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _credentials(settings: HttpPeerSettings) -> dict[str, str]:
    headers: dict[str, str] = {}
    if settings.token is not None:
        headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
    if settings.username is not None and settings.password is not None:
        pair = f"{settings.username}:{settings.password.get_secret_value()}".encode()
        headers["Authorization"] = f"Basic {b64encode(pair).decode('ascii')}"
    if settings.api_key is not None:
        headers[settings.api_key_header] = settings.api_key.get_secret_value()
    return headers


def _reason(failure: aiohttp.ClientConnectorError) -> str:
    """Say why a connection failed, without the address: the destination's name already stands beside it."""
    if isinstance(failure, aiohttp.ClientSSLError):
        return f"TLS was refused ({type(failure).__name__})"
    cause = failure.os_error
    return cause.strerror or type(cause).__name__
