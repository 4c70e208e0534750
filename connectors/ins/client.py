"""The INSi client: one pooled connection, mutual TLS, and calls that cannot become a storm.

    client = InsiClient(settings, now=utc_now, traced=keep)
    outcome = await client.search(sought)          # a Reply; never raises for what INSi or the network did
    await client.close()

For one person: at most five queries, eight calls in all, none begun past `patience`. For everybody: so many a minute;
after troubles in a row INSi is left alone; a refusal of the caller itself leaves it alone at once.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import httpx

from connectors.certificates import Certificate, CertificateTrouble, read_certificate
from connectors.ins.answers import CallTrace, NoAnswer, Rejected, Reply
from connectors.ins.codec import CONTENT_TYPE, Caller, Stamp, TraitsQuery, read_assertion, write_search
from connectors.ins.replies import LIMIT, read_reply
from connectors.ins.settings import InsiSettings
from connectors.ins.sought import Sought
from connectors.ins.strategy import search
from connectors.outbound_http import retry_after
from connectors.pace import Breaker, Clock, Sleep, Throttle
from connectors.tls import ClientTls
from mappings.contracts import FormatError

MOST_CALLS = 8
"""Calls about one person at most, those tried again included."""

AT_ONCE = 4
"""Calls under way at the same time."""

FIRST_WAIT = 1.0
"""Seconds before a call is tried again; each further wait is twice as long."""


Traced = Callable[[CallTrace], None]
"""Is told of every call that was made."""


@dataclass(slots=True)
class _Budget:
    """What is left for one person."""

    calls: int
    until: float
    traced: Traced


class InsiClient:
    """Asks INSi. Safe to use from many tasks of one loop; `traced` is told of every call."""

    def __init__(
        self,
        settings: InsiSettings,
        *,
        now: Callable[[], datetime],
        traced: Traced = lambda _: None,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._now = now
        self._traced = traced
        self._clock = clock
        self._sleep = sleep
        self._throttle = Throttle(settings.per_minute, clock, sleep)
        self.breaker = Breaker(settings.breaker_failures, settings.breaker_seconds, clock)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._instance = str(uuid4())
        self._http: httpx.AsyncClient | None = None

    async def search(self, sought: Sought, traced: Traced | None = None) -> Reply:
        """Ask about one person, with the queries of `connectors.ins.strategy`; `traced` hears of these calls alone."""
        budget = _Budget(MOST_CALLS, self._clock() + self._settings.patience, traced or self._traced)
        steps = search(sought)
        query = next(steps)
        while True:
            reply = await self._ask(query, budget)
            try:
                query = steps.send(reply)
            except StopIteration as ending:
                last: Reply = ending.value
                return last

    async def close(self) -> None:
        """Close the connections; a later call would open new ones."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def _ask(self, query: TraitsQuery, budget: _Budget) -> Reply:
        reply: Reply = NoAnswer("insi.budget", "too many calls for one person: not asked further", False, called=False)
        for attempt in range(1, self._settings.attempts + 1):
            if budget.calls <= 0:
                return reply
            if attempt > 1:
                wait = FIRST_WAIT * 2 ** (attempt - 2) * random.uniform(0.8, 1.2)
                if self._clock() + wait >= budget.until:
                    return reply
                await self._sleep(wait)
            reply = await self._once(query, attempt, budget)
            if not (isinstance(reply, NoAnswer) and reply.again and reply.called and reply.after is None):
                return reply
        return reply

    async def _once(self, query: TraitsQuery, attempt: int, budget: _Budget) -> Reply:
        """Make one call, if it may be made now."""
        prepared = self._prepared()
        if isinstance(prepared, NoAnswer):
            return prepared
        http, caller = prepared
        # Who waited for a slot learns what became of those before: a crowd does not follow them into a trouble.
        async with self._slots:
            return await self._let_in(http, caller, query, attempt, budget)

    async def _let_in(
        self, http: httpx.AsyncClient, caller: Caller, query: TraitsQuery, attempt: int, budget: _Budget
    ) -> Reply:
        if not self.breaker.enter():
            wait = self.breaker.remaining or None
            return NoAnswer("insi.left_alone", "INSi had troubles and is left alone for now", True, wait, called=False)
        try:
            if not await self._throttle.turn(max(0.0, budget.until - self._clock())):
                self.breaker.left()
                return NoAnswer("insi.throttled", "too many calls wait for INSi: ask again later", called=False)
            budget.calls -= 1
            reply = await self._call(http, caller, query, attempt, budget.traced)
        except BaseException:
            self.breaker.left()
            raise
        self._judge(reply)
        return reply

    def _judge(self, reply: Reply) -> None:
        if isinstance(reply, NoAnswer) and not reply.called:
            self.breaker.left()
        elif isinstance(reply, NoAnswer) and reply.again:
            self.breaker.bad(reply.after)
        elif isinstance(reply, Rejected) and reply.everyone:
            self.breaker.bad(self._settings.breaker_seconds)
        else:
            self.breaker.good()

    async def _call(
        self, http: httpx.AsyncClient, caller: Caller, query: TraitsQuery, attempt: int, traced: Traced
    ) -> Reply:
        stamp = Stamp(str(uuid4()), str(uuid4()), str(uuid4()), self._now())
        started = self._clock()
        status: int | None = None
        try:
            content = await asyncio.to_thread(self._written, query, caller, stamp)
            async with asyncio.timeout(self._settings.timeout):
                status, reply = await self._exchange(http, content)
        except FormatError as refused:
            reply = NoAnswer(refused.code, "the professional's assertion cannot be read", False, called=False)
        except (httpx.ConnectError, httpx.ConnectTimeout) as failure:
            reply = _unreachable(failure)
        except (TimeoutError, httpx.TimeoutException):
            reply = NoAnswer("insi.timeout", f"no whole answer within {self._settings.timeout:g} s")
        except httpx.HTTPError as failure:
            reply = NoAnswer("insi.broken", f"the exchange broke off ({type(failure).__name__})")
        except OSError as failure:
            said = failure.strerror or type(failure).__name__
            reply = NoAnswer(
                "insi.assertion.file", f"the assertion's file cannot be read ({said})", False, called=False
            )
        milliseconds = int((self._clock() - started) * 1000)
        traced(CallTrace(stamp.message_id, stamp.at, milliseconds, attempt, status, reply.code))
        return reply

    async def _exchange(self, http: httpx.AsyncClient, content: bytes) -> tuple[int, Reply]:
        headers = {"Content-Type": CONTENT_TYPE}
        async with http.stream("POST", str(self._settings.url), content=content, headers=headers) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LIMIT:
                    break
            if response.status_code in (429, 503):
                after = retry_after(response.headers.get("Retry-After"), self._now())
                if after is not None:
                    said = f"HTTP {response.status_code}: asked to come back later"
                    return response.status_code, NoAnswer("insi.busy", said, after=after)
            return response.status_code, await asyncio.to_thread(read_reply, response.status_code, bytes(body))

    def _written(self, query: TraitsQuery, caller: Caller, stamp: Stamp) -> bytes:
        path = self._settings.assertion
        assertion = read_assertion(path.read_bytes()) if path is not None else None
        return write_search(query, caller, stamp, assertion)

    def _prepared(self) -> tuple[httpx.AsyncClient, Caller] | NoAnswer:
        """Open the client if need be. What is wrong with our certificate is said here, and nothing is sent."""
        settings = self._settings
        units: tuple[str, ...] = ()
        if settings.certificate is not None:
            certificate = read_certificate(settings.certificate)
            trouble = certificate.trouble(self._now()) if isinstance(certificate, Certificate) else certificate
            if trouble is not None and trouble is not CertificateTrouble.EXPIRING:
                said = f"our certificate for INSi cannot be used ({trouble.value})"
                return NoAnswer(f"insi.certificate.{trouble.value}", said, False, called=False)
            units = certificate.units if isinstance(certificate, Certificate) else ()
        emitter = settings.emitter or next(iter(units), "")
        if not emitter:
            said = "neither [insi] emitter nor an OU in the certificate says who calls"
            return NoAnswer("insi.emitter", said, False, called=False)
        if self._http is None:
            try:
                self._http = self._open()
            except (OSError, ssl.SSLError, ValueError) as problem:
                said = f"the certificates for INSi cannot be loaded ({type(problem).__name__})"
                return NoAnswer("insi.certificate.unusable", said, False, called=False)
        caller = Caller(
            emitter, settings.authorisation, settings.software_name, settings.software_version, self._instance
        )
        return self._http, caller

    def _open(self) -> httpx.AsyncClient:
        settings = self._settings
        tls = ClientTls(
            ca=settings.ca, cert=settings.certificate, key=settings.private_key, key_password=settings.key_password
        )
        return httpx.AsyncClient(
            verify=tls.context() if settings.url.scheme == "https" else False,
            proxy=str(settings.proxy) if settings.proxy is not None else None,
            timeout=httpx.Timeout(settings.timeout, connect=settings.connect_timeout),
            limits=httpx.Limits(max_connections=AT_ONCE, keepalive_expiry=30.0),
            follow_redirects=False,
            trust_env=False,
        )


def _unreachable(failure: httpx.ConnectError | httpx.ConnectTimeout) -> NoAnswer:
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            said = f"TLS was refused ({cause.reason or type(cause).__name__})"
            return NoAnswer("insi.tls", said)
        cause = cause.__cause__ or cause.__context__
    return NoAnswer("insi.unreachable", f"cannot connect ({type(failure).__name__})")
