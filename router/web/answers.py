"""Answers: a page drawn in a thread of the dashboard, a redirection, a download that a browser will not open itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from fastapi.responses import HTMLResponse, RedirectResponse, Response

from router.journal.view import View
from router.web.desk import Desk
from router.web.rendering import LIVE
from router.web.visits import Visit

Values = Mapping[str, Any]

FRAMED = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
"""What a file that is shown in place may do: nothing, and only inside our own pages."""


async def page(
    desk: Desk, visit: Visit, template: str, ask: Callable[[View], Values], *, status: int = 200
) -> HTMLResponse:
    """Ask the journal and draw a page; only its live part when the page itself asks again."""

    def draw(view: View) -> str:
        values = {"menu": desk.boards.situation(view, visit.now), **ask(view)}
        return desk.pages.draw(visit, template, values, block=LIVE if visit.partial else None)

    return HTMLResponse(await desk.look(draw), status)


async def part(desk: Desk, visit: Visit, template: str, block: str, ask: Callable[[View], Values]) -> HTMLResponse:
    """Draw one named block of a template."""
    return HTMLResponse(await desk.look(lambda view: desk.pages.draw(visit, template, ask(view), block=block)))


async def plain(desk: Desk, visit: Visit, template: str, values: Values, *, status: int = 200) -> HTMLResponse:
    """Draw a page that asks the journal nothing."""
    return HTMLResponse(await desk.work(lambda: desk.pages.draw(visit, template, values)), status)


def go(path: str) -> RedirectResponse:
    """Send the browser to another page of ours, to be fetched anew."""
    return RedirectResponse(path, 303)


def local(path: str, otherwise: str = "/") -> str:
    """Give a path of this site as it is, and another for whatever would lead away from it."""
    return path if re.match(r"^/(?![/\\])[\x21-\x5b\x5d-\x7e]*$", path) else otherwise


def download(content: bytes, filename: str, media_type: str = "application/octet-stream") -> Response:
    """Give bytes to keep, never to be shown by the browser, under a name without surprises."""
    kind = media_type if re.match(r"^[\w.+-]+/[\w.+-]+$", media_type) else "application/octet-stream"
    headers = {"Content-Disposition": _disposition("attachment", filename), "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=kind, headers={**headers, "Content-Security-Policy": "sandbox"})


def inline(content: bytes, filename: str, media_type: str, *, sandboxed: bool) -> Response:
    """Give a file that the browser shows itself, inside one of our pages or alone, and that may do nothing else.

    The caller has made sure that it is what its media type says. Browsers refuse to show a sandboxed PDF.
    """
    policy = f"{FRAMED}; object-src 'self'; style-src 'unsafe-inline'" + ("; sandbox" if sandboxed else "")
    headers = {"Content-Disposition": _disposition("inline", filename), **_shown_in_place(policy)}
    return Response(content, media_type=media_type, headers=headers)


def framed(text: str, *, status: int) -> Response:
    """Give a sentence where a file was to be shown."""
    headers = _shown_in_place(f"{FRAMED}; sandbox")
    return Response(text, status, media_type="text/plain; charset=utf-8", headers=headers)


def _shown_in_place(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
    }


def _disposition(kind: str, filename: str) -> str:
    safe = safe_name(filename)
    return f"{kind}; filename=\"{re.sub(r'[^A-Za-z0-9._-]', '_', safe)}\"; filename*=UTF-8''{quote(safe)}"


def safe_name(filename: str) -> str:
    """Make a name that a sender wrote fit to be a file's: no folder, no control character, no leading dot."""
    last = re.split(r"[/\\]", filename)[-1]
    return re.sub(r"[^\w. ()-]", "_", last).strip(" .")[:120] or "content.bin"
