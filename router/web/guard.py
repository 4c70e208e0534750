"""The outermost layer: what every answer carries, how large a request may be, and what happens to a defect of ours.

Pages load nothing but our own files: no inline script or style, no third party, no frame but that of a file
shown in place (`router.web.answers.inline`). A defect is told by its kind and place only: the text of an exception may
quote health data, and goes nowhere.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router.faults import BodyFault
from router.quotas import WebLimits
from router.web.api.problems import problem

log = logging.getLogger("passerelle.web")

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

LARGEST_FORM = 1_000_000
LARGEST_TRIED = 20_000_000
LARGEST_UPLOAD = 64_000_000
"""Bytes of a request's body: forms, messages to be tried, and uploads to the API."""

WHOLE = 10
"""How many times the patience for one piece of a body is that for all of it."""


class Guard:
    """Wraps the application. `report` is told of defects, in words that hold no data.

    `body_seconds` is the patience for the next piece of a request's body.
    """

    def __init__(
        self, app: ASGIApp, report: Callable[[str], Awaitable[None]], body_seconds: float = WebLimits().body_seconds
    ) -> None:
        self._app = app
        self._report = report
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False
        body = _Body(scope, receive, self._body_seconds)

        async def answer(message: Message) -> None:
            nonlocal began
            if body.fault is not None and not began:
                return  # whatever was made of half a body is not what is answered
            if message["type"] == "http.response.start":
                began = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        try:
            await self._app(scope, body.receive, answer)
        except BodyFault:
            pass  # said below, whether or not anything between took it for something else
        except Exception as defect:
            place = _place(defect)
            log.error("defect %s at %s", type(defect).__name__, place)
            await self._report(f"a page failed by a defect ({type(defect).__name__} at {place})")
            if not began and body.fault is None:
                said = "This failed by a defect of Passerelle; it was noted. Nothing was lost."
                await _say(scope, answer, 500, said)
        if body.fault is not None and not began:
            fault, body.fault = body.fault, None
            await _say(scope, answer, fault.status, fault.sentence)


class _Body:
    """The body of one request as it comes: within its size, and within its time. `fault` once it was neither."""

    def __init__(self, scope: Scope, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._limit = LARGEST_UPLOAD if scope["path"].startswith(("/api/", "/fhir")) else LARGEST_FORM
        if scope["path"] == "/try":
            self._limit = LARGEST_TRIED
        self._count = 0
        self._seconds = seconds
        self._until = asyncio.get_running_loop().time() + WHOLE * seconds
        self._whole = False
        self.fault: BodyFault | None = None

    async def receive(self) -> Message:
        """Give the next piece. Raises BodyFault; what comes after the body (the client left) is waited for."""
        if self._whole:
            return await self._receive()
        left = self._until - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(0.0, min(self._seconds, left))):
                message = await self._receive()
        except TimeoutError:
            raise self._failed(408, "The request did not arrive in time.") from None
        if message["type"] == "http.request":
            self._count += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._count > self._limit:
                raise self._failed(413, "The request is too large.")
        return message

    def _failed(self, status: int, sentence: str) -> BodyFault:
        self.fault = BodyFault(status, sentence)
        return self.fault


def _place(defect: Exception) -> str:
    """Name the line where it happened, in our own code if it passed there."""
    frames = traceback.extract_tb(defect.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "unknown place"


async def _say(scope: Scope, send: Send, status: int, text: str) -> None:
    answer = problem(status, text) if scope["path"].startswith("/api/") else PlainTextResponse(text, status)
    await send({"type": "http.response.start", "status": status, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body})
