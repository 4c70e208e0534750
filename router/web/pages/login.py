"""Signing in and out, and the choices that a browser remembers: language and colours."""

from __future__ import annotations

import hmac
import secrets

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from router.journal.view import View
from router.web.access import Anybody, Office, OwnAsked, comes_from_here, form_of
from router.web.accounts import Account, find_account, note_failure, password_is_right
from router.web.answers import go, local, plain
from router.web.faults import NotAllowed
from router.web.sessions import end_session, start_session
from router.web.texts import LANGUAGES
from router.web.visits import LANGUAGE_COOKIE, SESSION_COOKIE, THEME_COOKIE, THEMES

router = APIRouter()

ENTRY_COOKIE = "passerelle_entry"
"""Proves that the login form was ours: nobody is signed in yet, so there is no session to hold a token."""

YEAR = 365 * 86_400


@router.get("/login")
async def show_login(request: Request, desk: Office, visit: Anybody, next: str = "/") -> Response:  # noqa: A002 - the address says so
    """Show the login form."""
    return await _form(request, desk, visit, next)


@router.post("/login")
async def sign_in(request: Request, desk: Office, visit: Anybody) -> Response:
    """Check a name and a password, and start a session."""
    form = await form_of(request)
    name, password, onward, entry = ((form.get(field) or [""])[0] for field in ("name", "password", "next", "entry"))
    expected = request.cookies.get(ENTRY_COOKIE, "")
    if not expected or not hmac.compare_digest(entry.encode(), expected.encode()) or not comes_from_here(request):
        return await _form(request, desk, visit, onward, "login.again", status=403)
    name = name.strip()
    async with desk.checks:

        def check(view: View) -> tuple[Account | None, bool]:
            account = find_account(view.connection, name)
            return account, password_is_right(account, password, now=desk.now())

        account, right = await desk.look(check)
        if account is None or not right:
            if account is not None:
                await desk.submit(note_failure(account.name, now=desk.now()))
                await desk.audit(account.name, "login refused", "dashboard", _peer(request))
            else:
                await desk.audit("unknown", "login refused", "dashboard", _peer(request))
            return await _form(request, desk, visit, onward, "login.wrong", status=401)
    token, change = start_session(account.name, now=desk.now(), rules=desk.rules)
    await desk.submit(change)
    await desk.audit(account.name, "login", "dashboard", _peer(request))
    answer = go(local(onward))
    answer.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=desk.rules.longest,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
        path="/",
    )
    answer.delete_cookie(ENTRY_COOKIE)
    return answer


@router.post("/logout")
async def sign_out(request: Request, desk: Office, visit: OwnAsked) -> Response:
    """End the session."""
    await desk.submit(end_session(visit.key))
    await desk.audit(visit.account, "logout", "dashboard", _peer(request))
    answer = go("/login")
    answer.delete_cookie(SESSION_COOKIE)
    return answer


@router.post("/preferences")
async def prefer(request: Request, visit: Anybody) -> RedirectResponse:
    """Remember a language or colours; it needs no session, as it touches nothing but the browser's own cookies."""
    if not comes_from_here(request):
        raise NotAllowed
    form = await form_of(request)
    answer = go(local((form.get("next") or ["/"])[0]))
    for field, cookie, known in (("language", LANGUAGE_COOKIE, LANGUAGES), ("theme", THEME_COOKIE, THEMES)):
        chosen = (form.get(field) or [""])[0]
        if chosen in known:
            answer.set_cookie(
                cookie, chosen, max_age=YEAR, samesite="lax", secure=request.url.scheme == "https", path="/"
            )
    return answer


async def _form(
    request: Request, desk: Office, visit: Anybody, onward: str, problem: str = "", *, status: int = 200
) -> Response:
    entry = request.cookies.get(ENTRY_COOKIE) or secrets.token_urlsafe(16)
    values = {"next": local(onward), "problem": problem, "entry": entry}
    answer = await plain(desk, visit, "login.html", values, status=status)
    answer.set_cookie(
        ENTRY_COOKIE, entry, httponly=True, samesite="strict", secure=request.url.scheme == "https", path="/login"
    )
    return answer


def _peer(request: Request) -> str:
    return request.client.host if request.client is not None else ""
