"""Signing in and out, and the choices that a browser remembers: language and colours."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from router.journal.view import View
from router.quotas import TooMany
from router.web.access import Anybody, Office, OwnAsked, comes_from_here, form_of
from router.web.accounts import Account, find_account, note_failure, password_is_right
from router.web.answers import go, local, plain
from router.web.desk import Desk
from router.web.entering import ENTRY_COOKIE, STEP_COOKIE, enter, is_secure, peer_of, way_of
from router.web.faults import NotAllowed
from router.web.pages.login_oidc import LEAVE_STEP, remember
from router.web.sessions import end_session, leaving_of
from router.web.steps import Detail, begin_step, find_step, take_step
from router.web.texts import LANGUAGES
from router.web.totp import use_code
from router.web.visits import LANGUAGE_COOKIE, SESSION_COOKIE, THEME_COOKIE, THEMES, Visit

router = APIRouter()

CODE_STEP = "code"
YEAR = 365 * 86_400


@router.get("/login")
async def show_login(
    request: Request,
    desk: Office,
    visit: Anybody,
    next: str = "/",  # noqa: A002 - the address says so
    refused: str = "",
) -> Response:
    """Show the login form; `refused` is why a provider's answer was."""
    key = f"login.refused_{refused}"
    return await _form(request, desk, visit, next, key if refused and visit.texts.has(key) else "")


@router.post("/login")
async def sign_in(request: Request, desk: Office, visit: Anybody) -> Response:
    """Check a name and a password; then ask for a code, or start a session."""
    form = await form_of(request)
    name, password, onward = ((form.get(field) or [""])[0] for field in ("name", "password", "next"))
    if not _is_ours(request, form):
        return await _form(request, desk, visit, onward, "login.again", status=403)
    name = name.strip()
    if (tired := await _tired(request, desk, visit, onward)) is not None:
        return tired
    async with desk.checks:

        def check(view: View) -> tuple[Account | None, bool]:
            account = find_account(view.connection, name)
            return account, password_is_right(account, password, now=desk.now())

        account, right = await desk.look(check)
        if account is None or not right:
            await _refuse(request, desk, account.name if account is not None else "")
            return await _form(request, desk, visit, onward, "login.wrong", status=401)
    if not account.totp:
        return await enter(request, desk, account.name, onward, way_of(request, "password"))
    token, change = begin_step(CODE_STEP, {"account": account.name, "next": local(onward)}, now=desk.now())
    await desk.submit(change)
    answer = go("/login/code")
    answer.set_cookie(
        STEP_COOKIE, token, httponly=True, samesite="strict", secure=is_secure(request), path="/login", max_age=600
    )
    return answer


@router.get("/login/code")
async def show_code(request: Request, desk: Office, visit: Anybody) -> Response:
    """Ask for the code of somebody whose password was right."""
    if await _step(request, desk) is None:
        return go("/login")
    return await _ask_code(request, desk, visit)


@router.post("/login/code")
async def give_code(request: Request, desk: Office, visit: Anybody) -> Response:
    """Check a one-time code or a recovery code, and start the session."""
    form = await form_of(request)
    step = await _step(request, desk)
    if step is None or not _is_ours(request, form):
        return go("/login")
    code = (form.get("code") or [""])[0][:40]
    if (tired := await _tired(request, desk, visit)) is not None:
        return tired
    async with desk.checks:
        account = await desk.look(lambda view: find_account(view.connection, step["account"]))
        by = ""
        if account is not None and not account.is_locked(desk.now()):
            by = await desk.submit(use_code(account.name, code, now=desk.now()))
        if account is None or not by:
            await _refuse(request, desk, step["account"])
            return await _ask_code(request, desk, visit, "login.wrong_code", status=401)
    if await desk.submit(take_step(CODE_STEP, request.cookies.get(STEP_COOKIE, ""), now=desk.now())) is None:
        return go("/login")
    return await enter(request, desk, account.name, step["next"], way_of(request, by))


@router.post("/logout")
async def sign_out(request: Request, desk: Office, visit: OwnAsked) -> Response:
    """End the session; one that a provider began ends there too, by a page that leads on."""
    leaving = await desk.look(lambda view: leaving_of(view.connection, view.sealer, visit.key))
    await desk.submit(end_session(visit.key))
    await desk.audit(visit.account, "logout", "dashboard", peer_of(request))
    provider = desk.providers.get(leaving.provider) if leaving is not None else None
    if leaving is None or provider is None or not leaving.id_token:
        answer: Response = go("/login")
    else:
        token, change = begin_step(
            LEAVE_STEP, {"provider": provider.name, "id_token": leaving.id_token}, now=desk.now()
        )
        await desk.submit(change)
        values = {"provider": provider.section.title, "onward": f"/login/oidc/{provider.name}/leave"}
        # No redirection: the policy of our pages forbids that a form ends at another site.
        answer = await plain(desk, replace(visit, session=None), "login_left.html", values)
        answer.headers["Refresh"] = f"0; url={values['onward']}"
        remember(request, answer, token)
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
            answer.set_cookie(cookie, chosen, max_age=YEAR, samesite="lax", secure=is_secure(request), path="/")
    return answer


def _is_ours(request: Request, form: dict[str, list[str]]) -> bool:
    entry, expected = (form.get("entry") or [""])[0], request.cookies.get(ENTRY_COOKIE, "")
    return bool(expected) and hmac.compare_digest(entry.encode(), expected.encode()) and comes_from_here(request)


async def _step(request: Request, desk: Desk) -> Detail | None:
    token, now = request.cookies.get(STEP_COOKIE, ""), desk.now()
    if not token:
        return None
    return await desk.look(lambda view: find_step(view.connection, view.sealer, CODE_STEP, token, now=now))


async def _tired(request: Request, desk: Desk, visit: Visit, onward: str | None = None) -> Response | None:
    """Answer an address that failed too often, whatever it sends; None when it may try."""
    try:
        desk.proofs.check(peer_of(request))
    except TooMany as much:
        if onward is None:
            answer = await _ask_code(request, desk, visit, "login.too_many", status=429)
        else:
            answer = await _form(request, desk, visit, onward, "login.too_many", status=429)
        answer.headers["Retry-After"] = str(much.seconds)
        return answer
    return None


async def _refuse(request: Request, desk: Desk, name: str) -> None:
    """Count a failure, of a password or of a code: both lock the account, and use up what the address may try."""
    desk.proofs.spend(peer_of(request))
    if name:
        await desk.submit(note_failure(name, now=desk.now()))
    await desk.audit(name or "unknown", "login refused", "dashboard", peer_of(request))


async def _form(
    request: Request, desk: Desk, visit: Visit, onward: str, problem: str = "", *, status: int = 200
) -> Response:
    offered = [(name, one.section.title) for name, one in desk.providers.items()]
    values = {"next": local(onward), "problem": problem, "providers": offered}
    return await _drawn(request, desk, visit, "login.html", values, status)


async def _ask_code(request: Request, desk: Desk, visit: Visit, problem: str = "", *, status: int = 200) -> Response:
    return await _drawn(request, desk, visit, "login_code.html", {"problem": problem}, status)


async def _drawn(
    request: Request, desk: Desk, visit: Visit, template: str, values: Mapping[str, object], status: int
) -> Response:
    entry = request.cookies.get(ENTRY_COOKIE) or secrets.token_urlsafe(16)
    answer = await plain(desk, visit, template, {**values, "entry": entry}, status=status)
    answer.set_cookie(ENTRY_COOKIE, entry, httponly=True, samesite="strict", secure=is_secure(request), path="/login")
    return answer
