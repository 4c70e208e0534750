"""The outermost layer: what every answer carries, how large a request may be, and what happens to a defect of ours.

Pages load nothing but our own files: no inline script or style, no third party, no frame but that of a file
shown in place (`router.web.answers.inline`). A defect is told by its kind and place only: the text of an exception may
quote health data, and goes nowhere.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


class _TooLarge(Exception):
    """The body goes past its limit."""


class Guard:
    """Wraps the application. `report` is told of defects, in words that hold no data."""

    def __init__(self, app: ASGIApp, report: Callable[[str], Awaitable[None]]) -> None:
        self._app = app
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False

        async def answer(message: Message) -> None:
            nonlocal began
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
            await self._app(scope, _limited(scope, receive), answer)
        except _TooLarge:
            if not began:
                await _say(scope, answer, 413, "The request is too large.")
        except Exception as defect:
            place = _place(defect)
            log.error("defect %s at %s", type(defect).__name__, place)
            await self._report(f"a page failed by a defect ({type(defect).__name__} at {place})")
            if not began:
                said = "This failed by a defect of Passerelle; it was noted. Nothing was lost."
                await _say(scope, answer, 500, said)


def _limited(scope: Scope, receive: Receive) -> Receive:
    limit = LARGEST_UPLOAD if scope["path"].startswith(("/api/", "/fhir")) else LARGEST_FORM
    if scope["path"] == "/try":
        limit = LARGEST_TRIED
    count = 0

    async def counted() -> Message:
        nonlocal count
        message = await receive()
        if message["type"] == "http.request":
            count += len(message.get("body", b""))
            if count > limit:
                raise _TooLarge
        return message

    return counted


def _place(defect: Exception) -> str:
    """Name the line where it happened, in our own code if it passed there."""
    frames = traceback.extract_tb(defect.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "unknown place"


async def _say(scope: Scope, send: Send, status: int, text: str) -> None:
    answer = problem(status, text) if scope["path"].startswith("/api/") else PlainTextResponse(text, status)
    await send({"type": "http.response.start", "status": status, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body})
