"""One call to the DMP over HTTPS: the envelope goes out, the answer comes back as its body's element and its parts.

Every way in which a call can fail is a Trouble; the two things that matter are said apart: was anything sent, and may
the DMP have done it all the same.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime

import httpx
from lxml import etree

from connectors.dmp.answers import Trouble
from connectors.dmp.errors import Kind
from connectors.dmp.mtom import Malformed, Multipart, MultipartReader, PartBegins, related
from connectors.dmp.replies import trouble_of_fault
from connectors.dmp.settings import DmpSettings
from connectors.dmp.soap import MEDIA_TYPE, NotAnAnswer, SoapFault, read_envelope
from connectors.outbound_http import KEPT_ANSWER, retry_after

OURS = frozenset({400, 401, 403, 404, 405, 406, 407, 410, 415, 421, 495, 496})
"""HTTP statuses without SOAP that say that the caller or the address is wrong, whoever it is about."""

TOO_LARGE = 413


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the element of the body, and the parts beside it by Content-ID. `raw` begins the envelope."""

    element: etree._Element
    parts: dict[str, bytes] = field(default_factory=dict, repr=False)
    raw: bytes = field(default=b"", repr=False)


class Transport:
    """A pooled HTTPS client with our certificate. Never raises for what the network or the peer did."""

    def __init__(self, settings: DmpSettings) -> None:
        self._settings = settings
        self._http: httpx.AsyncClient | None = None

    async def post(
        self, url: str, request: bytes | Multipart, action: str, message_id: str, now: datetime
    ) -> Answer | Trouble:
        """Post once, and read what comes back."""
        try:
            http = self._http or self._open()
        except (OSError, ValueError) as problem:
            said = f"our certificate for the DMP cannot be loaded ({type(problem).__name__})"
            return Trouble("dmp.certificate", said, Kind.CALLER, reached=False)
        limit = self._settings.timeout
        try:
            return await self._exchange(http, url, request, action, message_id, now)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as failure:
            return _unreachable(failure)
        except httpx.TimeoutException:
            return Trouble("dmp.timeout", f"no whole answer within {limit:g} s", in_doubt=True)
        except httpx.HTTPError as failure:
            return Trouble("dmp.broken", f"the exchange broke off ({type(failure).__name__})", in_doubt=True)
        except OSError as failure:
            said = failure.strerror or type(failure).__name__
            return Trouble("dmp.broken", f"the exchange broke off ({said})", in_doubt=True)

    async def close(self) -> None:
        """Close the connections; a later call would open new ones."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def _exchange(
        self,
        http: httpx.AsyncClient,
        url: str,
        request: bytes | Multipart,
        action: str,
        message_id: str,
        now: datetime,
    ) -> Answer | Trouble:
        content: bytes | AsyncIterator[bytes]
        if isinstance(request, Multipart):
            headers = {"Content-Type": request.content_type, "Content-Length": str(request.length)}
            content = _pieces(request)
        else:
            headers = {"Content-Type": f'{MEDIA_TYPE}; charset=utf-8; action="{action}"'}
            content = request
        async with http.stream("POST", url, content=content, headers=headers) as response:
            status = response.status_code
            try:
                root, parts = await self._read(response)
            except (Malformed, NotAnAnswer) as problem:
                return _unusable(problem, status, response, now)
            try:
                found = read_envelope(root, message_id)
            except NotAnAnswer as problem:
                return _unusable(problem, status, response, now, root[:KEPT_ANSWER])
            if isinstance(found, SoapFault):
                return _kept(trouble_of_fault(found), root[:KEPT_ANSWER])
            if status >= 400:
                said = NotAnAnswer("dmp.answer.status", f"HTTP {status} with an answer that is no fault")
                return _unusable(said, status, response, now, root[:KEPT_ANSWER])
            return Answer(found, parts, root[:KEPT_ANSWER])

    async def _read(self, response: httpx.Response) -> tuple[bytes, dict[str, bytes]]:
        """Read the answer as it arrives: its envelope, and its other parts by Content-ID."""
        layout = related(response.headers.get("Content-Type", ""))
        limit = int(self._settings.max_answer)
        size = 0
        if layout is None:
            whole = bytearray()
            async for piece in response.aiter_bytes():
                size = _within(size + len(piece), limit)
                whole += piece
            return bytes(whole), {}
        reader = MultipartReader(layout.boundary)
        parts: list[tuple[str, bytearray]] = []
        async for piece in response.aiter_bytes():
            size = _within(size + len(piece), limit)
            for event in reader.feed(piece):
                if isinstance(event, PartBegins):
                    parts.append((event.cid, bytearray()))
                else:
                    parts[-1][1].extend(event.data)
        reader.close()
        return _root_and_others(parts, layout.start)

    def _open(self) -> httpx.AsyncClient:
        settings = self._settings
        context: ssl.SSLContext | bool = False
        if settings.url.scheme == "https" and settings.tls is not None:
            context = settings.tls.context()
        self._http = httpx.AsyncClient(
            verify=context,
            proxy=str(settings.proxy) if settings.proxy is not None else None,
            timeout=httpx.Timeout(settings.timeout, connect=settings.connect_timeout),
            limits=httpx.Limits(
                max_connections=settings.concurrency,
                max_keepalive_connections=settings.concurrency,
                keepalive_expiry=30.0,
            ),
            follow_redirects=False,
            trust_env=False,
        )
        return self._http


async def _pieces(request: Multipart) -> AsyncIterator[bytes]:
    for piece in request.pieces():
        yield piece


def _within(size: int, limit: int) -> int:
    if size > limit:
        raise NotAnAnswer("dmp.answer.too_large", f"the answer is longer than {limit} bytes")
    return size


def _root_and_others(parts: list[tuple[str, bytearray]], start: str) -> tuple[bytes, dict[str, bytes]]:
    """Tell the envelope from the documents: the part that `start` names, else the first."""
    named = [cid for cid, _ in parts if cid]
    if len(named) != len(set(named)):
        raise Malformed("same_id", "two parts have one Content-ID")
    if not parts:
        raise Malformed("empty", "the answer has no part")
    at = next((rank for rank, (cid, _) in enumerate(parts) if start and cid == start), None)
    if start and at is None:
        raise Malformed("no_start", "the part that the answer begins with is missing")
    root = bytes(parts[at or 0][1])
    return root, {cid: bytes(content) for rank, (cid, content) in enumerate(parts) if rank != (at or 0)}


def _kept(trouble: Trouble, answer: bytes) -> Trouble:
    return Trouble(trouble.code, trouble.detail, trouble.kind, answer=answer)


def _unusable(
    problem: NotAnAnswer | Malformed, status: int, response: httpx.Response, now: datetime, answer: bytes = b""
) -> Trouble:
    """Judge what is no answer, by its HTTP status first."""
    if status in OURS:
        said = f"HTTP {status} without an answer: address, certificate or rights"
        return Trouble(f"http.{status}", said, Kind.CALLER, answer=answer)
    if status == TOO_LARGE:
        return Trouble("http.413", "HTTP 413: the document is too large for the DMP", Kind.NEVER, answer=answer)
    after = retry_after(response.headers.get("Retry-After"), now)
    said = f"HTTP {status}: {problem.message}"
    return Trouble(problem.code, said, in_doubt=status < 400 or status >= 500, after=after, answer=answer)


def _unreachable(failure: httpx.HTTPError) -> Trouble:
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            said = f"TLS was refused ({cause.reason or type(cause).__name__})"
            return Trouble("dmp.tls", said, Kind.CALLER, reached=False)
        cause = cause.__cause__ or cause.__context__
    return Trouble("dmp.unreachable", f"cannot connect ({type(failure).__name__})", reached=False)
