"""Posting a notice: signed, to an address that may be talked to, without following where it would redirect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import aiohttp

from connectors.http.destination import sign
from router.dossier.api.calls import FHIR_JSON
from router.dossier.subscriptions.addresses import AddressPolicy, CheckedResolver, Forbidden, ForbiddenAddress
from router.dossier.subscriptions.wanted import Wanted

SIGNATURE = "X-Passerelle-Signature"
NOTICE = "X-Passerelle-Notice"
TIMEOUT = 10.0
"""Seconds for one post, from the connection to the end of the headers of the answer."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a post: `gone` is a 410, after which nothing more is sent."""

    accepted: bool
    detail: str
    gone: bool = False


class Sender(Protocol):
    """Posts notices."""

    async def send(self, wanted: Wanted, body: bytes, identity: str, now: datetime) -> Sent:
        """Post once. Never raises for what the network or the subscriber did."""

    async def close(self) -> None:
        """Release connections."""


class HttpSender:
    """Posts with aiohttp, one pooled session for all."""

    def __init__(self, policy: AddressPolicy, *, timeout: float = TIMEOUT) -> None:
        self._policy = policy
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def send(self, wanted: Wanted, body: bytes, identity: str, now: datetime) -> Sent:
        """Post once; the address is checked again, and its name resolved by us at this very connection."""
        try:
            self._policy.check(wanted.endpoint)
        except Forbidden as refused:
            return Sent(False, str(refused))
        headers = dict(wanted.headers)
        headers[NOTICE] = identity
        headers[SIGNATURE] = sign(body, wanted.secret, int(now.timestamp()))
        if body:
            headers["Content-Type"] = FHIR_JSON
        session = self._session or self._open()
        try:
            async with session.post(wanted.endpoint, data=body, headers=headers, allow_redirects=False) as response:
                status = response.status
                response.close()  # what a subscriber has to say beside its status is of no use, and may be endless
        except ForbiddenAddress:
            return Sent(False, "its name leads to an inside address")
        except aiohttp.ClientConnectorError as failure:
            if isinstance(failure.os_error, ForbiddenAddress):
                return Sent(False, "its name leads to an inside address")
            return Sent(False, f"cannot connect ({type(failure).__name__})")
        except TimeoutError:
            return Sent(False, f"no answer within {self._timeout:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            return Sent(False, f"the exchange broke off ({type(failure).__name__})")
        if 300 <= status < 400:
            return Sent(False, f"HTTP {status}: a redirect, which is not followed")
        return Sent(200 <= status < 300, f"HTTP {status}", gone=status == 410)

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=64, limit_per_host=8, resolver=CheckedResolver(self._policy), use_dns_cache=False
            ),
            headers={"User-Agent": "passerelle"},
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return self._session

    async def close(self) -> None:
        """Close the pooled connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
