"""Signing in through an OpenID provider: sent there, come back, sent there again to leave."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from router.journal.view import View
from router.web.access import Anybody, Office, form_of
from router.web.accounts import Account, find_bound
from router.web.answers import go, local
from router.web.desk import Desk
from router.web.entering import PROVIDER_COOKIE, enter, is_secure, peer_of, way_of
from router.web.faults import NotThere
from router.web.oidc.faults import OidcFault
from router.web.oidc.mapping import admit, name_of_claims, role_of_claims
from router.web.oidc.provider import Known, Provider
from router.web.sessions import end_provided
from router.web.steps import LIFE_MICROS, begin_step, take_step

router = APIRouter()

PATH = "/login/oidc/{name}"
STEP, LEAVE_STEP = "oidc", "leave"


def _provider(desk: Desk, name: str) -> Provider:
    found = desk.providers.get(name)
    if found is None:
        raise NotThere
    return found


def _redirect_uri(request: Request, provider: Provider) -> str:
    return provider.section.redirect_uri or f"{_base(request)}/login/oidc/{provider.name}/callback"


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('Host', 'localhost')}"


@router.get(PATH)
async def leave_for(name: str, request: Request, desk: Office, _visit: Anybody, next: str = "/") -> Response:  # noqa: A002 - the address says so
    """Send the browser to the provider."""
    provider = _provider(desk, name)
    back = _redirect_uri(request, provider)
    try:
        began = await provider.begin(back)
    except OidcFault as fault:
        return await _refuse(request, desk, provider, fault)
    detail = {
        "provider": name,
        "state": began.state,
        "nonce": began.nonce,
        "verifier": began.verifier,
        "next": local(next),
        "redirect_uri": back,
    }
    token, change = begin_step(STEP, detail, now=desk.now())
    await desk.submit(change)
    answer = RedirectResponse(began.url, 303)
    remember(request, answer, token)
    return answer


@router.get(PATH + "/callback")
async def come_back(name: str, request: Request, desk: Office, _visit: Anybody) -> Response:
    """Take what the provider sends back with the browser, and start a session, or say why not."""
    provider = _provider(desk, name)
    try:
        known, onward = await _known(request, desk, provider)
        account = await _admitted(desk, provider, known)
    except OidcFault as fault:
        return await _refuse(request, desk, provider, fault)
    way = way_of(request, "oidc", provider=name, sid=known.sid, id_token=known.id_token)
    answer = await enter(request, desk, account.name, onward, way)
    answer.delete_cookie(PROVIDER_COOKIE, path="/login")
    return answer


async def _known(request: Request, desk: Desk, provider: Provider) -> tuple[Known, str]:
    given = request.query_params
    token = request.cookies.get(PROVIDER_COOKIE, "")
    # Taken out before anything else: whatever comes of it, this answer is good for one time.
    step = await desk.submit(take_step(STEP, token, now=desk.now())) if token else None
    if step is None or not hmac.compare_digest(given.get("state", "").encode(), step["state"].encode()):
        raise OidcFault("state", "expired")
    if step["provider"] != provider.name:
        raise OidcFault("mix-up")
    await provider.check_issuer(given.get("iss"))
    if "error" in given:
        raise OidcFault("denied", "denied")
    if not given.get("code"):
        raise OidcFault("code", "denied")
    known = await provider.finish(
        given["code"], nonce=step["nonce"], verifier=step["verifier"], redirect_uri=step["redirect_uri"]
    )
    return known, step["next"]


async def _admitted(desk: Desk, provider: Provider, known: Known) -> Account:
    role = role_of_claims(known.claims, provider.section)
    if role is None:
        await _end_of(desk, provider, known.subject)
        raise OidcFault("role", "role")
    name = name_of_claims(known.claims, provider.name, known.subject, provider.section)
    return await desk.submit(admit(known.issuer, known.subject, name=name, role=role, now=desk.now()))


async def _end_of(desk: Desk, provider: Provider, subject: str) -> Account | None:
    """End the sessions of whom a provider speaks of, if there is an account."""

    def find(view: View) -> Account | None:
        return find_bound(view.connection, provider.section.issuer, subject)

    account = await desk.look(find)
    if account is not None:
        await desk.submit(end_provided(provider.name, account=account.name))
    return account


@router.get(PATH + "/leave")
async def leave(name: str, request: Request, desk: Office, _visit: Anybody) -> Response:
    """Send a browser whose session ended here to the provider, so that it ends there too (RP-Initiated Logout)."""
    provider = _provider(desk, name)
    token = request.cookies.get(PROVIDER_COOKIE, "")
    step = await desk.submit(take_step(LEAVE_STEP, token, now=desk.now())) if token else None
    onward = None
    if step is not None and step["provider"] == name:
        try:
            onward = await provider.leaving(step["id_token"], f"{_base(request)}/login")
        except OidcFault as fault:
            await desk.audit("unknown", "logout refused", "dashboard", f"{name} {fault.code}")
    answer = RedirectResponse(onward, 303) if onward is not None else go("/login")
    answer.delete_cookie(PROVIDER_COOKIE, path="/login")
    return answer


@router.post(PATH + "/backchannel")
async def told(name: str, request: Request, desk: Office, _visit: Anybody) -> Response:
    """End the sessions that a provider says are over (Back-Channel Logout); its signed token is what lets it in."""
    provider = _provider(desk, name)
    form = await form_of(request)
    try:
        sid, subject = await provider.logged_out((form.get("logout_token") or [""])[0])
    except OidcFault as fault:
        await desk.audit("unknown", "logout refused", "dashboard", f"{name} {fault.code}")
        return JSONResponse({"error": "invalid_request"}, 400)
    if sid:
        ended = await desk.submit(end_provided(name, sid=sid))
        await desk.audit(f"provider:{name}", "logout", "dashboard", f"{ended}")
    elif await _end_of(desk, provider, subject) is not None:
        await desk.audit(f"provider:{name}", "logout", "dashboard")
    return JSONResponse({})


async def _refuse(request: Request, desk: Desk, provider: Provider, fault: OidcFault) -> Response:
    await desk.audit("unknown", "login refused", "dashboard", f"{peer_of(request)} {provider.name} {fault.code}")
    answer = go(f"/login?refused={fault.shown}")
    answer.delete_cookie(PROVIDER_COOKIE, path="/login")
    return answer


def remember(request: Request, answer: Response, token: str) -> None:
    """Tie a step to this browser: lax, because the browser comes back from another site."""
    answer.set_cookie(
        PROVIDER_COOKIE,
        token,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
        path="/login",
        max_age=LIFE_MICROS // 1_000_000,
    )
