"""A listener that takes one message a POST."""

from __future__ import annotations

import asyncio
import math
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from connectors.address import Address, parse_address, peer_host
from connectors.contracts import Inbound, Inbox, NotAccepted, Receipt, Refusal, Services
from connectors.http.codec import is_known, key_digests, problem, shown_key
from connectors.http.door import Door
from connectors.http.settings import HttpSourceSettings
from connectors.pace import TokenBucket
from connectors.reporting import Reporter
from connectors.spool import SpoolFile
from connectors.tls import certificate_names
from schemas.finding import Finding, Severity

FIGURES = ("messages", "duplicates", "rejected", "not_accepted", "turned_away", "too_fast")
LONGEST_ID = 200
RETRY_SECONDS = "5"

EMPTY = Finding(severity=Severity.ERROR, code="http.body.empty", where="body", message="the request carries no message")


class Turned(Exception):
    """A request that is answered with a problem document."""

    def __init__(self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = headers or {}

    def response(self, **more: str | int) -> web.Response:
        """Make the answer."""
        return web.Response(
            status=self.status,
            body=problem(self.status, self.title, self.detail, **more),
            content_type="application/problem+json",
            headers=self.headers,
        )


class HttpSource:
    """Answers 202 with the message id after the receipt, never before; 503 when it cannot be kept now."""

    def __init__(self, name: str, settings: HttpSourceSettings, services: Services) -> None:
        self.name = name
        self._settings = settings
        self._services = services
        self._keys = key_digests(key.get_secret_value() for key in settings.api_keys)
        self._report = Reporter(services)
        self._in_flight = 0
        self._inbox: Inbox | None = None
        self._bucket: TokenBucket | None = None
        self._counts = dict.fromkeys(FIGURES, 0)
        services.health.figures.update(self._counts)

    async def run(self, inbox: Inbox) -> None:
        """Listen until stopped or cancelled, then finish the requests under way."""
        self._inbox = inbox
        if self._settings.max_rate is not None:
            clock = asyncio.get_running_loop().time
            self._bucket = TokenBucket(self._settings.max_rate, self._settings.burst, clock)
        settings, health = self._settings, self._services.health
        app = web.Application(client_max_size=0)
        app.router.add_post(settings.path, self._post)
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=settings.stop_grace,
            keepalive_timeout=settings.idle_timeout,
        )
        await runner.setup()
        assert runner.server is not None  # noqa: S101 - `setup` makes it
        door = Door(runner.server, settings.max_connections, settings.max_connections_per_peer, self._at_the_door)
        listener: asyncio.Server | None = None
        try:
            listen = parse_address(settings.listen)
            tls = settings.tls.context() if settings.tls is not None else None
            try:
                listener = await asyncio.get_running_loop().create_server(
                    door.enter,
                    listen.host,
                    listen.port,
                    ssl=tls,
                    backlog=1024,
                    ssl_handshake_timeout=None if settings.tls is None else settings.tls.handshake_timeout,
                )
            except OSError as failure:
                health.state, health.detail = "failed", f"cannot listen: {failure.strerror}"
                raise
            host, port = listener.sockets[0].getsockname()[:2]
            scheme = "http" if tls is None else "https"
            health.state, health.detail = "listening", f"{scheme}://{Address(host, port)}{settings.path}"
            self._services.ready(health.detail)
            await self._services.stopping.wait()
        finally:
            if listener is not None:
                listener.close()
            await runner.cleanup()
            if health.state == "listening":
                health.state, health.detail = "stopped", ""

    async def _post(self, request: web.Request) -> web.Response:
        try:
            return await self._receive(request)
        except Turned as turned:
            return turned.response()
        except (NotAccepted, OSError) as failure:
            self._count("not_accepted")
            reason = failure.reason if isinstance(failure, NotAccepted) else "the storage failed"
            return _busy(reason).response()
        except Exception as failure:
            # Whatever went wrong behind the inbox, the peer must keep its message and the listener must live.
            self._count("not_accepted")
            self._report("http.submit.failed", self.name, f"{type(failure).__name__} at submission", Severity.ERROR)
            return _busy("the message could not be kept").response()

    async def _receive(self, request: web.Request) -> web.Response:
        self._admit(request)
        if self._in_flight >= self._settings.max_in_flight:
            raise _busy("too many requests are under way")
        if self._bucket is not None and (wait := self._bucket.refusal()):
            self._count("too_fast")
            after = {"Retry-After": str(math.ceil(wait))}
            raise Turned(429, "Too Many Requests", "more messages than this source takes: send it again later", after)
        self._in_flight += 1
        try:
            content = await self._content(request)
            return await self._submit(request, content)
        finally:
            self._in_flight -= 1

    def _admit(self, request: web.Request) -> None:
        settings = self._settings
        if self._services.stopping.is_set():
            raise _busy("shutting down")
        if self._keys:
            key = shown_key(request.headers.get("Authorization"), request.headers.get("X-API-Key"))
            if key is None or not is_known(key, self._keys):
                self._turn_away(request, "no accepted API key was shown")
                raise Turned(
                    401, "Unauthorized", "show a valid API key", {"WWW-Authenticate": 'Bearer realm="passerelle"'}
                )
        allowed = settings.tls.allowed_client_subjects if settings.tls is not None else ()
        if allowed and request.transport is not None:
            names = certificate_names(request.transport.get_extra_info("peercert"))
            if names.isdisjoint(allowed):
                self._turn_away(request, "the client certificate bears no allowed name")
                raise Turned(403, "Forbidden", "this certificate may not post here")
        if settings.media_types and request.content_type not in settings.media_types:
            accepted = ", ".join(settings.media_types)
            raise Turned(415, "Unsupported Media Type", f"accepted: {accepted}", {"Accept-Post": accepted})
        if request.content_length is not None and request.content_length > settings.max_body:
            raise self._too_large()

    async def _content(self, request: web.Request) -> bytes | Path:
        """Read the body, into a spool file once it is large."""
        settings = self._settings
        assert self._inbox is not None  # noqa: S101 - requests only come while `run` runs
        held = bytearray()
        spool: SpoolFile | None = None
        size = 0
        try:
            async with asyncio.timeout(settings.read_timeout):
                async for chunk in request.content.iter_any():
                    size += len(chunk)
                    if size > settings.max_body:
                        raise self._too_large()
                    held += chunk
                    if size > settings.spool_threshold:
                        spool = spool or SpoolFile(self._inbox.spool())
                        await spool.write(bytes(held))
                        held.clear()
            if spool is None:
                return bytes(held)
            return await spool.commit()
        except TimeoutError:
            if spool is not None:
                await spool.discard()
            raise Turned(408, "Request Timeout", "the message did not arrive in time") from None
        except BaseException:
            if spool is not None:
                await spool.discard()
            raise

    async def _submit(self, request: web.Request, content: bytes | Path) -> web.Response:
        assert self._inbox is not None  # noqa: S101 - requests only come while `run` runs
        control_id = control_id_of(request.headers)
        empty = content == b""
        inbound = Inbound(
            content=content,
            received_at=self._services.now(),
            control_id=control_id,
            peer=peer_host(request.transport.get_extra_info("peername")) if request.transport else "",
            refusal=Refusal(EMPTY) if empty else None,
        )
        try:
            receipt = await self._inbox.submit(inbound)
        except BaseException:
            if isinstance(content, Path):
                await asyncio.to_thread(content.unlink, missing_ok=True)
            raise
        return self._answer(receipt, empty)

    def _answer(self, receipt: Receipt, empty: bool) -> web.Response:
        self._count("duplicates" if receipt.duplicate else "messages")
        if empty:
            self._count("rejected")
            return Turned(400, "Bad Request", EMPTY.message).response(message_id=receipt.message_id)
        return web.json_response({"message_id": receipt.message_id, "duplicate": receipt.duplicate}, status=202)

    def _too_large(self) -> Turned:
        return Turned(413, "Content Too Large", f"at most {int(self._settings.max_body)} bytes a message")

    def _turn_away(self, request: web.Request, reason: str) -> None:
        self._count("turned_away")
        self._report("http.request.turned_away", request.remote or "", reason)

    def _at_the_door(self, peer: str, reason: str) -> None:
        self._count("turned_away")
        self._report("http.connection.turned_away", peer, reason)

    def _count(self, figure: str) -> None:
        self._counts[figure] += 1
        self._services.health.figures[figure] = self._counts[figure]


def _busy(reason: str) -> Turned:
    return Turned(503, "Service Unavailable", f"{reason}: send it again later", {"Retry-After": RETRY_SECONDS})


def control_id_of(headers: Mapping[str, str]) -> str:
    """Take the sender's own id for the message; refuse what is no id, rather than cut it."""
    for name in ("X-Message-Id", "Idempotency-Key"):
        value = headers.get(name, "").strip().strip('"')
        if value:
            if len(value) > LONGEST_ID or any(unicodedata.category(char)[0] == "C" for char in value):
                raise Turned(400, "Bad Request", f"{name} has {LONGEST_ID} printable characters at most")
            return value
    return ""
