"""How a signing-in ends, whichever way it went: a new session, a cookie, a line in the audit."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import RedirectResponse

from router.web.answers import go, local
from router.web.desk import Desk
from router.web.sessions import Way, start_session
from router.web.visits import SESSION_COOKIE

ENTRY_COOKIE = "passerelle_entry"
"""Proves that the login form was ours: nobody is signed in yet, so there is no session to hold a token."""

STEP_COOKIE = "passerelle_step"
"""Ties a signing-in that is half done to the browser that began it."""

PROVIDER_COOKIE = "passerelle_provider"
"""Ties a signing-in through a provider, or a leaving, to the browser that began it."""

_BROWSERS = (("Edg", "Edge"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"), ("curl", "curl"))
_SYSTEMS = ("Windows", "Android", "iPhone", "iPad", "Mac OS", "Linux")


async def enter(request: Request, desk: Desk, account: str, onward: str, way: Way) -> RedirectResponse:
    """Start a session for somebody who has shown who it is, and lead on."""
    token, change = start_session(
        account, now=desk.now(), rules=desk.rules, way=way, instead=request.cookies.get(SESSION_COOKIE, "")
    )
    await desk.submit(change)
    await desk.audit(account, "login", "dashboard", said_of(way))
    answer = go(local(onward))
    answer.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=desk.rules.longest,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
        path="/",
    )
    for cookie in (ENTRY_COOKIE, STEP_COOKIE):
        answer.delete_cookie(cookie, path="/login")
    return answer


def said_of(way: Way) -> str:
    """Say in the audit where from, and by what beside a password."""
    return " ".join(
        part for part in (way.peer, way.provider or (way.method if way.method != "password" else "")) if part
    )


def way_of(request: Request, method: str, **more: str) -> Way:
    """Give how somebody signs in by a request."""
    return Way(method, peer_of(request), agent_of(request.headers.get("User-Agent", "")), **more)


def peer_of(request: Request) -> str:
    """Give the address that a request came from."""
    return request.client.host if request.client is not None else ""


def agent_of(header: str) -> str:
    """Name a browser and its system, as far as it says: `Firefox · Linux`."""
    browser = next((name for mark, name in _BROWSERS if mark in header), "")
    system = next((name for name in _SYSTEMS if name in header), "")
    return " · ".join(part for part in (browser, system) if part)


def is_secure(request: Request) -> bool:
    """Whether the browser came by TLS: cookies then never go without."""
    return request.url.scheme == "https"
