"""Applications that answer below a path of their own, asked before the hundreds of routes of the pages are tried.

A tool's search takes a few milliseconds; going through the pages' routes first would cost it a quarter of that again.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send


class Apart:
    """Hands what is below one of these paths (`/fhir`, `/fhir/…`) to its application, all else to the pages."""

    def __init__(self, app: ASGIApp, apart: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._apart = apart

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        chosen = self._app
        if scope["type"] == "http":
            _, first, _ = f"{scope['path']}/".split("/", 2)
            chosen = self._apart.get(f"/{first}", self._app)
        await chosen(scope, receive, send)
